"""Defines a store: create-only objects under POSIX keys."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from raybundle.errors import ObjectTooLargeError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    Chunks = Callable[[], Iterable[bytes]]
    """Returns the content of an object from its start, piece by piece; it is called once for each try."""

PIECE_BYTES = 1 << 20
"""Size of the pieces in which an object is read."""

LARGEST_DOCUMENT = 64 << 20
"""Bytes of the largest object that is read into memory as a whole, unless its reader says otherwise."""

SEGMENT_BYTES = 255
"""Longest part of a key between slashes: the limit of Linux file systems and SeaweedFS."""


class Entry(NamedTuple):
    """An object as a list shows it."""

    key: str
    size: int
    """Bytes."""
    modified: datetime
    """When it was written, in UTC."""
    mark: str
    """Differs if the object was written again with other bytes: S3's ETag, a file's identity; never empty."""


class Store(Protocol):
    """Objects that are created once and never overwritten.

    A key is a relative POSIX path whose parts do not start with a dot; `check_key` has all rules.
    Every method may raise `StoreAccessError`.
    """

    @property
    def url(self) -> str:
        """Opens the same store again; holds no credentials."""

    @property
    def place(self) -> str:
        """Identifies the store: the URL, and the server if the URL does not name it."""

    @property
    def exclusive(self) -> bool:
        """Whether objects appear whole, and one writer of several wins, as far as the client can tell.

        An S3 server may ignore the condition that is sent; `raybundle store probe` looks.
        """

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        """Returns the object.

        Raises:
            ObjectMissingError: There is no such object.
            ObjectTooLargeError: It has more than `most` bytes; not many more have been read.
        """

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Yields the bytes of the object from `start`, of which only a few pieces are in memory.

        Raises:
            ObjectMissingError: There is no such object.
        """

    def put_new(self, key: str, data: bytes) -> str | None:
        """Creates the object and returns its mark (see `Entry`), or returns None if the key exists.

        After None, the object may still be this one: a retried request can meet its own first try.
        `put_compared` reads it again.
        """

    def open(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Opens the object without holding it in memory. One that is elsewhere is copied to a temporary file.

        Raises:
            ObjectMissingError: There is no such object.
        """

    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        """Does the same as `put_new` for content that is not held in memory.

        If `chunks` raises an exception, so does this, and no object appears. The key must identify the
        content. Some stores take large objects only in parts: they look for the key and then write, and if
        two writers do so at the same time, the second object stays.
        """

    def size(self, key: str) -> int | None:
        """Returns the size of the object in bytes; None if there is no such object."""

    def entry(self, key: str) -> Entry | None:
        """Returns size and time of the object; None if there is no such object."""

    def keys(self, prefix: str) -> list[str]:
        """Returns all keys that start with this string, sorted; `a/b` matches `a/bc` and `a/b/c`."""

    def entries(self, prefix: str) -> list[Entry]:
        """Returns the objects whose keys start with this string, sorted by key; as few requests as `keys`."""

    def remove(self, key: str) -> bool:
        """Removes an object; one that does not exist is no error.

        Returns:
            Whether the request was surely sent once: a repeated one may be carried out once more, later.
        """

    def node_url(self, key: str) -> str | None:
        """Returns a URL that Ray's nodes can read; None if Ray does not know the scheme."""


def collect(pieces: Iterable[bytes], most: int, name: str) -> bytes:
    """Returns all pieces of an object as one.

    Raises:
        ObjectTooLargeError: they have more than `most` bytes.
    """
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > most:
            raise ObjectTooLargeError(name=name, most=most)
    return bytes(data)


def check_key(key: str) -> str:
    """Returns the key if it means the same object in every store.

    Raises:
        StoreError: It is absolute, has an empty or hidden part, a backslash, a control character, half of a
            surrogate pair, or a part that is too long.
    """
    if not all(map(_is_segment, key.split("/"))):
        raise StoreError(f"{key!r} cannot be the key of an object")
    return key


def _is_segment(segment: str) -> bool:
    return (
        bool(segment)
        and not segment.startswith(".")
        and "\\" not in segment
        and all(unicodedata.category(character) not in ("Cc", "Cs") for character in segment)
        and len(segment.encode()) <= SEGMENT_BYTES
    )
