"""Damages objects of a store behind its back: flipped, swapped, truncated, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import obstore

from raybundle.store.s3 import S3Store

if TYPE_CHECKING:
    from raybundle.store import Store

DAMAGES = ("flipped", "swapped", "truncated", "deleted")


def damage(store: Store, key: str, kind: str, other: str) -> None:
    """Damages an object; `other` is the one whose bytes it gets when they are swapped."""
    data = store.get(key)
    half = len(data) // 2
    match kind:
        case "flipped":
            overwrite(store, key, data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :])
        case "swapped":
            overwrite(store, key, store.get(other))
        case "truncated":
            overwrite(store, key, data[:half])
        case _:
            remove(store, key)


def overwrite(store: Store, key: str, data: bytes) -> None:
    """Puts other bytes in the place of an object."""
    if isinstance(store, S3Store):
        obstore.put(store._client(), key, data)
        return
    path = _file(store, key)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def remove(store: Store, key: str) -> None:
    """Removes an object."""
    if isinstance(store, S3Store):
        obstore.delete(store._client(), key)
    else:
        _file(store, key).unlink()


def _file(store: Store, key: str) -> Path:
    return Path(unquote((store.node_url(key) or "").removeprefix("file://")))
