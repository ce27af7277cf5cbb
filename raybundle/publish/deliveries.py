"""Finds how the layers of a stored bundle travel, even if the store lost what a run can do without."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.bundle.delivery import parse_delivery
from raybundle.bundle.layers.archive import NO_ARCHIVE, read_member
from raybundle.bundle.pack import OWN
from raybundle.errors import BundleError, ObjectMissingError
from raybundle.model import Warning
from raybundle.publish.layout import (
    archive_name,
    archive_sha256,
    delivery_key,
    find_sizes,
    layer_key,
    layer_keys,
    open_checked,
)
from raybundle.publish.stored import LayerArchive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.bundle.delivery import Delivery, Packed
    from raybundle.bundle.values import LayerEntry
    from raybundle.store.base import Store

HINT = "`raybundle build` of the same sources puts it back"


@dataclass(frozen=True, slots=True)
class FoundLayers:
    """How the layers of a bundle travel, as far as the store still has it."""

    archives: tuple[LayerArchive, ...]
    """Of the layers, each followed by its byte-code if it has some."""
    delivery: str
    """Hex SHA-256 of the delivery."""
    fits: bool
    """Whether the sizes in the store are those of the delivery: another build may pack a layer anew."""
    warnings: tuple[Warning, ...] = ()
    """What the store has lost, and the run does without."""


def find_fitting_layers(
    store: Store, layers: Sequence[LayerEntry], archives: Sequence[str]
) -> tuple[str, FoundLayers]:
    """Returns the first archive whose delivery fits the store, or else the first, and the layers.

    Raises:
        BundleError: no archive has a delivery that can be read, or the store has lost layers.
    """
    found: dict[str, FoundLayers] = {}
    first: BundleError | None = None
    for archive in archives:
        try:
            found[archive] = find_layers(store, layers, archive)
        except BundleError as error:  # noqa: PERF203 - such as a delivery of an earlier version
            first = first or error
        else:
            if found[archive].fits:
                return archive, found[archive]
    if first is not None and not found:
        raise first
    return next(iter(found.items()))


def find_layers(store: Store, layers: Sequence[LayerEntry], archive: str) -> FoundLayers:
    """Returns how the layers of a bundle travel whose archive has the key `archive`.

    The archive has a copy of the delivery, and the nodes make byte-code that is lost.

    Raises:
        ObjectMissingError: the store has lost layers; all of them are named.
        DigestMismatchError: the delivery is only in the archive, and that is not what its name says.
    """
    data, warnings = read_delivery(store, archive)
    delivery = parse_delivery(data, f"{delivery_key(archive)} in {store.url}")
    named = dict(layer_keys(layers, delivery.byte_code))
    sizes = find_sizes(store, list(named))
    lost = [(key, each) for key, each in named.items() if sizes[key] is None]
    _require_layers(store, [(key, each) for key, each in lost if key == layer_key(each.digest)])
    warnings += [
        Warning(
            f"no byte-code of {each.name} {each.version} in {store.url} ({key}): the nodes make it", hint=HINT
        )
        for key, each in lost
    ]
    archives = tuple(
        LayerArchive(key, _packed(delivery, key, store)) for key in named if sizes[key] is not None
    )
    fits = all(each.packed.size == sizes[each.key] for each in archives)
    return FoundLayers(archives, hashlib.sha256(data).hexdigest(), fits, tuple(warnings))


def _packed(delivery: Delivery, key: str, store: Store) -> Packed:
    found = delivery.archives.get(archive_name(key))
    if found is None:
        raise BundleError(f"no archive {key} in the delivery in {store.url}", hint="build the bundle again")
    return found


def find_plain_delivery(store: Store, archive: str) -> str | None:
    """Returns the hex SHA-256 of the delivery of a bundle without layers; None if the store has none."""
    try:
        return hashlib.sha256(store.get(delivery_key(archive))).hexdigest()
    except ObjectMissingError:
        return None


def _require_layers(store: Store, lost: Sequence[tuple[str, LayerEntry]]) -> None:
    if lost:
        raise ObjectMissingError(
            f"{store.url} has no object of "
            + ", ".join(f"{each.name} {each.version} ({key})" for key, each in lost),
            hint="build the bundle again from its sources",
        )


def read_delivery(store: Store, archive: str) -> tuple[bytes, list[Warning]]:
    """Returns the delivery of an archive, and what is to be said about it."""
    key = delivery_key(archive)
    try:
        return store.get(key), []
    except ObjectMissingError:
        data = _delivery_in(store, archive)
    return data, [Warning(f"no object {key} in {store.url}: it is read from the bundle's archive", hint=HINT)]


def _delivery_in(store: Store, archive: str) -> bytes:
    """Returns the delivery in a verified archive: it vouches for byte-code."""
    try:
        with (
            open_checked(store, archive, archive_sha256(archive)) as stream,
            zipfile.ZipFile(stream) as zipped,
        ):
            return read_member(zipped, zipped.getinfo(f"{OWN}/delivery.json"))
    except NO_ARCHIVE as error:
        raise ObjectMissingError(
            f"no delivery in {archive} in {store.url}", hint="build the bundle again from its sources"
        ) from error
