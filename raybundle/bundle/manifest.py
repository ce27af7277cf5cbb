"""The manifest: canonical JSON of everything that identifies a bundle (docs/format.md)."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from raybundle.bundle.needs import guarded_files, needs_of
from raybundle.bundle.rules import broken_rules
from raybundle.bundle.values import (
    LayerEntry,
    Manifest,
    ManifestFile,
    ModuleEntry,
    Provided,
    PythonTag,
    ScriptEntry,
)
from raybundle.errors import UNREADABLE, BundleError, DigestMismatchError
from raybundle.exhaustive import assert_never
from raybundle.formats.archive_paths import is_native
from raybundle.formats.canonical import FORMAT, canonical_json, digest_of, parse_digest
from raybundle.model import (
    ArchivePath,
    ConsoleScriptTarget,
    Digest,
    DirectoryTarget,
    FunctionTarget,
    ModuleTarget,
    NotebookTarget,
    RootSymbol,
    ScriptTarget,
)
from raybundle.resolve.interpreter.libc import libc_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.bundle.layers.layer import Layer
    from raybundle.model import CollectedFile, Interpreter, Resolution
    from raybundle.resolve.interpreter.libc import Need

_HEX = re.compile(r"[0-9a-f]{64}")


def make_manifest(
    resolution: Resolution, files: Sequence[CollectedFile], layers: Sequence[Layer] = ()
) -> Manifest:
    """Returns the manifest of a resolution with its collected files and layers.

    Raises:
        BundleError: the manifest would break a rule of the format.
    """
    native = any(is_native(file.path) for file in files) or any(each.native for each in layers)
    manifest = Manifest(
        target=_entry(resolution),
        python=_python(resolution.interpreter, _needs(resolution, files, layers) if native else None),
        path=resolution.path,
        files=tuple(ManifestFile(f.path, f.executable, f.size, f.sha256) for f in files),
        provided=tuple(
            Provided(d.name, d.version)
            for d in sorted(resolution.distributions, key=lambda d: d.name)
            if d.provided_by == "cluster"
        ),
        layers=tuple(
            LayerEntry(each.name, each.version, each.digest) for each in sorted(layers, key=lambda e: e.name)
        ),
    )
    faults = broken_rules(manifest)
    if faults:
        raise BundleError(
            "this bundle would break the format: " + "; ".join(faults),
            hint="docs/format.md, sections 2 to 4, has the rules",
        )
    return manifest


def _needs(resolution: Resolution, files: Sequence[CollectedFile], layers: Sequence[Layer]) -> list[Need]:
    """Returns what the native files of a bundle need of libc, except those that the code does without.

    Raises:
        BundleError: a file changed after it was hashed.
    """
    guarded = guarded_files(resolution)
    own = [need for path, need in needs_of(files) if path not in guarded]
    return [*own, *(each for layer in layers for each in layer.needs)]


def _python(interpreter: Interpreter, needs: Sequence[Need] | None) -> PythonTag:
    if needs is not None and not interpreter.abi:
        raise BundleError(
            f"the bundle has native files, but this Python has no SOABI: {interpreter.executable}",
            hint="name another Python with --python, or `exclude` the files",
        )
    major, minor, _ = interpreter.version
    found = PythonTag(interpreter.implementation, f"{major}.{minor}")
    if needs is None:
        return found
    abi, platform = interpreter.abi, interpreter.platform
    return replace(found, abi=abi, platform=platform, libc=libc_for(needs, abi, platform))


def _entry(resolution: Resolution) -> ScriptEntry | ModuleEntry:
    match resolution.target:
        case ModuleTarget(name=name):
            return ModuleEntry(name)
        case (
            ScriptTarget()
            | DirectoryTarget()
            | NotebookTarget()
            | ConsoleScriptTarget()
            | FunctionTarget() as target
        ):
            script = next(module for module in resolution.modules if module.name == "__main__")
            if script.path is None:
                raise BundleError(f"the target {target} is not a file")
            return ScriptEntry(script.path)
        case other:
            return assert_never(other)


def directory_symbol(path: ArchivePath) -> RootSymbol:
    """Returns the symbol of the directory that holds a file of a bundle."""
    folder, *parts = path.split("/")[:-1]
    below = "/".join(parts)
    if folder == "project":
        return RootSymbol(f"project:{below or '.'}")
    root = f"root:{folder.removeprefix('root-')}"
    return RootSymbol(f"{root}:{below}" if below else root)


def format_manifest(manifest: Manifest) -> bytes:
    """Returns the canonical bytes: UTF-8, sorted keys, no spaces, no floats, no nulls."""
    document: dict[str, Any] = {
        "format": FORMAT,
        "target": _target_document(manifest.target),
        "python": _without_none(
            implementation=manifest.python.implementation,
            minor=manifest.python.minor,
            abi=manifest.python.abi,
            platform=manifest.python.platform,
            libc=manifest.python.libc,
        ),
        "path": list(manifest.path),
        "files": [
            {"path": f.path, "executable": f.executable, "size": f.size, "sha256": f.sha256}
            for f in sorted(manifest.files, key=lambda f: f.path)
        ],
        "layers": [
            {"name": layer.name, "version": layer.version, "digest": layer.digest}
            for layer in sorted(manifest.layers, key=lambda each: each.name)
        ],
        "provided": [
            {"name": p.name, **({"version": p.version} if p.version else {})}
            for p in sorted(manifest.provided, key=lambda p: p.name)
        ],
    }
    return canonical_json(document)


def parse_manifest(data: bytes, expected: Digest) -> Manifest:
    """Returns the manifest in `data`, which must be canonical bytes with the digest `expected`.

    Raises:
        DigestMismatchError: the bytes have another digest.
        BundleError: the bytes are not a manifest, or one of another format.
    """
    found = digest_of(data)
    if found != expected:
        raise DigestMismatchError(f"manifest of bundle {expected}", expected=expected, found=found)
    try:
        manifest = _parse_document(json.loads(data))
        canonical = format_manifest(manifest)
    except UNREADABLE as error:
        raise BundleError(f"manifest of bundle {expected} cannot be read: {error!r}") from error
    if canonical != data:
        raise BundleError(
            f"manifest of bundle {expected} is not canonical or has unknown keys",
            hint="another version of raybundle wrote it: update this one",
        )
    return manifest


def _parse_document(document: dict[str, Any]) -> Manifest:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r}, but this raybundle reads format {FORMAT}")
    python = document["python"]
    manifest = Manifest(
        target=_parse_target(document["target"]),
        python=PythonTag(
            _text(python["implementation"]),
            _text(python["minor"]),
            *(_text(python[name]) if name in python else None for name in ("abi", "platform", "libc")),
        ),
        path=tuple(RootSymbol(_text(symbol)) for symbol in document["path"]),
        files=tuple(map(_parse_file, document["files"])),
        provided=tuple(Provided(_text(p["name"]), _text(p.get("version", ""))) for p in document["provided"]),
        layers=tuple(
            LayerEntry(_text(e["name"]), _text(e["version"]), parse_digest(e["digest"]))
            for e in document["layers"]
        ),
    )
    faults = broken_rules(manifest)
    if faults:
        raise ValueError("; ".join(faults))
    return manifest


def _parse_file(document: dict[str, Any]) -> ManifestFile:
    executable, size, sha256 = document["executable"], document["size"], document["sha256"]
    if type(executable) is not bool or type(size) is not int:
        raise ValueError(f"executable {executable!r}, size {size!r}")
    if not _HEX.fullmatch(sha256):
        raise ValueError(f"sha256 {sha256!r}")
    return ManifestFile(ArchivePath(_text(document["path"])), executable, size, sha256)


def _parse_target(document: dict[str, str]) -> ScriptEntry | ModuleEntry:
    if "script" in document:
        return ScriptEntry(ArchivePath(_text(document["script"])))
    return ModuleEntry(_text(document["module"]))


def _target_document(target: ScriptEntry | ModuleEntry) -> dict[str, str]:
    match target:
        case ScriptEntry(path=path):
            return {"script": path}
        case ModuleEntry(name=name):
            return {"module": name}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _without_none(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
