"""Puts layers and their byte-code into a store: an existing object is checked and not sent again."""

from __future__ import annotations

import hashlib
import io
import threading
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from raybundle.bundle.delivery import Packed
from raybundle.bundle.layers.archive import CHUNK, check_archive, layer_members, unwritable, write_archive
from raybundle.bundle.layers.describe import kept_document
from raybundle.cache.documents import INCOMING
from raybundle.errors import BundleError, DamagedCacheError, DigestMismatchError
from raybundle.model import Digest
from raybundle.publish.layout import byte_code_key, find_entries, get_soon, layer_key, read_twice, soon
from raybundle.publish.putting import UPLOADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from raybundle.bundle.layers.byte_code import ByteCode
    from raybundle.bundle.layers.layer import Layer
    from raybundle.cache.documents import Cache
    from raybundle.publish.receipts import Receipts
    from raybundle.store.base import Entry, Store

    Progress = Callable[[int, int], None]
    """Takes how many bytes are done, and of how many."""

IN_PARTS_FROM = 8 << 20
"""Bytes from which an object is sent in parts from its file, one at a time: parts are in memory."""


@dataclass(frozen=True, slots=True)
class LayerObject:
    """An archive that the store needs."""

    key: str
    name: str
    """Of its members, without `.json` and `.zip`."""
    bytes: int
    """Size of its unpacked files: the amount of work."""
    pack: Callable[[Path, Callable[[], bool]], Path]
    """Returns its file, which it may make at the given path; stops early when the function returns True."""


@dataclass(slots=True)
class LayerSender:
    """Sends the archives of one build."""

    store: Store
    receipts: Receipts
    cache: Cache
    progress: Progress | None = None
    _one_by_one: threading.Lock = field(default_factory=threading.Lock, init=False)
    """Held while a large object is in memory."""
    _known: dict[str, Packed] = field(default_factory=dict, init=False)
    """The bytes of each object of the build, once they are known."""

    def put(self, objects: Sequence[LayerObject]) -> tuple[int, dict[str, Packed]]:
        """Puts what the store lacks; returns the bytes that were sent, and those of all objects by key.

        After an interrupt, what was sent stays in the store and is not sent again.

        Raises:
            DigestMismatchError: an existing object is not what its name says.
            BundleError: a file is no longer what it was when it was described, or cannot be packed.
            StoreError: the store refuses access or cannot be reached.
        """
        there = find_entries(self.store, [each.key for each in objects])
        waiting = [each for each in objects if not self._find(each, there[each.key])]
        sent = self._put_waiting(waiting, there) if waiting else 0
        return sent, {each.key: self._known[each.key] for each in objects}

    def _find(self, each: LayerObject, entry: Entry | None) -> bool:
        known = self.receipts.find(entry)
        if known is not None:
            self._known[each.key] = known
        return known is not None

    def _put_waiting(self, waiting: Sequence[LayerObject], there: dict[str, Entry | None]) -> int:
        try:
            scratch = TemporaryDirectory(prefix=".", dir=self.cache.incoming())
        except OSError as error:
            raise unwritable("layers", self.cache.directory / INCOMING, error) from error
        try:
            with scratch:
                return self._put_all(waiting, there, Path(scratch.name))
        finally:
            self.receipts.save()

    def _put_all(self, waiting: Sequence[LayerObject], there: dict[str, Entry | None], scratch: Path) -> int:
        from concurrent.futures import ThreadPoolExecutor, as_completed  # noqa: PLC0415 - only what is new

        stopped = threading.Event()
        threads = ThreadPoolExecutor(UPLOADS)
        done, uploaded, total = 0, 0, sum(each.bytes for each in waiting)
        try:
            futures = {
                threads.submit(self._put_one, each, there[each.key], scratch, stopped): each
                for each in sorted(waiting, key=lambda each: -each.bytes)
            }
            for future in as_completed(futures):
                uploaded += future.result()
                done += futures[future].bytes
                if self.progress is not None:
                    self.progress(done, total)
        finally:
            stopped.set()
            threads.shutdown(cancel_futures=True)
        return uploaded

    def _put_one(
        self, each: LayerObject, there: Entry | None, scratch: Path, stopped: threading.Event
    ) -> int:
        """Returns the bytes that were sent: 0 if the object is there and intact."""
        if there is not None:
            self._verify(each, there)
            return 0
        own = scratch / f"{each.name}.zip"
        try:
            path = each.pack(own, stopped.is_set)
            if stopped.is_set():  # it may have stopped early
                return 0
            with path.open("rb", buffering=0) as stream:
                packed = _packed(stream)
            created = self._send(each, path, packed.size)
        except OSError as error:
            raise unwritable(each.name, scratch.parent, error) from error
        finally:
            own.unlink(missing_ok=True)
        if not created:
            self._verify(each, self.store.entry(each.key))
            return 0
        self._note(each, packed, created)
        return packed.size

    def _send(self, each: LayerObject, path: Path, size: int) -> str | None:
        if size < IN_PARTS_FROM:
            return self.store.put_new(each.key, path.read_bytes())
        with self._one_by_one:
            return self.store.put_new_chunks(each.key, lambda: _chunks(path))

    def _verify(self, each: LayerObject, there: Entry | None) -> None:
        """Checks an object that others have put there; its mark is from before it is read."""
        if there is None or there.size < IN_PARTS_FROM:
            packed = read_twice(
                lambda: get_soon(self.store, each.key), lambda data: self._checked(each, io.BytesIO(data))
            )
        else:
            with self._one_by_one:
                try:
                    packed = soon(lambda: self._checked_large(each))
                except DigestMismatchError:  # one bad answer of the network does not make a damaged object
                    packed = self._checked_large(each)
        self._note(each, packed, "" if there is None else there.mark)

    def _checked_large(self, each: LayerObject) -> Packed:
        with self.store.open(each.key) as stream:
            return self._checked(each, stream)

    def _checked(self, each: LayerObject, stream: BinaryIO) -> Packed:
        check_archive(stream, each.name, f"{each.key} in {self.store.url}")
        return _packed(stream)

    def _note(self, each: LayerObject, packed: Packed, mark: str) -> None:
        self._known[each.key] = packed
        self.receipts.add(each.key, packed, mark)


def _packed(stream: BinaryIO) -> Packed:
    stream.seek(0)
    found = hashlib.sha256()
    while data := stream.read(CHUNK):
        found.update(data)
    return Packed(found.hexdigest(), stream.tell())


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as stream:
        while data := stream.read(CHUNK):
            yield data


def layer_objects(layers: Iterable[Layer], cache: Cache) -> list[LayerObject]:
    """Returns the objects of layers; each is packed when it is sent."""
    return [
        LayerObject(layer_key(each.digest), _hex(each), each.bytes, _LayerPacker(each, cache).pack)
        for each in layers
    ]


def byte_code_objects(byte_code: Iterable[ByteCode]) -> list[LayerObject]:
    """Returns the objects of the byte-code of layers, which is already packed."""
    return [
        LayerObject(
            byte_code_key(Digest(f"sha256:{each.layer}"), each.tag, each.listing),
            each.name,
            each.archive.stat().st_size,
            _KeptArchive(each).pack,
        )
        for each in byte_code
    ]


@dataclass(frozen=True, slots=True)
class _LayerPacker:
    layer: Layer
    cache: Cache

    def pack(self, path: Path, gives_up: Callable[[], bool]) -> Path:
        """Returns `path`, once the layer is there."""
        if self.layer.directory is None:
            raise BundleError(f"no files of {self.layer.name} {self.layer.version} on this machine")
        document = kept_document(self.layer.digest, self.cache)
        members = takewhile(lambda _: not gives_up(), layer_members(document, self.layer.directory))
        write_archive(path, _hex(self.layer), document.format(), members, self.layer.bytes)
        return path


@dataclass(frozen=True, slots=True)
class _KeptArchive:
    byte_code: ByteCode

    def pack(self, _path: Path, _gives_up: Callable[[], bool]) -> Path:
        """Returns the file, once it is checked.

        Raises:
            DamagedCacheError: it was damaged; it is removed.
        """
        archive = self.byte_code.archive
        try:
            with archive.open("rb") as stream:
                check_archive(stream, self.byte_code.name, str(archive))
        except DigestMismatchError as error:
            archive.unlink(missing_ok=True)
            raise DamagedCacheError(f"{archive} was damaged", hint="run the command again") from error
        return archive


def _hex(layer: Layer) -> str:
    return layer.digest.removeprefix("sha256:")
