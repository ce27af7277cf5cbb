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
    """Tells one run of a test from the next, in a loop."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One directory that a module puts on `sys.path`."""

    directory: str
    """Absolute, and as Python would compare it: links and `..` are still in it."""
    index: int | None
    """As given to `insert`; None at the end."""
    line: int
    unless: AbsenceTest | None = None
    replaces: bool = False
    """What stands at `index` goes."""


@dataclass(frozen=True, slots=True)
class Edits:
    """What a module does to `sys.path`, in order."""

    edits: tuple[Edit, ...] = ()
    lines: frozenset[int] = frozenset()
    """Lines that were understood, also where they edit nothing."""
    followed: tuple[str, ...] = ()
    """Paths whose symbolic links were resolved on the way."""
    reads_files: bool = False
    """`.pth` files had a say."""
    possible: frozenset[tuple[int, str]] = frozenset()
    """Lines that may run or not, in functions and branches, and the directories that they would add."""


def apply_edits(path: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """Return `path` after `edits`; of a directory that is there twice, the first counts."""
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
