"""Warns of zip archives on the path, whose modules are not found, and refuses them if one is needed."""

# Why strings: paths here are the strings that `sys.path` holds, and `os.path` asks without an error.
# ruff: noqa: PTH112, PTH113, PTH120

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.model import Warning
from raybundle.resolve.find.finder import FirstParty, NotFound, ThirdParty

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.reached import Closure

_HINT = "unpack it and declare the directory in `roots` of [tool.raybundle]"


def archives_on(finder: Finder, closure: Closure, declared: Collection[str]) -> list[Warning]:
    """Returns a warning for each archive on the path with modules that are found nowhere else.

    An archive may be unpacked into one of the `declared` roots. What such a root has is not needed from it.

    Raises:
        BundleError: Python would take a module from an archive.
    """
    warnings = []
    for position, entry in enumerate(finder.path):
        archive, inner = split_archive(entry)
        if archive is None or entry in finder.interpreter.stdlib:
            continue
        names = _top_level_names(archive, inner)
        needed = sorted(
            each for each in names & _wanted(closure) if _is_first(position, each, finder, declared)
        )
        if needed:
            raise BundleError(f"`{needed[0]}` is in the archive {entry}, which cannot travel", hint=_HINT)
        if any(isinstance(finder.find(name), NotFound) for name in names):
            text = f"{entry} on the path is an archive: modules in it are not looked for"
            warnings.append(Warning(text, archive, None, _HINT))
    return warnings


def split_archive(entry: str) -> tuple[Path | None, str]:
    """Returns the archive that an entry of the path leads into, if any, and the directory in it."""
    for each in no_directories(entry):
        if os.path.isfile(each):
            return Path(each), entry[len(each) + 1 :] or "."
    return None, ""


def no_directories(entry: str) -> Iterator[str]:
    """Yields `entry` and the paths above it, up to the first directory. One may be an archive."""
    while not os.path.isdir(entry) and entry != os.path.dirname(entry):
        yield entry
        entry = os.path.dirname(entry)


def _wanted(closure: Closure) -> set[str]:
    names = [*closure.reached, *closure.third_party]
    names += [each.imported for each in closure.misses]
    return {name.partition(".")[0] for name in names}


def _is_first(position: int, name: str, finder: Finder, declared: Collection[str]) -> bool:
    """Returns whether Python searches the archive at `position` before the place where `name` was found."""
    match finder.find(name):
        case FirstParty(entry=entry) if entry in declared:
            return False
        case FirstParty(entry=entry) | ThirdParty(entry=entry) if entry in finder.path:
            return position < finder.path.index(entry)
        case _:
            return True


def _top_level_names(archive: Path, inner: str) -> set[str]:
    import zipfile  # noqa: PLC0415 - start-up: an archive on the path is rare

    prefix = "" if inner == "." else f"{inner}/"
    try:
        with zipfile.ZipFile(archive) as opened:
            names = [name[len(prefix) :] for name in opened.namelist() if name.startswith(prefix)]
    except (OSError, zipfile.BadZipFile):
        return set()
    return {name.partition("/")[0].removesuffix(".py").removesuffix(".pyc") for name in names} - {""}
