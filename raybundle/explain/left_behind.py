"""Adds up by folder which files of a project are not in its bundle."""

# Why strings: a large project has 100,000 files; pathlib would cost ten times as much.
# ruff: noqa: PTH118

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.explain.unread import MOST, data_below
from raybundle.resolve.files.git_ignored import listed_by_git

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class LeftFolder:
    """A top-level folder of the project, and its files that are not bundled."""

    name: str
    """`.` for files that are in no folder."""
    files: int
    bytes: int


def left_behind(project: Path, taken: Collection[str], environ: Mapping[str, str]) -> tuple[LeftFolder, ...]:
    """Returns the files that git does not ignore and the bundle does not have, the largest folder first.

    In a project that is not in a repository of git, these are the files that may be data.

    Args:
        project: its root.
        taken: the files of the bundle, absolute.
        environ: for git.
    """
    names = listed_by_git(str(project), environ)
    if names is None:
        names = [name for name, _ in data_below(str(project))]
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
    """Returns the size of a regular file; None for a link, an inner repository or a deleted file."""
    try:
        status = os.lstat(file)
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
