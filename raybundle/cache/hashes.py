"""Keeps the SHA-256 of files between runs, by what `stat` returns: an unchanged file is hashed once."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from raybundle.cache.documents import Kind
from raybundle.cache.identity import identity_from, is_young
from raybundle.cache.room import latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.cache.documents import Cache

KEPT = Kind("hashes", 64)
"""One document per project. It outlives changes of the code: without it, all files would be read again."""
MOST = 200_000
"""Hashes of one project; those that were needed longest ago make room."""
CHUNK = 1 << 20
"""Bytes that are hashed at a time."""


@dataclass(slots=True)
class Hashes:
    """The hashes of the files of one project."""

    cache: Cache
    project: str
    told: Callable[[int], None] = lambda _count: None
    """Hears how many bytes were read now."""
    _known: dict[str, str] = field(init=False)
    _used: dict[str, str] = field(default_factory=dict, init=False)
    _new: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._known = self._read()

    def find(self, file: str, status: os.stat_result) -> str | None:
        """Returns the SHA-256 of a file in hex; None if it is not known in this state."""
        identity, _, sha256 = str(self._known.get(file, "")).rpartition(" ")
        if identity != _text(status):
            return None
        self._used[file] = f"{identity} {sha256}"
        return sha256

    def read(self, file: str, stream: BinaryIO) -> tuple[str, bool]:
        """Returns the SHA-256 of an open file in hex, and whether it may be changing now.

        It is kept if the file was the same before and after, is not young, and no process writes to it.
        """
        began, before = self.cache.clock(), os.fstat(stream.fileno())
        found = hashlib.sha256()
        while data := stream.read(CHUNK):
            found.update(data)
            self.told(len(data))
        after = os.fstat(stream.fileno())
        changing = _text(before) != _text(after) or is_young(identity_from(after), began)
        changing = changing or _is_being_written(stream.fileno())
        if not changing:
            self._used[file] = f"{_text(after)} {found.hexdigest()}"
            self._new = True
        return found.hexdigest(), changing

    def save(self) -> None:
        """Keeps new hashes together with those of other processes."""
        if self._new:
            self.cache.write(KEPT, self._name(), latest(self._read(), self._used, MOST))

    def _read(self) -> dict[str, Any]:
        return self.cache.read(KEPT, self._name(), dict) or {}

    def _name(self) -> str:
        return hashlib.sha256(os.fsencode(self.project)).hexdigest()[:32]


def _text(status: os.stat_result) -> str:
    return " ".join(map(str, identity_from(status)))


def _is_being_written(descriptor: int) -> bool:
    """Returns whether a process has the file open or mapped to write, as far as the file system tells.

    Only the first write to a mapped page changes the time of a file, so later ones leave no trace. Linux
    grants a read lease on a file that no process writes (fcntl(2)); it is given back at once.
    """
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415 - no such module on Windows

    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # SIGIO, the default, would end this process
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
