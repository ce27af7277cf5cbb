"""What a store is: create-only objects under POSIX keys."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Protocol

from raybundle.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT_BYTES = 255
"""Longest part of a key between slashes: what Linux file systems and SeaweedFS take."""


class Store(Protocol):
    """Objects that are created once and never overwritten.

    A key is a relative POSIX path whose parts do not start with a dot; `check_key` is its law.
    Every method may raise `StoreAccessError`.
    """

    @property
    def url(self) -> str:
        """Opens the same store again; never holds credentials."""

    @property
    def place(self) -> str:
        """What tells the store from every other: the URL, and the server where that does not name it."""

    def get(self, key: str) -> bytes:
        """Returns the object.

        Raises:
            ObjectMissingError: There is none.
        """

    def put_new(self, key: str, data: bytes) -> bool:
        """Creates the object and returns True, or returns False because there is one already.

        False does not say whose object it is: a request that was retried may have met its own first try.
        `layout.put_compared` reads it again.
        """

    def put_new_file(self, key: str, path: Path) -> bool:
        """Does what `put_new` does with the content of a file, which is not held in memory.

        The key must be one by which content is named: where a store takes large objects only in parts, it
        looks first and then puts, and of two who do that at the same time the second one's object stays.
        """

    def size(self, key: str) -> int | None:
        """Returns the bytes of the object; None if there is none."""

    def keys(self, prefix: str) -> list[str]:
        """Returns all keys that start with this string, sorted; `a/b` takes `a/bc` and `a/b/c`."""

    def node_url(self, key: str) -> str | None:
        """Returns an URL that Ray's nodes read by themselves; None where Ray does not know the scheme."""


def check_key(key: str) -> str:
    """Returns the key if it means the same object in every store.

    Raises:
        StoreError: It is absolute, has an empty or hidden part, a backslash, a control character, or a part
            that is too long.
    """
    if not all(map(_is_segment, key.split("/"))):
        raise StoreError(f"{key!r} cannot be the key of an object")
    return key


def _is_segment(segment: str) -> bool:
    return (
        bool(segment)
        and not segment.startswith(".")
        and "\\" not in segment
        and len(segment.encode()) <= SEGMENT_BYTES
        and all(unicodedata.category(character) != "Cc" for character in segment)
    )
