"""Puts together the ordered path on which the driver runs, and names its roots."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.errors import UsageError
from raybundle.formats.archive_paths import archive_path, normalised
from raybundle.model import Root, RootSymbol
from raybundle.resolve.evaluate.edits import apply_edits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raybundle.model import ArchivePath, Interpreter
    from raybundle.resolve.evaluate.edits import Edit


def declared_roots(project: Path, roots: Iterable[str]) -> tuple[str, ...]:
    """Returns the directories that the configuration declares.

    Raises:
        UsageError: one of them is no directory.
    """
    directories = []
    for root in roots:
        directory = project / root
        if not directory.is_dir():
            raise UsageError(
                f"`{root}` in `roots` of [tool.raybundle] is no directory",
                hint=f"write it relative to {project}",
            )
        directories.append(str(directory))
    return tuple(directories)


def driver_path(
    first: Path | None, declared: Iterable[str], interpreter: Interpreter, edits: Iterable[Edit]
) -> tuple[str, ...]:
    """Returns the driver's path: roots as real paths, the interpreter's own entries as it writes them."""
    own = {*interpreter.stdlib, *interpreter.site}
    start = [] if first is None else [str(first)]
    path = apply_edits(
        [*start, *interpreter.path], edits
    )  # its indexes are those of the driver, without ours
    behind = path.index(start[0]) + 1 if start and start[0] in path else 0
    path[behind:behind] = declared
    return tuple(dict.fromkeys(entry if entry in own else os.path.realpath(entry) for entry in path))


def name_roots(
    project: Path, entries: Iterable[str], sources: Mapping[str, str] | None = None
) -> dict[str, Root]:
    """Returns the root of each of `entries`, which are real paths in path order.

    A root inside the project is `project:<path>`; others are `root:1`, `root:2`, … in path order, and one
    inside another of them is `root:1:<path>`. `sources` says of some why they are roots.
    """
    entries = list(entries)
    outside = [entry for entry in entries if _relative(entry, str(project)) is None]
    numbers: dict[str, int] = {}
    roots = {}
    for entry in entries:
        inside = _relative(entry, str(project))
        if inside is not None:
            symbol = f"project:{inside}"
        else:
            owner = min((each for each in outside if _relative(entry, each) is not None), key=len)
            number = numbers.setdefault(owner, len(numbers) + 1)
            inner = _relative(entry, owner)
            symbol = f"root:{number}" if inner == "." else f"root:{number}:{inner}"
        roots[entry] = Root(RootSymbol(normalised(symbol)), Path(entry), (sources or {}).get(entry, ""))
    return roots


def archive_path_in(file: str, entry: str, roots: Mapping[str, Root], project: Path) -> ArchivePath:
    """Returns where `file`, found under `entry`, is in an archive.

    Raises:
        RefusedFileError: its name cannot travel.
    """
    inside = _relative(file, str(project))
    if inside is not None and _relative(entry, str(project)) is not None:
        return archive_path(normalised(f"project/{inside}"))
    number, _, inner = roots[entry].symbol.removeprefix("root:").partition(":")
    parts = (f"root-{number}", inner, _relative(file, entry) or "")
    return archive_path(normalised("/".join(part for part in parts if part)))


def _relative(path: str, directory: str) -> str | None:
    """Returns `path` relative to `directory`, `.` for itself, or None if it is elsewhere."""
    if path == directory:
        return "."
    prefix = directory.rstrip(os.sep) + os.sep
    return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else None
