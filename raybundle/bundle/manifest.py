"""The manifest: canonical JSON of everything that identifies a bundle (docs/format.md)."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.errors import BundleError, DigestMismatchError
from raybundle.model import ArchivePath, Digest, ModuleTarget, RootSymbol, ScriptTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.model import CollectedFile, Resolution

FORMAT = 1
NATIVE_SUFFIXES = (".so", ".pyd", ".dylib")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One file of a bundle; `size` in bytes, `sha256` in hex."""

    path: ArchivePath
    executable: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Provided:
    """A distribution that the cluster must provide in exactly this version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class PythonTag:
    """The Python that a bundle runs on; `abi` and `platform` only where native files are in."""

    implementation: str
    minor: str
    abi: str | None = None
    platform: str | None = None


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """The bundle runs `python path`."""

    path: ArchivePath


@dataclass(frozen=True, slots=True)
class ModuleEntry:
    """The bundle runs `python -m name`."""

    name: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that identifies a bundle, and nothing else."""

    target: ScriptEntry | ModuleEntry
    python: PythonTag
    path: tuple[RootSymbol, ...]
    files: tuple[ManifestFile, ...]
    provided: tuple[Provided, ...]


def make_manifest(resolution: Resolution, files: Sequence[CollectedFile]) -> Manifest:
    """Returns the manifest of the collected files of a resolution."""
    interpreter = resolution.interpreter
    major, minor, _ = interpreter.version
    native = any(file.path.endswith(NATIVE_SUFFIXES) for file in files)
    return Manifest(
        target=_entry(resolution),
        python=PythonTag(
            implementation=interpreter.implementation,
            minor=f"{major}.{minor}",
            abi=interpreter.abi if native else None,
            platform=interpreter.platform if native else None,
        ),
        path=resolution.path,
        files=tuple(ManifestFile(f.path, f.executable, len(f.data), f.sha256) for f in files),
        provided=tuple(
            Provided(d.name, d.version)
            for d in sorted(resolution.distributions, key=lambda d: d.name)
            if d.provided_by == "cluster"
        ),
    )


def _entry(resolution: Resolution) -> ScriptEntry | ModuleEntry:
    match resolution.target:
        case ModuleTarget(name=name):
            return ModuleEntry(name)
        case ScriptTarget(path=path):
            script = next(module for module in resolution.modules if module.name == "__main__")
            if script.path is None:
                raise BundleError(f"the target {path} is not a file")
            return ScriptEntry(script.path)


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
        ),
        "path": list(manifest.path),
        "files": [
            {"path": f.path, "executable": f.executable, "size": f.size, "sha256": f.sha256}
            for f in sorted(manifest.files, key=lambda f: f.path)
        ],
        "layers": [],
        "provided": [
            {"name": p.name, "version": p.version} for p in sorted(manifest.provided, key=lambda p: p.name)
        ],
    }
    return canonical_json(document)


def canonical_json(document: Any) -> bytes:
    """Returns UTF-8 JSON with sorted keys and no spaces: one value, one spelling."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode()


def digest_of(manifest: bytes) -> Digest:
    """Returns the digest of a bundle from the bytes of its manifest."""
    return Digest("sha256:" + hashlib.sha256(manifest).hexdigest())


def parse_digest(text: str) -> Digest:
    """Returns `text` as a digest.

    Raises:
        BundleError: it is not `sha256:` and 64 lower-case hex digits.
    """
    if not _DIGEST.fullmatch(text):
        raise BundleError(
            f"not a digest: {text!r}", hint="a digest is `sha256:` and 64 lower-case hex digits"
        )
    return Digest(text)


def parse_manifest(data: bytes, expected: Digest) -> Manifest:
    """Returns the manifest in `data`, which must be the canonical bytes that `expected` names.

    Raises:
        DigestMismatchError: the bytes have another digest.
        BundleError: the bytes are not a manifest of a format that we know.
    """
    found = digest_of(data)
    if found != expected:
        raise DigestMismatchError(f"manifest of bundle {expected}", expected=expected, found=found)
    try:
        manifest = _parse_document(json.loads(data))
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"manifest of bundle {expected} cannot be read: {error!r}") from error
    if format_manifest(manifest) != data:
        raise BundleError(
            f"manifest of bundle {expected} is not canonical or has unknown keys",
            hint="it was written by another version of raybundle: update this one",
        )
    return manifest


def _parse_document(document: dict[str, Any]) -> Manifest:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r}, and this raybundle knows format {FORMAT}")
    python = document["python"]
    return Manifest(
        target=_parse_target(document["target"]),
        python=PythonTag(
            python["implementation"], python["minor"], python.get("abi"), python.get("platform")
        ),
        path=tuple(RootSymbol(symbol) for symbol in document["path"]),
        files=tuple(
            ManifestFile(_archive_path(f["path"]), f["executable"], f["size"], f["sha256"])
            for f in document["files"]
        ),
        provided=tuple(Provided(p["name"], p["version"]) for p in document["provided"]),
    )


def _parse_target(document: dict[str, str]) -> ScriptEntry | ModuleEntry:
    if "script" in document:
        return ScriptEntry(_archive_path(document["script"]))
    return ModuleEntry(document["module"])


def _target_document(target: ScriptEntry | ModuleEntry) -> dict[str, str]:
    match target:
        case ScriptEntry(path=path):
            return {"script": path}
        case ModuleEntry(name=name):
            return {"module": name}


def _archive_path(text: str) -> ArchivePath:
    """Returns `text`, checked again: a manifest may come from anywhere and its paths are written to disk."""
    parts = text.split("/")
    plain = all(part not in ("", ".", "..") for part in parts) and len(parts) > 1
    printable = not any(unicodedata.category(character) == "Cc" for character in text)
    if not plain or not printable or "\\" in text or unicodedata.normalize("NFC", text) != text:
        raise ValueError(f"path {text!r} is not relative, plain and in NFC")
    return ArchivePath(text)


def _without_none(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
