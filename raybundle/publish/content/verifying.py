"""Reads everything that a bundle reaches in a store, and compares each byte with what lists it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from raybundle.bundle.delivery import parse_delivery
from raybundle.bundle.manifest import format_manifest, parse_manifest
from raybundle.errors import UNREADABLE, BundleError, DigestMismatchError, ObjectMissingError
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.publish import layout
from raybundle.publish.content.members import data_pieces, open_bundle, open_layer
from raybundle.publish.stored import data_of
from raybundle.publish.trust.signatures import fault_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from raybundle.bundle.delivery import Delivery, Packed
    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest
    from raybundle.publish.content.objects import Fetched, Shelf

AT_ONCE = 4
"""Objects that are read at a time, each with a few MiB in memory."""
State = Literal["ok", "damaged", "missing", "lost"]
"""`lost` is what a run can do without."""


@dataclass(frozen=True, slots=True)
class Part:
    """An object that a bundle reaches."""

    key: str
    state: State
    bytes: int = 0
    fault: str | None = None
    """What was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Verified:
    """All objects that a bundle reaches, and what is wrong with them."""

    digest: Digest
    parts: tuple[Part, ...]

    @property
    def faults(self) -> tuple[Part, ...]:
        """Objects that are missing or damaged."""
        return tuple(each for each in self.parts if each.state in {"damaged", "missing"})

    @property
    def bytes(self) -> int:
        """Bytes that were read."""
        return sum(each.bytes for each in self.parts)


def verify_bundle(shelf: Shelf, digest: Digest) -> Verified:
    """Reads all objects of a bundle.

    Raises:
        ObjectMissingError: the store has no manifest of it.
        StoreError: the store cannot be read.
    """
    key = layout.manifest_key(digest)
    try:
        manifest = parse_manifest(layout.get_document(shelf.store, key), digest)
    except BundleError as error:
        return Verified(digest, (Part(key, "damaged", fault=str(error)),))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        graph = threads.submit(verify_graph, shelf, layout.graph_key(digest))
        signed = threads.submit(lambda: list(_verify_signatures(shelf, digest, manifest)))
        found, deliveries = verify_archives(shelf, digest, manifest)
        layers = list(threads.map(lambda each: verify_layer(shelf, each), layer_parts(manifest, deliveries)))
        data = list(threads.map(lambda each: verify_data(shelf, *each), data_of(manifest)))
    return Verified(digest, (Part(key, "ok"), *found, graph.result(), *layers, *data, *signed.result()))


def _verify_signatures(shelf: Shelf, digest: Digest, manifest: Manifest) -> Iterator[Part]:
    """Yields the envelopes of a bundle, which hold its manifest; whose signature counts, users decide."""
    for key in shelf.store.keys(layout.signature_folder(digest)):
        try:
            data = layout.get_document(shelf.store, key)
            fault = fault_of(data, digest, format_manifest(manifest), key)
        except DigestMismatchError as error:
            data, fault = b"", str(error)
        yield Part(key, "damaged" if fault else "ok", len(data), fault)


def verify_archives(shelf: Shelf, digest: Digest, manifest: Manifest) -> tuple[list[Part], list[Delivery]]:
    """Returns the archives of a bundle and what belongs to them, and the deliveries that are right."""
    archives = [key for key, _ in layout.find_archives(shelf.store, digest)]
    folder = layout.manifest_key(digest).removesuffix("manifest.json")
    if not archives:
        return [Part(f"{folder}*.zip", "missing", fault="no archive of the bundle")], []
    parts, deliveries = [], []
    for key in archives:
        part, delivery = _verify_archive(shelf, key, manifest)
        parts.append(part)
        parts += _verify_delivery(shelf, layout.delivery_key(key), delivery)
        if delivery is not None:
            deliveries.append(parse_delivery(delivery, key))
    return parts, deliveries


def _verify_archive(shelf: Shelf, key: str, manifest: Manifest) -> tuple[Part, bytes | None]:
    expected, where = layout.archive_name(key).rpartition("-")[2], f"{key} in {shelf.store.url}"
    size = 0
    try:
        with shelf.fetched(key) as fetched:
            size = fetched.size
            _require(where, expected, fetched)
            with open_bundle(fetched.path, manifest, where, shelf.store) as archive:
                for file in manifest.files:
                    if file.size <= LARGE:
                        _exhaust(archive.pieces(file))
                delivery = archive.delivery() if archive.has_delivery else None
    except DigestMismatchError as error:
        return Part(key, "damaged", size, str(error)), None
    if delivery is None and manifest.layers:
        return Part(key, "damaged", size, f"no delivery in {where}"), None
    return Part(key, "ok", size), delivery


def _verify_delivery(shelf: Shelf, key: str, expected: bytes | None) -> Iterator[Part]:
    """Yields the delivery beside an archive, which has a copy of it."""
    if expected is None:
        return
    try:
        same = shelf.store.get(key) == expected
    except ObjectMissingError:
        yield Part(key, "lost", fault="the archive has a copy")
        return
    except DigestMismatchError as error:
        yield Part(key, "damaged", fault=str(error))
        return
    yield Part(key, "ok", len(expected)) if same else Part(key, "damaged", fault="not that of the archive")


def verify_graph(shelf: Shelf, key: str) -> Part:
    """Reads the import graph of a bundle."""
    try:
        data = shelf.store.get(key)
        readable = isinstance(json.loads(data), dict)
    except ObjectMissingError:
        return Part(key, "lost", fault="it explains the bundle; a run does without it")
    except (BundleError, *UNREADABLE):
        readable = False
    return Part(key, "ok", len(data)) if readable else Part(key, "damaged", fault="not a graph")


class LayerPart(NamedTuple):
    """An archive of a layer, or of its byte-code, and what is known about it."""

    key: str
    title: str = ""
    """Name and version of the distribution; empty if no bundle says it."""
    known: frozenset[str] = frozenset()
    """SHA-256 that deliveries name."""
    optional: bool = False
    """It is byte-code, which the nodes can make."""


def layer_parts(manifest: Manifest, deliveries: Sequence[Delivery]) -> Iterator[LayerPart]:
    """Yields the archives of the layers of a bundle and of their byte-code, as its deliveries name them."""
    for each in manifest.layers:
        own = layout.layer_key(each.digest)
        keys = {own}
        for delivery in deliveries:
            keys.update(key for key, _ in layout.layer_keys([each], delivery.byte_code))
        for key in sorted(keys):
            packed = [one.archives.get(layout.archive_name(key)) for one in deliveries]
            known = frozenset(one.sha256 for one in packed if one is not None)
            yield LayerPart(key, f"{each.name} {each.version}", known, key != own)


def verify_layer(shelf: Shelf, each: LayerPart) -> Part:
    """Reads an archive of a layer, or of its byte-code."""
    key, size = each.key, 0
    try:
        with shelf.fetched(key) as fetched:
            size = fetched.size
            check_layer(fetched.path, key, f"{key} in {shelf.store.url}", "" if each.optional else each.title)
            if each.known and fetched.sha256 not in each.known:
                said = f"another archive than the deliveries name: {fetched.sha256}"
                return Part(key, "damaged", size, said)
    except ObjectMissingError:
        if each.optional:
            return Part(key, "lost", fault=f"byte-code of {each.title}: the nodes make it")
        return Part(key, "missing", fault=f"no object of {each.title}")
    except DigestMismatchError as error:
        return Part(key, "damaged", size, str(error))
    return Part(key, "ok", size)


def verify_data(shelf: Shelf, key: str, packed: Packed) -> Part:
    """Reads a large file of bundles."""
    size = shelf.store.size(key) or 0
    try:
        _exhaust(data_pieces(shelf.store, packed.sha256, packed.size))
    except ObjectMissingError:
        return Part(key, "missing", fault="no object of a large file")
    except DigestMismatchError as error:
        return Part(key, "damaged", size, str(error))
    return Part(key, "ok", size)


def check_layer(path: Path, key: str, where: str, title: str = "") -> None:
    """Reads an archive of a layer, or of its byte-code.

    Args:
        path: the file.
        key: of the object.
        where: how errors name it.
        title: name and version that the document must have.

    Raises:
        DigestMismatchError: it is not what its name says.
    """
    with open_layer(path, layout.archive_name(key), where) as layer:
        found = f"{layer.document.get('name')} {layer.document.get('version')}"
        if title and found != title:
            raise DigestMismatchError(where, expected=title, found=found)
        for file in layer.files:
            _exhaust(layer.pieces(file))


def _require(where: str, expected: str, fetched: Fetched) -> None:
    if fetched.sha256 != expected:
        raise DigestMismatchError(where, expected=expected, found=fetched.sha256)


def _exhaust(pieces: Iterator[bytes]) -> None:
    for _ in pieces:
        pass
