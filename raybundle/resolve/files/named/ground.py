"""Says where the paths of a job are looked up."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH120

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.resolve.files.git_ignored import repository_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.resolve.facts import Named
    from raybundle.resolve.files.data_files import Candidate
    from raybundle.resolve.find.directories import Directories
    from raybundle.resolve.find.finder import Finder


@dataclass(frozen=True, slots=True)
class Ground:
    """Where paths are looked up."""

    project: str
    start: str
    """The directory in which the job starts; the project's root where that is none of the project."""
    cwd: str
    """The directory in which the user gives the command."""
    path: frozenset[str]
    """The directories in which modules are looked for."""
    allowed: tuple[str, ...]
    """Directories that links may lead to."""
    directories: Directories
    included: frozenset[str]
    """Files that `include` names: they travel in any case."""
    exclude: tuple[str, ...]

    def entered(self, named: Iterable[tuple[str, Named]]) -> tuple[str, ...]:
        """Returns the directories that sources change to."""
        found = dict[str, None]()
        for source, each in named:
            if each.role == "cwd":
                base = os.path.dirname(source) if each.place == "here" else self.start
                found[os.path.normpath(os.path.join(base, each.path))] = None
        return tuple(each for each in found if each not in {self.start, self.project})


def ground_of(
    finder: Finder,
    project: str,
    starts: tuple[str, str],
    wanted: Iterable[Candidate],
    exclude: tuple[str, ...],
) -> Ground:
    """Returns the ground of a resolution.

    Args:
        finder: of the driver's path.
        project: its root.
        starts: the directory in which the job starts, relative to it; and the current directory.
        wanted: the files that `include` names.
        exclude: patterns of what does not travel.
    """
    entries = [each for each in finder.path if finder.is_first_party(each)]
    start, cwd = starts
    own = {*entries, repository_of(project) or project}.difference(finder.added)
    return Ground(
        project,
        os.path.join(project, start) if start else project,
        cwd,
        frozenset(entries),
        tuple(f"{each}/" for each in sorted({*own, project})),
        finder.directories,
        frozenset(each.file for each in wanted),
        exclude,
    )
