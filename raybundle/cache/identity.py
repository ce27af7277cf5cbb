"""Identifies files by what `stat` returns, and reads the files that an answer depends on."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH116

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from raybundle.errors import BundleError, RefusedFileError

YOUNG = 2_000_000_000
"""Nanoseconds: a file that changed this recently may change again within one tick of the file system."""
Identity = tuple[int, int, int, int]
"""Size, mtime_ns, inode, ctime_ns."""
_TORN: tuple[Identity, str] = ((0, 0, 0, 0), "torn")
"""Marks a file that differed between two reads; no real file matches it."""


def note_read(consulted: dict[str, tuple[Identity, str]], file: str, identity: Identity, digest: str) -> None:
    """Notes in `consulted` what `file` was; if it was something else before, no answer is kept."""
    if consulted.setdefault(file, (identity, digest))[1] != digest:
        consulted[file] = _TORN


def read_source(file: str) -> bytes:
    """Returns the bytes of `file`.

    Raises:
        RefusedFileError: it cannot be read.
    """
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise _unreadable(file, error) from error


def read_noted(file: str, consulted: dict[str, tuple[Identity, str]]) -> bytes:
    """Returns the bytes of `file`, and notes in `consulted` that the answer depends on it.

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
    """Returns whether a file or directory may have changed again and still have this identity.

    Args:
        identity: its identity when it was read.
        now: nanoseconds since the epoch, from before it was read.
    """
    return now - max(identity[1], identity[3]) < YOUNG


def find_identity(path: str) -> Identity | None:
    """Returns the identity of a file or directory, or of a link's destination; None if it does not exist."""
    try:
        return identity_from(os.stat(path))
    except OSError:
        return None


def identity_from(status: os.stat_result) -> Identity:
    """Returns the identity in what `stat` has returned."""
    return (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns)


def identity_of(file: str) -> Identity:
    """Returns the identity of a file, or of a link's destination.

    Raises:
        RefusedFileError: it does not exist, or its directory is closed to this user.
    """
    try:
        return identity_from(os.stat(file))
    except OSError as error:
        raise _unreadable(file, error) from error


def _unreadable(file: str, error: OSError) -> BundleError:
    return RefusedFileError(
        f"{file} is imported but cannot be read: {error.strerror}", hint="make the file readable"
    )
