"""Holds edits of `sys.path`, and applies them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class AbsenceTest:
    """The test `if directory not in sys.path`, made once for all edits below it."""

    directory: str
    number: int
    """Distinguishes the runs of a test in a loop."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One directory that a module puts on `sys.path`."""

    directory: str
    """Absolute, and as Python would compare it: with links and `..`."""
    index: int | None
    """As passed to `insert`. None appends."""
    line: int
    unless: AbsenceTest | None = None
    replaces: bool = False
    """The directory replaces the entry at `index`."""
    given: bool = False
    """The line only calls something that adds it."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What a module does to `sys.path`, in order."""

    edits: tuple[Edit, ...] = ()
    lines: frozenset[int] = frozenset()
    """Lines that were understood, even if they edit nothing."""
    followed: tuple[str, ...] = ()
    """Paths whose symbolic links were resolved."""
    reads_files: bool = False
    """The edits depend on `.pth` files."""
    possible: frozenset[tuple[int, str]] = frozenset()
    """Lines in functions and branches, which may not run, and the directories that they would add."""


def apply_edits(path: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """Returns `path` after `edits`. The first of equal directories counts."""
    result = list(path)
    absent: dict[AbsenceTest, bool] = {}
    for edit in edits:
        if edit.unless is not None and not absent.setdefault(
            edit.unless, edit.unless.directory not in result
        ):
            continue
        if edit.index is None:
            result.append(edit.directory)
        elif not edit.replaces:
            result.insert(edit.index, edit.directory)
        elif -len(result) <= edit.index < len(result):
            result[edit.index] = edit.directory
    return list(dict.fromkeys(result))
