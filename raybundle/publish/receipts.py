"""Remembers which objects of a store this machine has sent or verified: their sizes and SHA-256 by key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.bundle.delivery import Packed
from raybundle.cache.documents import Kind
from raybundle.cache.room import latest

if TYPE_CHECKING:
    from raybundle.cache.documents import Cache

KEPT = Kind("receipts", 64)
"""One document per store. It outlives changes of the code: without it, layers would be read again."""
_MOST = 20_000
"""Receipts of one store; the oldest make room."""


def _texts_in(document: dict[str, Any]) -> dict[str, str]:
    """Returns sizes and SHA-256 by key; an earlier version kept sizes alone."""
    return {key: text for key, text in document.items() if isinstance(text, str)}


@dataclass(slots=True)
class Receipts:
    """What is known of one store: the name of an object that exists does not prove its content."""

    cache: Cache
    place: str
    """`Store.place` of the store."""
    _known: dict[str, str] = field(init=False)
    _new: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._known = self._read()

    def find(self, key: str, size: int) -> Packed | None:
        """Returns the bytes of an object that was sent or verified and had this size."""
        found = self._new.get(key, self._known.get(key))
        kept, _, sha256 = str(found).partition(" ")
        return Packed(sha256, size) if sha256 and kept == str(size) else None

    def add(self, key: str, packed: Packed) -> None:
        """Notes an object that was sent or verified."""
        self._new[key] = f"{packed.size} {packed.sha256}"

    def save(self) -> None:
        """Keeps new receipts together with those of other processes."""
        if self._new:
            self.cache.write(KEPT, self._name(), latest(self._read(), self._new, _MOST))

    def _read(self) -> dict[str, str]:
        return self.cache.read(KEPT, self._name(), _texts_in) or {}

    def _name(self) -> str:
        return hashlib.sha256(self.place.encode()).hexdigest()[:32]
