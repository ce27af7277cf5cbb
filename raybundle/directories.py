"""Finds a user's directories, and makes them the user's alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def user_directory(environ: Mapping[str, str], variable: str, default: str) -> Path:
    """Returns the directory in `variable`, or else `default` in the home directory.

    A relative path in the variable is ignored (XDG Base Directory Specification).
    """
    named = environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path(environ.get("HOME", "~")).expanduser() / default


def make_private(directory: Path) -> Path:
    """Makes a directory and its missing parents for this user alone, under any umask; returns the directory.

    A directory of this user that is there already loses the rights of others.
    """
    missing = [directory, *directory.parents]
    for each in reversed(missing[: next(at for at, each in enumerate(missing) if each.is_dir())]):
        each.mkdir(mode=0o700, exist_ok=True)
    status = directory.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        directory.chmod(0o700)
    return directory
