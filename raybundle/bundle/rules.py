"""The rules of docs/format.md, sections 1 to 4, for a manifest: writers and readers ask the same ones."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from raybundle.formats.archive_paths import case_collisions, is_native, path_fault
from raybundle.formats.canonical import LARGEST
from raybundle.resolve.distributions.installed import normalised_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from raybundle.bundle.values import Manifest, PythonTag

_FOLDER = re.compile(r"(?:project|root-(?P<root>[1-9][0-9]*))/.*", re.DOTALL)
_SYMBOL = re.compile(
    r"stdlib|layers|ray|project:(?P<inside>.+)|root:(?P<root>[1-9][0-9]*)(:(?P<below>.+))?", re.DOTALL
)
_MINOR = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_MODULE = re.compile(r"[^\s./\\-][^\s./\\]*(\.[^\s./\\]+)*")
"""What `python -m` takes: `my-job` is a name for it too, and `-c` is another option."""
_WORD = re.compile(r"\S+")
_NAME = re.compile(r"[^\s/\\]+")
_ANY = "any"
"""Stands for the version of what the cluster may have in any."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def broken_rules(manifest: Manifest, *, script: str | None, module: str | None) -> list[str]:
    """Returns what the format forbids in a manifest, whose target is `script` or `module`."""
    files = [file.path for file in manifest.files]
    return [
        *(f"{text!r} is no line of text" for text in _texts(manifest, module) if _CONTROL.search(text)),
        *_target_faults(script, module, files),
        *_python_faults(manifest.python, files),
        *_path_faults(manifest.path, files, layered=bool(manifest.layers)),
        *_file_faults(files),
        *(f"size {file.size} of {file.path!r}" for file in manifest.files if not 0 <= file.size <= LARGEST),
        *_distribution_faults(manifest),
    ]


def _texts(manifest: Manifest, module: str | None) -> Iterator[str]:
    """Yields all texts but the paths of files, which have stricter rules."""
    python = manifest.python
    yield from filter(None, (module, python.implementation, python.minor, python.abi, python.platform))
    yield from manifest.path
    yield from chain.from_iterable(_named(manifest))


def _named(manifest: Manifest) -> list[tuple[str, str]]:
    """Returns names and versions of all distributions."""
    travelling = [(each.name, each.version) for each in manifest.layers]
    return travelling + [(each.name, each.version or _ANY) for each in manifest.provided]


def _target_faults(script: str | None, module: str | None, files: Sequence[str]) -> Iterator[str]:
    if script is not None and script not in files:
        yield f"the target {script!r} is not among the files"
    if module is not None and not _MODULE.fullmatch(module):
        yield f"the target {module!r} is no name of a module"


def _python_faults(python: PythonTag, files: Iterable[str]) -> Iterator[str]:
    if not python.implementation.isidentifier() or not _MINOR.fullmatch(python.minor):
        yield f"python {python.implementation!r} {python.minor!r}"
    given = [each for each in (python.abi, python.platform) if each is not None]
    if len(given) == 1 or not all(map(_WORD.fullmatch, given)):
        yield f"abi {python.abi!r} with platform {python.platform!r}"
    native = next(filter(is_native, files), None)
    if native is not None and not given:
        yield f"{native!r} runs on one platform only, and none is named"


def _path_faults(path: Sequence[str], files: Iterable[str], *, layered: bool) -> Iterator[str]:
    yield from (f"symbol {symbol!r}" for symbol in path if not _is_symbol(symbol))
    yield from (f"symbol {symbol!r} stands twice" for symbol in _twice(path))
    if path[-1:] != ("ray",):
        yield "`ray` does not stand last on the path"
    if layered != ("layers" in path):
        yield "`layers` stands on the path where there are layers, and only there"
    held = {match["root"] for match in map(_FOLDER.fullmatch, files) if match} - {None}
    listed = {match["root"] for match in map(_SYMBOL.fullmatch, path) if match} - {None}
    if listed - held:
        yield f"root {min(listed - held)} is on the path and has no files"
    if held != {str(number) for number in range(1, len(held) + 1)}:
        yield f"roots {', '.join(sorted(held))} are not numbered from 1"


def _is_symbol(symbol: str) -> bool:
    """Returns whether `symbol` is one: it becomes a directory on `sys.path` of every node."""
    match = _SYMBOL.fullmatch(symbol)
    if match is None:
        return False
    directory = match["inside"] or match["below"]
    return directory is None or match["inside"] == "." or path_fault(directory) is None


def _file_faults(files: Sequence[str]) -> Iterator[str]:
    """Yields paths that lead elsewhere, and files that would overwrite each other on some node."""
    for path in files:
        if not _FOLDER.fullmatch(path):
            yield f"path {path!r} does not lie below `project` or a root"
        elif fault := path_fault(path):
            yield f"path {path!r} {fault}"
    yield from (f"path {path!r} stands twice" for path in _twice(files))
    folders = {path[:i] for path in files for i, character in enumerate(path) if character == "/"}
    yield from (f"path {path!r} is a file and a folder" for path in files if path in folders)
    yield from (f"only in case differ {clash}" for clash in case_collisions(files))


def _distribution_faults(manifest: Manifest) -> Iterator[str]:
    named = _named(manifest)
    for name, version in named:
        if not _NAME.fullmatch(name) or name != normalised_name(name):
            yield f"{name!r} is no normalised name of a distribution"
        if not _WORD.fullmatch(version):
            yield f"{version!r} is no version of {name}"
        if name == "ray":
            yield "`ray` is named, which every node has"
    yield from (f"distribution {name!r} stands twice" for name in _twice(name for name, _ in named))
    yield from (f"layer {digest} has two names" for digest in _twice(e.digest for e in manifest.layers))


def _twice(values: Iterable[str]) -> Iterator[str]:
    return (value for value, number in Counter(values).items() if number > 1)
