"""A store in a local directory: objects are complete, created once, and on disk when `put_new` returns."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from raybundle.directories import make_private, open_regular
from raybundle.errors import ObjectMissingError, ObjectTooLargeError, StoreAccessError
from raybundle.store.base import LARGEST_DOCUMENT, PIECE_BYTES, Entry, check_key, collect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.store.base import Chunks

INCOMING = ".incoming"
"""Folder of unfinished writes; on the store's file system, because `link` cannot cross file systems."""

ABANDONED = 10
"""Seconds after the last byte of an unfinished write at which it is abandoned, unless its lock is held."""

HINTS = {
    errno.EACCES: "make the directory writable for this user, or name another one with --store",
    errno.EROFS: "the file system is read-only: name another directory with --store",
    errno.ENOSPC: "make room, or name another directory with --store",
    errno.EDQUOT: "your quota is used up: make room, or name another directory with --store",
    errno.EPERM: "the file system may have no hard links: name a directory on another one with --store",
    errno.EXDEV: "the store's directory must be on one file system: name another directory with --store",
}
HINTS[errno.ENOTSUP] = HINTS[errno.EOPNOTSUPP] = HINTS[errno.EPERM]


class LocalStore:
    """A directory on this machine."""

    def __init__(self, directory: Path, *, private: bool = False) -> None:
        """Does not read the directory yet.

        Args:
            directory: of the objects.
            private: it and all objects are for this user alone, under any umask; otherwise the umask decides.
        """
        self._directory = directory.absolute()
        self._private = private
        self._swept = False

    @property
    def url(self) -> str:
        """As `file://…`, percent-encoded."""
        return self._directory.as_uri()

    @property
    def place(self) -> str:
        """The URL names it."""
        return self.url

    @property
    def exclusive(self) -> bool:
        """True: `link` does not replace a file."""
        return True

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        """Reads the file piece by piece, unless its status says that it is larger."""
        name = f"{key} in {self.url}"
        with self.open(key) as stream, self._access("read"):
            if os.fstat(stream.fileno()).st_size > most:
                raise ObjectTooLargeError(name=name, most=most)
            return collect(iter(lambda: stream.read(PIECE_BYTES), b""), most, name)

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Reads the file piece by piece."""
        with self.open(key) as stream, self._access("read"):
            stream.seek(start)
            while data := stream.read(PIECE_BYTES):
                yield data

    def put_new(self, key: str, data: bytes) -> str | None:
        """Writes a temporary file, then links it: the key appears with the whole object or not at all."""
        return self._put(key, [data])

    def open(self, key: str) -> BinaryIO:
        """Opens the file itself."""
        path = self._path(key)
        with self._access("read"):
            try:
                return open_regular(path)
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
                raise ObjectMissingError(f"no object {key} in {self.url}") from error

    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        """Writes the chunks as they come."""
        return self._put(key, chunks())

    def _put(self, key: str, chunks: Iterable[bytes]) -> str | None:
        path = self._path(key)
        with self._access("write to"):
            if self._private and self._directory.is_dir():
                make_private(self._directory)
            self._make_directory(path.parent)
            with self._written(chunks) as temporary:
                try:
                    os.link(temporary, path)
                except FileExistsError:
                    return None
            _sync_directory(path.parent)
            with contextlib.suppress(FileNotFoundError):  # `gc` may have removed it already
                return _mark(path.stat())
        return "removed"

    def size(self, key: str) -> int | None:
        """Returns the size of the file."""
        entry = self.entry(key)
        return None if entry is None else entry.size

    def entry(self, key: str) -> Entry | None:
        """Asks for the status of the file."""
        path = self._path(key)
        with self._access("read"), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return _entry(key, path.stat()) if path.is_file() else None
        return None

    def keys(self, prefix: str) -> list[str]:
        """Walks only the folder that the prefix names."""
        start = self._directory / prefix.rpartition("/")[0]
        with self._access("list"):
            found = (path.relative_to(self._directory).as_posix() for path in _files(start))
            return sorted(key for key in found if key.startswith(prefix))

    def entries(self, prefix: str) -> list[Entry]:
        """Asks for the status of each file; one that is removed meanwhile is left out."""
        found = []
        for key in self.keys(prefix):
            path = self._directory / key
            with self._access("list"):
                try:
                    found.append(_entry(key, path.stat()))
                except FileNotFoundError:
                    if path.is_symlink():  # it may lead to a folder on a disk that is not mounted
                        raise
        return found

    def remove(self, key: str) -> bool:
        """Removes the file; its folder stays, because a writer may be about to use it."""
        with self._access("remove from"):
            self._path(key).unlink(missing_ok=True)
        return True

    def node_url(self, key: str) -> str:
        """As `file://…`; Ray 2.60 decodes percent-encoding (`ray/_private/runtime_env/protocol.py`)."""
        return self._path(key).as_uri()

    def _path(self, key: str) -> Path:
        return self._directory / check_key(key)

    def _make_directory(self, directory: Path) -> None:
        """Creates the directory and its parents, and syncs their names to disk."""
        if directory.is_dir():
            return
        self._make_directory(directory.parent)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700 if self._private else 0o777)
        _sync_directory(directory.parent)

    @contextlib.contextmanager
    def _written(self, chunks: Iterable[bytes]) -> Iterator[Path]:
        temporary = self._directory / INCOMING / f"{os.getpid()}-{secrets.token_hex(8)}"
        self._make_directory(temporary.parent)
        if not self._swept:
            self._swept = True
            _sweep(temporary.parent)
        mode = 0o400 if self._private else 0o666
        try:
            with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
                with contextlib.suppress(OSError):  # where there are no locks, nothing is swept
                    fcntl.flock(file, fcntl.LOCK_SH)
                file.writelines(chunks)
                file.flush()
                os.fsync(file.fileno())
                yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _access(self, verb: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = error.filename or self._directory
            raise StoreAccessError(
                f"cannot {verb} the store {self._directory}: {error.strerror} ({where})",
                hint=HINTS.get(error.errno or 0),
            ) from error


def _entry(key: str, status: os.stat_result) -> Entry:
    modified = datetime.fromtimestamp(status.st_mtime, timezone.utc)
    return Entry(key, status.st_size, modified, _mark(status))


def _mark(status: os.stat_result) -> str:
    """Returns a file's identity."""
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_ctime_ns}"


def _sweep(incoming: Path) -> None:
    """Removes what killed writers left. A writer, also one that is suspended, holds a lock on its file.

    Other users may write to the store: no link is followed, else it could lead to any directory.
    """
    try:
        folder = os.open(incoming, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        for entry in os.scandir(folder):
            with contextlib.suppress(OSError):  # in use, or another process is faster
                if entry.is_file(follow_symlinks=False) and time.time() - entry.stat().st_mtime > ABANDONED:
                    _remove_unlocked(entry.name, folder)
    finally:
        os.close(folder)


def _remove_unlocked(name: str, folder: int) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.unlink(name, dir_fd=folder)
    finally:
        os.close(descriptor)


def _files(directory: Path) -> Iterator[Path]:
    """Yields the files below a folder. What is hidden, or not a regular file, is not an object."""
    try:
        entries = list(os.scandir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _files(Path(entry.path))
        elif entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path)):  # noqa: PTH110
            yield Path(entry.path)  # a link that leads nowhere: its disk may not be mounted


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
