"""Finds what scripts that child processes run import from their own folder, which Python puts first."""

# Strings, because `sys.path` holds strings and pathlib takes ten times as long.
# ruff: noqa: PTH118, PTH119, PTH120

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from raybundle.resolve.files.data_files import Candidate, is_extension
from raybundle.resolve.find.finder import FirstParty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.model import Edge
    from raybundle.resolve.facts import Facts
    from raybundle.resolve.find.directories import Directories
    from raybundle.resolve.walk.reached import Closure

_OPENERS = ("ctypes", "cffi", "numpy.ctypeslib")
"""Modules that open a library by its path."""


def beside_scripts(
    closure: Closure, scripts: Iterable[Candidate], directories: Directories
) -> list[Candidate]:
    """Returns the files that scripts import from their own folder."""
    own = {each.file: each for each in scripts}
    found = [
        replace(own[importer], file=file, reason=f"imported by {os.path.basename(importer)}, beside it")
        for importer, file, _ in _matches(closure, own, directories)
    ]
    return list({each.file: each for each in found}.values())


def opened_extensions(
    closure: Closure, facts_of: Callable[[str], Facts], directories: Directories
) -> list[Candidate]:
    """Returns the extension modules beside a source that opens libraries by itself (`ctypes`, cffi)."""
    found: dict[str, Candidate] = {}
    extensions: dict[str, list[str]] = {}
    reached = [(each.found, each.sha256) for _, each in sorted(closure.reached.items())]
    modules = {each.file for each, _ in reached if isinstance(each, FirstParty)}
    for source, sha256 in reached:
        if not isinstance(source, FirstParty) or sha256 is None:
            continue
        folder = os.path.dirname(source.file)
        if folder not in extensions:
            names_here = sorted(filter(is_extension, directories.list(folder).files))
            extensions[folder] = [f"{folder}/{name}" for name in names_here]
        beside = extensions[folder]
        names = {each.form.name for each in facts_of(source.file).imports} if beside else set[str]()
        if any(name.startswith(_OPENERS) for name in names):
            reason = f"beside {os.path.basename(source.file)}, which opens libraries"
            new = (each for each in beside if each not in modules)
            found.update((each, Candidate(each, source.entry, reason, named=True)) for each in new)
    return list(found.values())


def without_matches(closure: Closure, scripts: Iterable[Candidate], directories: Directories) -> Closure:
    """Returns a closure whose misses are not in the folder of the script that imports them."""
    matched = {edge for _, _, edge in _matches(closure, {each.file for each in scripts}, directories)}
    return replace(closure, misses=tuple(each for each in closure.misses if each not in matched))


def _matches(
    closure: Closure, scripts: Iterable[str], directories: Directories
) -> Iterator[tuple[str, str, Edge]]:
    known = set(scripts)
    for edge in closure.misses if known else ():
        reached = closure.reached.get(edge.importer)
        if reached is not None and isinstance(reached.found, FirstParty) and reached.found.file in known:
            file = _in_folder(os.path.dirname(reached.found.file), edge.imported, directories)
            if file is not None:
                yield reached.found.file, file, edge


def _in_folder(folder: str, name: str, directories: Directories) -> str | None:
    *packages, last = name.split(".")
    for package in packages:
        if package not in directories.list(folder).directories:
            return None
        folder = os.path.join(folder, package)
    listing = directories.list(folder)
    if last in listing.directories and "__init__.py" in directories.list(os.path.join(folder, last)).files:
        return os.path.join(folder, last, "__init__.py")
    return os.path.join(folder, f"{last}.py") if f"{last}.py" in listing.files else None
