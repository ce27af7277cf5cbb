"""Puts objects into a store: what is there already is compared, unless receipts know it."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from raybundle.bundle.delivery import Packed
from raybundle.errors import DigestMismatchError, ObjectMissingError
from raybundle.publish.layout import (
    FORMAT_MARK,
    LARGE_BYTES,
    STORE_KEY,
    get_checked,
    other_bytes,
    require_format,
    soon,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.publish.receipts import Receipts
    from raybundle.store.base import Chunks, Entry, Store

UPLOADS = 4
"""Objects that are packed and sent simultaneously: packing takes a processor, sending waits."""


def prepare(store: Store) -> None:
    """Marks a new store with its format, and refuses a store of another format.

    Raises:
        StoreError: It has another format, or features that this version does not know.
    """
    if not require_format(store):
        put_compared(store, STORE_KEY, FORMAT_MARK)


def put_compared(store: Store, key: str, data: bytes, receipts: Receipts | None = None) -> bool:
    """Creates the object and returns True; returns False if the same bytes are there already.

    What `receipts` know is not read again, unless it was written again since.

    Raises:
        DigestMismatchError: Other bytes are there.
    """
    packed = Packed(hashlib.sha256(data).hexdigest(), len(data))

    def compare() -> None:
        get_checked(store, key, f"sha256:{packed.sha256}", packed.size)

    known = receipts is not None and receipts.has(key)
    there = store.entry(key) if known or packed.size >= LARGE_BYTES else None
    return _put(_Sent(key, packed, partial(store.put_new, key, data), compare), there, store, receipts)


def put_large(
    store: Store, key: str, packed: Packed, chunks: Chunks, receipts: Receipts | None = None
) -> bool:
    """Does the same as `put_compared` without holding the object in memory.

    Raises:
        DigestMismatchError: Other bytes are there.
    """
    there = store.entry(key)
    if there is not None and there.size != packed.size:
        expected, found = f"{packed.size} bytes", f"{there.size} bytes"
        raise DigestMismatchError(f"{key} in {store.url}", expected=expected, found=found)

    def compare() -> None:
        soon(lambda: _compare(store, key, packed.sha256))

    sent = _Sent(key, packed, partial(store.put_new_chunks, key, chunks), compare)
    return _put(sent, there, store, receipts)


class _Sent(NamedTuple):
    """An object that is to be in a store."""

    key: str
    packed: Packed
    put: Callable[[], str | None]
    compare: Callable[[], None]


def _put(sent: _Sent, there: Entry | None, store: Store, receipts: Receipts | None) -> bool:
    """Puts an object unless it is there, or else compares it; its mark is noted as before it was read."""
    if receipts is None:
        return (there is None and sent.put() is not None) or _compared(sent) is not None
    if receipts.find(there) == sent.packed:
        return False
    made = sent.put() if there is None else None
    if made is None:
        there = there or store.entry(sent.key)
        made = _compared(sent)
    receipts.add(sent.key, sent.packed, made or ("" if there is None else there.mark))
    return made is not None


def _compared(sent: _Sent) -> str | None:
    """Compares an object; returns its mark if `gc` has removed it since, and it was put again."""
    try:
        sent.compare()
    except ObjectMissingError:
        made = sent.put()
        if made is not None:
            return made
        sent.compare()
    return None


def _compare(store: Store, key: str, sha256: str) -> None:
    for last in (False, True):
        found = hashlib.sha256()
        for data in store.pieces(key):
            found.update(data)
        if found.hexdigest() == sha256:
            return
        if last:
            raise other_bytes(store, key, sha256, found.hexdigest())
