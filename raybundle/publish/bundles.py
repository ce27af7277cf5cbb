"""Puts bundles into a store, and finds them there."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from raybundle.bundle.delivery import Packed
from raybundle.bundle.graph_document import graph_document
from raybundle.bundle.manifest import parse_manifest
from raybundle.bundle.pack import boot_digest, pack, read_boot
from raybundle.config import default_store
from raybundle.errors import UNREADABLE, DamagedCacheError, ObjectMissingError, StoreError
from raybundle.explain.staying import notes_of_staying
from raybundle.formats.canonical import canonical_json
from raybundle.formats.meter import Meter
from raybundle.planning import checked_plan
from raybundle.publish import layout, putting
from raybundle.publish.data import put_data, require_data, scratch_of
from raybundle.publish.keeping import Reused, is_old, lease, needed, recheck
from raybundle.publish.names import record_name
from raybundle.publish.receipts import Receipts
from raybundle.publish.refs import find_ref
from raybundle.publish.stored import LayerArchive, Stored
from raybundle.request import prepare
from raybundle.store import open_private, open_store
from raybundle.store.base import LARGEST_DOCUMENT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.bundle.layers.byte_code import ByteCode
    from raybundle.bundle.values import Manifest
    from raybundle.config import Settings
    from raybundle.model import Digest
    from raybundle.planning import Listener, Plan
    from raybundle.publish.layers import Progress
    from raybundle.request import Request
    from raybundle.store.base import Store

EVENTS = 1.0
"""Seconds between two events that say how far an upload is."""


def open_configured(settings: Settings, environ: Mapping[str, str]) -> Store:
    """Returns the configured store, or the user's local one if none is configured."""
    chosen = settings.text("store")
    return open_store(chosen, environ) if chosen else open_private(default_store(environ))


def build(planned: Plan, store: Store, progress: Progress | None = None) -> Stored:
    """Puts a bundle and its graph into the store, unless they are there, and returns what a run needs.

    Args:
        planned: the bundle.
        store: where it goes.
        progress: takes how many bytes of layers, then of large files, are done, and of how many.

    Raises:
        BundleError: files of layers are no longer what they were when the bundle was planned.
        DigestMismatchError: an object of the bundle is there and holds something else.
        StoreError: the store refuses access or cannot be reached.
    """
    try:
        return _build(planned, store, progress)
    except DamagedCacheError:
        from raybundle.bundle.layers.describe_all import describe_layers

        describe_layers(planned.resolution.distributions, planned.resolution.interpreter, planned.cache)
        return _build(planned, store, progress)


def _build(planned: Plan, store: Store, progress: Progress | None) -> Stored:
    with planned.timings.stage("build"):
        byte_code = _byte_code(planned)
    receipts = Receipts(planned.cache, store.place), Receipts(planned.cache, store.place, planned.digest)
    with planned.timings.stage("upload"):
        putting.prepare(store)
        known = store.entry(layout.manifest_key(planned.digest))
    reused = Reused(store)
    first = reused.as_store() if known is None or is_old(known.modified) else store
    parts = _put_parts(planned, first, byte_code, receipts, progress)
    uploaded = parts.uploaded_bytes
    if reused.old:
        with planned.timings.stage("upload"):
            lease(store, planned.digest, needed(planned.digest, planned.manifest))
        parts = _put_parts(planned, store, byte_code, receipts, progress)
        uploaded += parts.uploaded_bytes
    with planned.timings.stage("upload"):
        uploaded += _put_descriptions(store, planned, receipts[1])
    return replace(parts, uploaded_bytes=uploaded, again=partial(build, planned, store))


def _put_parts(
    planned: Plan,
    store: Store,
    byte_code: Sequence[ByteCode],
    receipts: tuple[Receipts, Receipts],
    progress: Progress | None,
) -> Stored:
    """Puts what a bundle refers to, and its archive: all but the manifest, which makes it complete."""
    shared, own = receipts
    with planned.timings.stage("upload"):
        uploaded, sent = _put_layers(store, planned, byte_code, shared, progress)
        uploaded += put_data(planned.files, store, shared, progress)
    compiled = {each.layer: (each.tag, each.listing) for each in byte_code}
    named = layout.layer_keys(planned.manifest.layers, compiled)
    layers = tuple(LayerArchive(key, sent[key]) for key, _ in named)
    with planned.timings.stage("build"):
        delivery = _delivery(planned, byte_code, layers)
    hashed = None if delivery is None else hashlib.sha256(delivery).hexdigest()
    boot = boot_digest(read_boot())
    key = _find_archive(store, planned.digest, boot, hashed, own)
    if key is None:
        key, sent_now = _put_archive(store, planned, delivery, boot, own)
        uploaded += sent_now
    if delivery is not None:
        with planned.timings.stage("upload"):
            put = putting.put_compared(store, layout.delivery_key(key), delivery, own)
        uploaded += len(delivery) if put else 0
    own.save()
    return Stored(planned.digest, planned.manifest, key, boot, uploaded, layers, hashed)


def store_plan(planned: Plan, store: Store, listener: Listener) -> Stored:
    """Returns a plan's bundle, once it is in the store. The listener hears what stays behind."""
    for line in notes_of_staying(planned.resolution):
        listener.note(line)

    meter = Meter(listener.progress, "sending")
    told = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal told
        meter.at(done, total)
        if done == total or time.monotonic() - told > EVENTS:
            told = time.monotonic()
            listener.event("upload", done=done, total=total)

    try:
        stored = build(planned, store, progress)
    finally:
        meter.end()
    tell_stored(stored, planned.bytes, listener)
    return stored


def tell_stored(stored: Stored, size: int, listener: Listener) -> None:
    """Tells the listener that the store has a bundle of `size` bytes."""
    files = len(stored.manifest.files)
    listener.event(
        "stored", bundle=stored.digest, files=files, bytes=size, uploaded_bytes=stored.uploaded_bytes
    )


def build_target(request: Request, listener: Listener, *, strict: bool) -> tuple[Plan, Stored, Store]:
    """Returns the bundle of a target, once the store has it under its digest and, if it has one, its name."""
    listener.warnings(request.warnings)
    refuse_name(request.settings)
    planned = checked_plan(prepare(request), listener, strict=strict)
    store = open_configured(request.settings, request.environ)
    return (
        planned,
        name_bundle(store, store_plan(planned, store, listener), request.settings, listener),
        store,
    )


def refuse_name(settings: Settings) -> None:
    """Refuses a configured name that cannot be one, before anything is built.

    Raises:
        UsageError: it cannot be the name of a bundle.
    """
    if (name := settings.text("name")) is not None:
        layout.check_name(name)


def name_bundle(store: Store, stored: Stored, settings: Settings, listener: Listener) -> Stored:
    """Returns a bundle that was built, once it is recorded under the configured name, if there is one."""
    name = settings.text("name")
    if name is None:
        return stored
    version = record_name(store, name, stored.digest, listener.warn)
    recheck(store, stored, layout.name_key(name, version), listener.note)
    return replace(stored, name=f"{name}@{version}")


def _byte_code(planned: Plan) -> tuple[ByteCode, ...]:
    if not planned.layers:
        return ()
    from raybundle.bundle.layers.byte_code import find_byte_code

    return find_byte_code(planned.layers, planned.resolution.interpreter, planned.cache)


def _delivery(planned: Plan, byte_code: Sequence[ByteCode], layers: Sequence[LayerArchive]) -> bytes | None:
    """Returns how the layers of a bundle travel, and what does not; None if there is nothing to say."""
    from raybundle.resolve.missing.left_modules import left_modules

    resolution = planned.resolution
    absent = dict(left_modules(resolution))
    if not (planned.layers or absent):
        return None
    from raybundle.bundle.delivery import Delivery

    if planned.layers:
        from raybundle.resolve.distributions.modules import absent_modules

        present = {each.name for each in resolution.distributions}
        missed = {each.name for each in (*resolution.optional, *resolution.plugins)}
        missed = missed.union(resolution.mentioned) - present
        absent |= absent_modules(resolution.interpreter, missed, present, planned.cache)
    byte_code_of = {each.layer: (each.tag, each.listing) for each in byte_code}
    archives = {layout.archive_name(each.key): each.packed for each in layers}
    return Delivery(absent, byte_code_of, archives).format()


def _put_layers(
    store: Store,
    planned: Plan,
    byte_code: Sequence[ByteCode],
    receipts: Receipts,
    progress: Progress | None,
) -> tuple[int, dict[str, Packed]]:
    """Puts layers and their byte-code; returns the bytes of what was new, and those of all objects by key."""
    if not planned.layers:
        return 0, {}
    from raybundle.publish.layers import LayerSender, byte_code_objects, layer_objects

    sender = LayerSender(store, receipts, planned.cache, progress)
    return sender.put([*layer_objects(planned.layers, planned.cache), *byte_code_objects(byte_code)])


def _put_archive(
    store: Store, planned: Plan, delivery: bytes | None, boot: str, receipts: Receipts
) -> tuple[str, int]:
    """Returns the key of the archive and the bytes that were sent."""
    with planned.timings.stage("build"):
        archive = pack(planned.manifest_bytes, planned.files, delivery, scratch_of(planned.cache))
    with planned.timings.stage("upload"), closing(archive):
        key = layout.archive_key(planned.digest, boot, archive.sha256)
        if archive.size < layout.LARGE_BYTES:
            created = putting.put_compared(store, key, archive.data, receipts)
        else:
            packed = Packed(archive.sha256, archive.size)
            created = putting.put_large(store, key, packed, archive.chunks, receipts)
    return key, archive.size if created else 0


def _find_archive(
    store: Store, digest: Digest, boot: str, delivery: str | None, receipts: Receipts
) -> str | None:
    """Returns the key of an archive with this boot and delivery that this machine has sent or compared.

    None if there is none, or if it was written again since. It is neither packed nor read.
    """
    start = layout.archive_key(digest, boot, "").removesuffix(".zip")
    for key in reversed(receipts.keys()):
        if key.startswith(start) and key.endswith(".zip"):
            told = receipts.last(layout.delivery_key(key))
            if (told and told.sha256) == delivery and receipts.find(store.entry(key)):
                return key
    return None


def _put_descriptions(store: Store, planned: Plan, receipts: Receipts) -> int:
    """Puts graph and manifest, in this order: a bundle whose manifest is there is complete."""
    digest = planned.digest
    uploaded = 0
    if store.size(layout.graph_key(digest)) is None:
        graph = _graph(planned)
        if store.put_new(layout.graph_key(digest), graph):
            uploaded += len(graph)
    if putting.put_compared(store, layout.manifest_key(digest), planned.manifest_bytes, receipts):
        uploaded += len(planned.manifest_bytes)
    receipts.save()
    return uploaded


def _graph(planned: Plan) -> bytes:
    """Returns the graph; without its edges, most of its bytes, if readers would refuse it."""
    document = graph_document(planned.resolution, planned.layers)
    graph = canonical_json(document)
    return graph if len(graph) <= LARGEST_DOCUMENT else canonical_json({**document, "edges": []})


def read_bundle(store: Store, digest: Digest) -> tuple[Manifest, list[tuple[str, str]]]:
    """Returns the manifest of a bundle, and the keys and boots of its archives, of which it has one at least.

    Raises:
        ObjectMissingError: the store has no such bundle, or no archive of it.
        DigestMismatchError: its manifest is not what its digest says.
    """
    manifest = layout.read_twice(
        lambda: layout.get_document(store, layout.manifest_key(digest)),
        lambda data: parse_manifest(data, digest),
    )
    archives = layout.find_archives(store, digest)
    if not archives:
        raise ObjectMissingError(
            f"bundle {digest} has no archive in {store.url}", hint="build it again from its sources"
        )
    return manifest, archives


def find_bundle(store: Store, ref: str) -> Stored:
    """Returns a bundle of the store by a REF: a digest, the start of one, a name, or the id of a run.

    Raises:
        ObjectMissingError: there is none, or it lost its archive or layers; those are named.
        DigestMismatchError: its manifest is not what its digest says.
        StoreError: the store has another format, or what leads to the bundle cannot be read.
    """
    layout.require_format(store)
    found = find_ref(store, ref)
    digest = found.digest
    manifest, archives = read_bundle(store, digest)
    require_data(store, manifest)
    ours = boot_digest(read_boot())
    ordered = sorted(archives, key=lambda archive: (archive[1] != ours, archive))
    from raybundle.publish.deliveries import find_fitting_layers, find_plain_delivery

    if not manifest.layers:
        key, boot = ordered[0]
        delivery = find_plain_delivery(store, key)
        return Stored(digest, manifest, key, boot, delivery=delivery, name=found.name)
    key, layers = find_fitting_layers(store, manifest.layers, [key for key, _ in ordered])
    return Stored(
        digest,
        manifest,
        key,
        dict(ordered)[key],
        layers=layers.archives,
        delivery=layers.delivery,
        warnings=layers.warnings,
        name=found.name,
    )


def bytes_of(store: Store, stored: Stored) -> int:
    """Returns the size of all files of a bundle of the store, including those of its layers.

    The manifest has no sizes of layers: if the graph cannot be read, they are not counted.
    """
    size = sum(file.size for file in stored.manifest.files)
    layers = {layer.name for layer in stored.manifest.layers}
    if layers:
        with suppress(StoreError, *UNREADABLE):
            graph = json.loads(store.get(layout.graph_key(stored.digest)))
            size += sum(each["bytes"] for each in graph["distributions"] if each["name"] in layers)
    return size
