"""Adds up what of a project's repository is not in its bundle, by folder."""

# Why strings: a large project has 100,000 files; pathlib would cost ten times as much.
# ruff: noqa: PTH118

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.resolve.files.git_ignored import listed_by_git

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

MOST = 20_000
"""Files that are looked at; what a larger project has beyond them is not added up."""


@dataclass(frozen=True, slots=True)
class LeftFolder:
    """A folder at the top of the project, and what of it stays."""

    name: str
    """`.` for the files that lie in none."""
    files: int
    bytes: int


def left_behind(
    project: Path, taken: Collection[str], environ: Mapping[str, str]
) -> tuple[LeftFolder, ...] | None:
    """Return what git has or does not ignore, and the bundle has not, the most bytes first.

    Args:
        project: its root.
        taken: the files of the bundle, absolute.
        environ: for git.

    Returns:
        None where git does not know: without git, or outside of a repository.
    """
    names = listed_by_git(str(project), environ)
    if names is None:
        return None
    sums: dict[str, tuple[int, int]] = {}
    for name in names[:MOST]:
        file = os.path.join(project, name)
        size = None if file in taken else _size(file)
        if size is not None:
            top, slash, _ = name.partition("/")
            files, total = sums.get(top if slash else ".", (0, 0))
            sums[top if slash else "."] = (files + 1, total + size)
    found = [LeftFolder(name, *numbers) for name, numbers in sums.items()]
    return tuple(sorted(found, key=lambda each: (-each.bytes, each.name)))


def _size(file: str) -> int | None:
    """Return the size of a regular file, or None for what is gone, a link or a repository within."""
    try:
        status = os.lstat(file)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
