"""Remembers which objects of a store this machine has sent or verified, by key and size."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybundle.cache.documents import ScanCache

KEPT = 20_000
"""Largest number of receipts of one store; the oldest are dropped."""


@dataclass(slots=True)
class Receipts:
    """What is known about one store: an existing object is not trusted by its name alone."""

    cache: ScanCache
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
            known = {**self._read(), **self._new}
            self.cache.write(self._name(), dict(list(known.items())[-KEPT:]))

    def _read(self) -> dict[str, int]:
        return {key: size for key, size in self.cache.read(self._name()).items() if isinstance(size, int)}

    def _name(self) -> str:
        return f"receipts/{hashlib.sha256(self.place.encode()).hexdigest()[:32]}"
