"""Identifies files by what `stat` says of them, and reads those whose content an answer depends on."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH116

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from raybundle.errors import BundleError, RefusedFileError

YOUNG = 2_000_000_000
"""Nanoseconds: a file changed this recently may change again within one tick of its file system's clock."""
Identity = tuple[int, int, int, int]
"""Size, mtime_ns, inode, ctime_ns."""
_TORN: tuple[Identity, str] = ((0, 0, 0, 0), "torn")
"""Of a file that was not the same each time it was read; no file is like that."""


def note_read(consulted: dict[str, tuple[Identity, str]], file: str, identity: Identity, digest: str) -> None:
    """Note in `consulted` what `file` was; with one that was something else before, no answer is kept."""
    if consulted.setdefault(file, (identity, digest))[1] != digest:
        consulted[file] = _TORN


def read_source(file: str) -> bytes:
    """Return the bytes of `file`.

    Raises:
        RefusedFileError: it cannot be read.
    """
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def read_noted(file: str, consulted: dict[str, tuple[Identity, str]]) -> bytes:
    """Return the bytes of `file`, and note in `consulted` that it has a say in the answer.

    Raises:
        RefusedFileError: it cannot be read.
    """
    try:
        identity = identity_of(file)
        data = read_source(file)
    except RefusedFileError:
        consulted[file] = _TORN
        raise
    note_read(consulted, file, identity, hashlib.sha256(data).hexdigest())
    return data


def is_young(identity: Identity, now: int) -> bool:
    """Return whether what has this identity may have changed again without a sign of it.

    Args:
        identity: of a file or a directory.
        now: what the clock showed before it was read.
    """
    return now - max(identity[1], identity[3]) < YOUNG


def find_identity(path: str) -> Identity | None:
    """Return the identity of a file or directory, or of what a link leads to; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def identity_of(file: str) -> Identity:
    """Return the identity of a file or of what a link leads to.

    Raises:
        RefusedFileError: there is none, or it cannot be asked for.
    """
    try:
        status = os.stat(file)
    except OSError as error:
        raise _unreadable(file, error) from error
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def _unreadable(file: str, error: OSError) -> BundleError:
    return RefusedFileError(
        f"{file} is imported but cannot be read: {error.strerror}", hint="make the file readable"
    )
