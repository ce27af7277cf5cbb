"""Remembers which objects of a store this machine has sent or verified, by key and size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.cache.room import latest

if TYPE_CHECKING:
    from raybundle.cache.documents import Cache

KEPT = Kind("receipts", 64)
"""One document per store. It outlives changes of the code: without it, layers would be read again."""
_MOST = 20_000
"""Receipts of one store; the oldest make room."""


def sizes_in(document: dict[str, Any]) -> dict[str, int]:
    """Returns the sizes by key that a document of the cache holds."""
    return {key: size for key, size in document.items() if type(size) is int}


@dataclass(slots=True)
class Receipts:
    """What is known of one store: the name of an object that exists does not prove its content."""

    cache: Cache
    place: str
    """`Store.place` of the store."""
    _known: dict[str, int] = field(init=False)
    _new: dict[str, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._known = self._read()

    def has(self, key: str, size: int) -> bool:
        """Returns whether the object was sent or verified, and had this size."""
        return self._new.get(key, self._known.get(key)) == size

    def add(self, key: str, size: int) -> None:
        """Notes an object that was sent or verified."""
        self._new[key] = size

    def save(self) -> None:
        """Keeps new receipts together with those of other processes."""
        if self._new:
            self.cache.write(KEPT, self._name(), latest(self._read(), self._new, _MOST))

    def _read(self) -> dict[str, int]:
        return self.cache.read(KEPT, self._name(), sizes_in) or {}

    def _name(self) -> str:
        return hashlib.sha256(self.place.encode()).hexdigest()[:32]
