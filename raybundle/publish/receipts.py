"""Remembers which objects of a store this machine has sent or verified: size, SHA-256 and mark by key."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.bundle.delivery import Packed
from raybundle.cache.documents import Kind
from raybundle.cache.room import latest

if TYPE_CHECKING:
    from raybundle.cache.documents import Cache
    from raybundle.store.base import Entry

KEPT = Kind("receipts", 64)
"""One document per store. It outlives changes of the code: without it, layers would be read again."""
OF_BUNDLES = Kind("bundles", 2000)
"""One document per store and bundle, for the bundle's own objects: a document per store would be large."""
_MOST = 20_000
"""Receipts of one document; the oldest make room."""
_ROW = re.compile(r"(?P<size>[0-9]{1,18}) (?P<sha256>[0-9a-f]{64}) (?P<mark>.+)")


def _texts_in(document: dict[str, Any]) -> dict[str, str]:
    """Returns sizes, SHA-256 and marks by key; an earlier version kept sizes alone."""
    return {key: text for key, text in document.items() if isinstance(text, str)}


@dataclass(slots=True)
class Receipts:
    """What is known of one store: the name of an object that exists does not prove its content."""

    cache: Cache
    place: str
    """`Store.place` of the store."""
    bundle: str = ""
    """Digest of the bundle whose own objects these are; empty for what bundles share."""
    _known: dict[str, str] = field(init=False)
    _new: dict[str, str] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._known = self._read()

    def has(self, key: str) -> bool:
        """Whether an object was sent or verified, whatever is there now."""
        return key in self._new or key in self._known

    def keys(self) -> list[str]:
        """Returns the keys of all objects that were sent or verified, the last one at the end."""
        return [*self._known, *self._new]

    def find(self, entry: Entry | None) -> Packed | None:
        """Returns the bytes of an object that was sent or verified, unless it was written again since."""
        return None if entry is None else self._packed(entry.key, entry.mark, entry.size)

    def last(self, key: str) -> Packed | None:
        """Returns the bytes that an object had when it was sent or verified."""
        return self._packed(key)

    def _packed(self, key: str, mark: str | None = None, size: int | None = None) -> Packed | None:
        row = _ROW.fullmatch(self._new.get(key, self._known.get(key, "")))
        if row is None or mark not in (None, row["mark"]) or size not in (None, int(row["size"])):
            return None
        return Packed(row["sha256"], int(row["size"]))

    def add(self, key: str, packed: Packed, mark: str) -> None:
        """Notes an object that was sent or verified while it had this mark; an empty one is not known."""
        self._new[key] = f"{packed.size} {packed.sha256} {mark}"

    def save(self) -> None:
        """Keeps new receipts together with those of other processes."""
        if self._new:
            self.cache.write(self._kind, self._name(), latest(self._read(), self._new, _MOST))

    def _read(self) -> dict[str, str]:
        return self.cache.read(self._kind, self._name(), _texts_in) or {}

    @property
    def _kind(self) -> Kind:
        return OF_BUNDLES if self.bundle else KEPT

    def _name(self) -> str:
        return hashlib.sha256(f"{self.bundle}{self.place}".encode()).hexdigest()[:32]
