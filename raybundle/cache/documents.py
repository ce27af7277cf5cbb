"""Keeps small documents between runs; a damaged one counts as absent."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from raybundle.cache.identity import find_identity, is_young
from raybundle.cache.own_code import OWN, digest_of, own_code, state_of
from raybundle.cache.room import ABANDONED, make_room, touch
from raybundle.directories import is_private, make_private, open_regular
from raybundle.errors import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

T = TypeVar("T")

INCOMING = "incoming"
"""The folder of the cache for unfinished work."""
_LARGEST = 1 << 29
"""Bytes of the largest document that is read: an answer of 13,000 modules has some ten million."""


class Kind(NamedTuple):
    """Documents that share a folder of the cache and a bound."""

    folder: str
    most: int
    """How many are kept."""
    in_use: int = 0
    """A document used within this many nanoseconds is kept in any case."""


_CODE = Kind("code", 16)
"""The digests of raybundle's sources, by what `stat` says of them: reading all takes 15 ms at each start."""
_digests: dict[str, str] = {}
"""Those that this process knows."""


@dataclass(frozen=True, slots=True)
class Cache:
    """Keeps documents in a directory, for one version of the code."""

    directory: Path
    clock: Callable[[], int] = time.time_ns
    """Returns nanoseconds since the epoch; a test gives a clock of its own."""
    code: Path = OWN
    """The sources of raybundle: an answer counts only for the code that gave it."""

    def key(self, *question: Any) -> str:
        """Returns the name of an answer: a digest of the question, which is JSON, and of the code."""
        text = json.dumps([own_code(self._digest()), question])
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _digest(self) -> str:
        state = state_of(self.code)
        if state not in _digests:
            digest = self.read_text(_CODE, state)
            if not digest:
                self.write_text(_CODE, state, digest := digest_of(self.code))
            _digests[state] = digest
        return _digests[state]

    def path(self, kind: Kind, name: str) -> Path:
        """Returns the file of a document."""
        return self.directory / kind.folder / name

    def incoming(self) -> Path:
        """Returns the directory for unfinished work; what was left there a day ago is gone.

        Raises:
            OSError: it cannot be made.
        """
        incoming = self.directory / INCOMING
        make_private(incoming)
        make_room(incoming, 0, self.clock(), ABANDONED)
        return incoming

    def recall(self, kind: Kind, name: str, parse: Callable[[Any], T]) -> T | None:
        """Returns what `parse` makes of the answer that `keep` kept.

        None if there is none, if one of its files changed, or if `parse` cannot read it.
        """

        def parse_kept(document: dict[str, Any]) -> T | None:
            files = document["files"]
            changed = any(_row(file) != row for file, row in files.items())
            return None if changed else parse(document["answer"])

        return self.read(kind, name, parse_kept)

    def keep(self, kind: Kind, name: str, answer: Any, files: Iterable[str], began: int) -> None:
        """Keeps an answer until one of its files changes; if one is young, it is not kept at all.

        Args:
            kind: the kind of the answer.
            name: as `key` gives it.
            answer: JSON, but not None.
            files: paths of the files and directories that the answer depends on.
            began: what `clock` returned before the first of them was read.
        """
        rows = {file: find_identity(file) for file in files}
        if not any(row is not None and is_young(row, began) for row in rows.values()):
            self.write(kind, name, {"files": rows, "answer": answer})

    def read(self, kind: Kind, name: str, parse: Callable[[dict[str, Any]], T]) -> T | None:
        """Returns what `parse` makes of a document.

        None if it is absent, damaged, of another shape, or open to other writers: then it is made anew.
        """
        text = self.read_text(kind, name)
        try:
            return parse(json.loads(text)) if text else None
        except UNREADABLE:
            return None

    def write(self, kind: Kind, name: str, document: dict[str, Any]) -> None:
        """Keeps a document. A cache that cannot be written costs time, but fails no build."""
        self.write_text(kind, name, json.dumps(document, separators=(",", ":")))

    def read_text(self, kind: Kind, name: str) -> str:
        """Returns an ASCII text; an empty one if it is absent, damaged, or open to other writers."""
        try:
            with open_regular(self.path(kind, name)) as stream:
                status = os.fstat(stream.fileno())
                if not is_private(status) or status.st_size > _LARGEST:
                    return ""
                checksum, _, data = stream.read().partition(b"\n")
                if checksum != _checksum(kind, name, data):
                    return ""
                touch(stream.fileno())
            return data.decode("ascii")
        except (OSError, ValueError):
            return ""

    def latest(self, kind: Kind, start: str) -> str:
        """Returns the name of the document used last of those that begin with `start`; empty if none does."""
        try:
            with os.scandir(self.directory / kind.folder) as entries:
                found = [
                    (each.stat().st_mtime_ns, each.name) for each in entries if each.name.startswith(start)
                ]
        except OSError:
            return ""
        return max(found, default=(0, ""))[1]

    def write_text(self, kind: Kind, name: str, text: str) -> None:
        """Keeps an ASCII text with its checksum, and makes room for it."""
        data, path = text.encode("ascii"), self.path(kind, name)
        with contextlib.suppress(OSError):
            make_private(self.directory)
        write_atomically(path, _checksum(kind, name, data) + b"\n" + data)
        make_room(path.parent, kind.most, self.clock(), kind.in_use)


def _row(file: str) -> list[int] | None:
    """Returns an identity in its JSON form."""
    identity = find_identity(file)
    return None if identity is None else list(identity)


def _checksum(kind: Kind, name: str, data: bytes) -> bytes:
    """Returns a CRC-32. It detects damage and moved files; owner and mode keep other users out."""
    return b"%08x" % zlib.crc32(data, zlib.crc32(f"{kind.folder}/{name}".encode()))


def write_atomically(path: Path, data: bytes, *, synced: bool = False) -> None:
    """Replaces a file, readable only by its owner. If that is not possible, leaves it as it was.

    Documents of the cache have a checksum, so one that a power loss has torn counts as absent. What has none
    must be `synced`.
    """
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{time.monotonic_ns()}")
    with contextlib.suppress(OSError):
        make_private(path.parent)
        try:
            temporary.touch(mode=0o600, exist_ok=False)
            with temporary.open("wb") as stream:
                stream.write(data)
                if synced:
                    stream.flush()
                    os.fsync(stream.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
