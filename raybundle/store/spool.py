"""Copies objects to temporary files: on disk, not in memory."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, BinaryIO, cast

from raybundle.errors import StoreAccessError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGE_FILES = "/var/tmp"  # noqa: S108 - where the system wants large temporary files; /tmp is often in memory
"""Where copies go unless TMPDIR names a directory."""
_OPEN_FILES = "/proc/self/fd"
"""Has this process's open files by their numbers."""


@contextlib.contextmanager
def copy_of(key: str, pieces: Iterable[bytes]) -> Iterator[BinaryIO]:
    """Copies an object to a temporary file, and opens that at its start; `path_of` names it while it is open.

    On Linux no directory has the file, so a process that is killed leaves nothing.

    Raises:
        StoreAccessError: there is no room for it.
    """
    directory = _directory()
    with contextlib.ExitStack() as stack:
        with _room(key, directory):
            copy = stack.enter_context(_temporary(directory))
        for piece in pieces:
            with _room(key, directory):
                copy.write(piece)
        with _room(key, directory):
            copy.flush()
        copy.seek(0)
        yield copy


def path_of(copy: BinaryIO) -> str:
    """Returns a path by which this process can open a copy."""
    return copy.name if isinstance(copy.name, str) else f"{_OPEN_FILES}/{copy.fileno()}"


def _temporary(directory: str) -> BinaryIO:
    if os.path.isdir(_OPEN_FILES):  # noqa: PTH112 - a sandbox may have no /proc
        with contextlib.suppress(AttributeError, OSError):  # other systems, and some file systems of Linux
            return open(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600), "w+b")  # noqa: PTH123
    return cast("BinaryIO", tempfile.NamedTemporaryFile(prefix="raybundle-", dir=directory))


def _directory() -> str:
    for directory in (os.environ.get("TMPDIR"), LARGE_FILES):
        if directory and os.access(directory, os.W_OK | os.X_OK):
            return directory
    return tempfile.gettempdir()


@contextlib.contextmanager
def _room(key: str, directory: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreAccessError(
            f"cannot copy {key} to {directory}: {error.strerror}",
            hint="make room there, or set TMPDIR to a directory on another disk",
        ) from error
