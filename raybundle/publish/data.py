"""Puts the large files of bundles into a store: each is an object of its own, which bundles share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.bundle.delivery import Packed
from raybundle.content import chunks_of, read
from raybundle.errors import DigestMismatchError, ObjectMissingError
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.publish.layout import data_key, find_entries, find_sizes
from raybundle.publish.putting import UPLOADS, put_compared, put_large
from raybundle.publish.stored import data_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from raybundle.bundle.values import Manifest
    from raybundle.cache.documents import Cache
    from raybundle.model import CollectedFile
    from raybundle.publish.receipts import Receipts
    from raybundle.store.base import Store

IN_MEMORY = 8 << 20
"""Bytes up to which an object is sent in one request, of `UPLOADS` at a time; larger ones go one by one."""


def put_data(
    files: Sequence[CollectedFile],
    store: Store,
    receipts: Receipts,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Puts the large files that the store lacks; returns the bytes that were sent.

    What this machine has sent or compared before is neither read nor sent. After an interrupt, the objects
    that were complete stay in the store and are not sent again.

    Raises:
        BundleError: a file is no longer what was hashed.
        DigestMismatchError: an existing object is not what its name says.
        StoreError: the store refuses access or cannot be reached.
    """
    large = {file.sha256: file for file in files if file.size > LARGE}
    there = find_entries(store, [data_key(sha256) for sha256 in large])
    waiting = [
        file
        for sha256, file in large.items()
        if receipts.find(there[data_key(sha256)]) != Packed(sha256, file.size)
    ]
    if not waiting:
        return 0
    return _Sender(store, receipts, progress, sum(file.size for file in waiting)).put(waiting)


@dataclass(slots=True)
class _Sender:
    store: Store
    receipts: Receipts
    progress: Callable[[int, int], None] | None
    total: int
    done: int = 0

    def put(self, files: Sequence[CollectedFile]) -> int:
        from concurrent.futures import ThreadPoolExecutor, as_completed  # noqa: PLC0415 - only large files

        small = [file for file in files if file.size <= IN_MEMORY]
        sent = 0
        threads = ThreadPoolExecutor(UPLOADS)
        try:
            futures = {threads.submit(self._put_small, file): file for file in small}
            for future in as_completed(futures):
                sent += futures[future].size if future.result() else 0
                self._add(futures[future].size)
            for file in files:
                if file.size > IN_MEMORY:
                    sent += file.size if self._put_large(file) else 0
        finally:
            threads.shutdown(cancel_futures=True)
            self.receipts.save()
        return sent

    def _put_small(self, file: CollectedFile) -> bool:
        return put_compared(self.store, data_key(file.sha256), read(file), self.receipts)

    def _put_large(self, file: CollectedFile) -> bool:
        begun = self.done

        def chunks() -> Iterator[bytes]:
            self.done = begun
            for data in chunks_of(file):
                yield data
                self._add(len(data))

        packed = Packed(file.sha256, file.size)
        created = put_large(self.store, data_key(file.sha256), packed, chunks, self.receipts)
        self.done = begun + file.size
        return created

    def _add(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)


def require_data(store: Store, manifest: Manifest) -> None:
    """Refuses a bundle whose large files are not in the store, or have another size there.

    Raises:
        ObjectMissingError: some are missing; all of them are named.
        DigestMismatchError: one is damaged.
    """
    data = data_of(manifest)
    sizes = find_sizes(store, [each.key for each in data])
    if lost := [each.key for each in data if sizes[each.key] is None]:
        raise ObjectMissingError(
            f"{store.url} has no object {', '.join(lost)}", hint="build the bundle again from its sources"
        )
    for key, packed in data:
        if sizes[key] != packed.size:
            found = f"{sizes[key]} bytes"
            raise DigestMismatchError(f"{key} in {store.url}", expected=f"{packed.size} bytes", found=found)


def scratch_of(cache: Cache) -> Path | None:
    """Returns the cache's directory for unfinished work; None if it cannot be made."""
    try:
        return cache.incoming()
    except OSError:
        return None
