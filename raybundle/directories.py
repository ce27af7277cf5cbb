"""Finds a user's directories, makes them the user's alone, and opens what may have been planted there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping

_OTHERS_WRITE = 0o022
"""Mode bits of a file that its group or everybody may write."""


class NotRegularError(FileNotFoundError):
    """What has the name of a file is a pipe, a device or another thing that reading may never end."""


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


def make_own(directory: Path) -> Path:
    """Does the same as `make_private`, and refuses a directory of another user, who can replace all in it.

    Raises:
        OSError: it belongs to another user, or cannot be made.
    """
    if make_private(directory).stat().st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "it belongs to another user", str(directory))
    return directory


def is_private(status: os.stat_result) -> bool:
    """Returns whether no other user could write the file."""
    return status.st_uid == os.geteuid() and not status.st_mode & _OTHERS_WRITE


def open_regular(path: Path) -> BinaryIO:
    """Opens a file to read it; never waits for another process, as opening a pipe does.

    Raises:
        NotRegularError: it is not a regular file.
        OSError: it cannot be opened.
    """
    return _opened(path, os.O_RDONLY)


def open_lock(path: Path) -> BinaryIO:
    """Opens a file that processes lock; makes a missing one, and follows no link.

    Raises:
        OSError: as `open_regular`.
    """
    return _opened(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)


def _opened(path: Path, flags: int) -> BinaryIO:
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return open(descriptor, "rb" if flags == os.O_RDONLY else "r+b", buffering=0)  # noqa: PTH123
    os.close(descriptor)
    raise NotRegularError(errno.ENOENT, "not a regular file", str(path))


def read_own(path: Path, most: int) -> bytes:
    """Returns the content of a file of this user.

    Raises:
        NotRegularError: it is not a regular file.
        OSError: it is larger, it belongs to another user, or it cannot be read.
    """
    with open_regular(path) as stream:
        status = os.fstat(stream.fileno())
        if status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "it belongs to another user", str(path))
        if status.st_size > most:
            raise OSError(errno.EFBIG, "it is too large", str(path))
        return stream.read()
