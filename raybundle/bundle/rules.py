"""Checks a manifest against docs/format.md, sections 1 to 4, for the writer and for the reader."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from raybundle.bundle.values import ModuleEntry, ScriptEntry
from raybundle.formats.archive_paths import case_collisions, is_native, path_fault
from raybundle.formats.canonical import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from raybundle.bundle.values import Manifest, PythonTag

_FOLDER = re.compile(r"(?:project|root-(?P<root>[1-9][0-9]*))/.*", re.DOTALL)
_SYMBOL = re.compile(
    r"stdlib|layers|ray|project:(?P<inside>.+)|root:(?P<root>[1-9][0-9]*)(:(?P<below>.+))?", re.DOTALL
)
_MINOR = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_LIBC = re.compile(r"(glibc|musl) (0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_MODULE = re.compile(r"[^\s./\\-][^\s./\\]*(\.[^\s./\\]+)*")
"""Names that `python -m` accepts: `my-job` is one, but `-c` is another option."""
_WORD = re.compile(r"\S+")
_NAME = re.compile(r"[^\s/\\]+")
_ANY = "any"
"""Stands in the checks for the version of a distribution that may have any version."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def broken_rules(manifest: Manifest) -> list[str]:
    """Returns a message for each broken rule."""
    files = [file.path for file in manifest.files]
    return [
        *(f"{text!r} is not one line of text" for text in _texts(manifest) if _CONTROL.search(text)),
        *_target_faults(manifest.target, files),
        *_python_faults(manifest.python, files),
        *_path_faults(manifest.path, files, layered=bool(manifest.layers)),
        *_file_faults(files),
        *(f"size {file.size} of {file.path!r}" for file in manifest.files if not 0 <= file.size <= LARGEST),
        *_distribution_faults(manifest),
    ]


def _texts(manifest: Manifest) -> Iterator[str]:
    """Yields all texts except the paths of files, which have stricter rules."""
    if isinstance(manifest.target, ModuleEntry):
        yield manifest.target.name
    python = manifest.python
    yield from filter(None, (python.implementation, python.minor, python.abi, python.platform, python.libc))
    yield from manifest.path
    yield from chain.from_iterable(_named(manifest))


def _named(manifest: Manifest) -> list[tuple[str, str]]:
    """Returns names and versions of all distributions."""
    travelling = [(each.name, each.version) for each in manifest.layers]
    return travelling + [(each.name, each.version or _ANY) for each in manifest.provided]


def _target_faults(target: ScriptEntry | ModuleEntry, files: Sequence[str]) -> Iterator[str]:
    match target:
        case ScriptEntry(path=path):
            if path not in files:
                yield f"the target {path!r} is not among the files"
        case ModuleEntry(name=name):
            if not _MODULE.fullmatch(name):
                yield f"the target {name!r} is not the name of a module"


def _python_faults(python: PythonTag, files: Iterable[str]) -> Iterator[str]:
    if not python.implementation.isidentifier() or not _MINOR.fullmatch(python.minor):
        yield f"python {python.implementation!r} {python.minor!r}"
    given = [each for each in (python.abi, python.platform) if each is not None]
    if len(given) == 1 or not all(map(_WORD.fullmatch, given)):
        yield f"abi {python.abi!r} with platform {python.platform!r}"
    if python.libc is not None and not (given and _LIBC.fullmatch(python.libc)):
        yield f"libc {python.libc!r} with platform {python.platform!r}"
    native = next(filter(is_native, files), None)
    if native is not None and not given:
        yield f"{native!r} runs on one platform only, but the manifest names none"


def _path_faults(path: Sequence[str], files: Iterable[str], *, layered: bool) -> Iterator[str]:
    yield from (f"symbol {symbol!r}" for symbol in path if not _is_symbol(symbol))
    yield from (f"symbol {symbol!r} occurs twice" for symbol in _twice(path))
    if path[-1:] != ("ray",):
        yield "`ray` is not the last entry of the path"
    if layered != ("layers" in path):
        yield "`layers` must be on the path if and only if there are layers"
    held = {match["root"] for match in map(_FOLDER.fullmatch, files) if match} - {None}
    listed = {match["root"] for match in map(_SYMBOL.fullmatch, path) if match} - {None}
    if listed - held:
        yield f"root {min(listed - held)} is on the path but has no files"
    if held != {str(number) for number in range(1, len(held) + 1)}:
        yield f"roots {', '.join(sorted(held))} are not numbered from 1"


def _is_symbol(symbol: str) -> bool:
    """Returns whether `symbol` is valid. It becomes a directory on `sys.path` of every node."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        return False
    directory = match["inside"] or match["below"]
    return directory is None or match["inside"] == "." or path_fault(directory) is None


def _file_faults(files: Sequence[str]) -> Iterator[str]:
    """Yields paths outside of the bundle, and files that would overwrite each other on some nodes."""
    for path in files:
        if not _FOLDER.fullmatch(path):
            yield f"path {path!r} is not below `project` or a root"
        elif fault := path_fault(path):
            yield f"path {path!r} {fault}"
    yield from (f"path {path!r} occurs twice" for path in _twice(files))
    folders = _folders(files)
    yield from (f"path {path!r} is a file and a folder" for path in files if path in folders)
    yield from (f"{clash} differ only in case" for clash in case_collisions(files))


def _folders(files: Iterable[str]) -> set[str]:
    """Returns all folders that hold files, at any depth."""
    found: set[str] = set()
    for path in files:
        folder = path.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _distribution_faults(manifest: Manifest) -> Iterator[str]:
    named = _named(manifest)
    if not named:
        return
    from raybundle.resolve.distributions.installed import normalised_name  # noqa: PLC0415 - start-up

    for name, version in named:
        if not _NAME.fullmatch(name) or name != normalised_name(name):
            yield f"{name!r} is not the normalised name of a distribution"
        if not _WORD.fullmatch(version):
            yield f"{version!r} is not a version of {name}"
        if name == "ray":
            yield "`ray` is named, although every node has it"
    yield from (f"distribution {name!r} occurs twice" for name in _twice(name for name, _ in named))
    yield from (f"layer {digest} has two names" for digest in _twice(e.digest for e in manifest.layers))


def _twice(values: Iterable[str]) -> Iterator[str]:
    return (value for value, number in Counter(values).items() if number > 1)
