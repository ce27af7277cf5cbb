"""Makes the embedded cluster's temporary directory, and removes it only if raybundle made it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path

LONGEST = 22
"""Longest parent of the directory in bytes: Ray's socket paths have 107 (unix(7))."""
MARK = ".raybundle-made"
"""File that holds device and inode of the directory: in a copy, or anywhere else, they are others."""


def make_temp_dir() -> Path:
    """Makes a private directory; in it, Ray makes its own for every user of the machine (mode 0777)."""
    system = tempfile.gettempdir()
    parent = system if len(os.fsencode(system)) <= LONGEST else "/tmp"  # noqa: S108 - the short one
    directory = Path(tempfile.mkdtemp(prefix="rb-", dir=parent))
    (directory / MARK).write_text(_identity(directory.lstat()), encoding="ascii")
    return directory


def remove_temp_dir(directory: Path) -> bool:
    """Removes a directory that `make_temp_dir` made, with all that is in it; leaves any other as it is.

    The record that names it is a file that anything may have changed: it is no reason to remove something.
    """
    try:
        status = directory.lstat()
        mark = (directory / MARK).read_text(encoding="ascii")
    except (OSError, ValueError):
        return False
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and mark == _identity(status)
    if ours:
        shutil.rmtree(directory, ignore_errors=True)
    return ours


def _identity(status: os.stat_result) -> str:
    return f"{status.st_dev} {status.st_ino}\n"
