"""Lays out a bundle of a store as Ray unpacks it on a node: the boot makes the verified path from that."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from raybundle.bundle.manifest import format_manifest
from raybundle.bundle.pack import BOOT_FILES, OWN, boot_digest, read_boot
from raybundle.errors import DigestMismatchError
from raybundle.node.cache.raybundle_materialise import member_name
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.node.cache.raybundle_verify import Cache as NodeCache
from raybundle.publish.content.pulling import Writer, opened_archive
from raybundle.publish.layout import archive_name, source_of

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.publish.content.objects import Shelf
    from raybundle.publish.stored import LayerArchive, Stored

NODE_CACHE = f"/tmp/raybundle-{os.getuid()}"  # noqa: S108 - where the boot keeps what it has verified
"""Cache of this user, if this machine is a node."""


def unpack_as_ray(shelf: Shelf, stored: Stored, directory: Path) -> str:
    """Writes what Ray would unpack into an empty directory, with our own boot; returns the boot's digest.

    Raises:
        DigestMismatchError: an object of the store is not what the bundle says.
    """
    writer, boot = Writer(directory), read_boot()
    for name, data in boot.items():
        writer.write(name if name == BOOT_FILES[0] else f"{OWN}/{name}", [data], executable=False)
    writer.write(f"{OWN}/manifest.json", [format_manifest(stored.manifest)], executable=False)
    with opened_archive(shelf, stored) as archive:
        for file in (each for each in archive.manifest.files if each.size <= LARGE):
            writer.write(member_name(file.path), archive.pieces(file), executable=file.executable)
        if stored.delivery is not None:
            delivery = stored.delivery_data or archive.delivery(stored.delivery)
            writer.write(f"{OWN}/delivery.json", [delivery], executable=False)
    return boot_digest(boot)


def source_with_layers(shelf: Shelf, stored: Stored, folder: Path) -> str | None:
    """Returns the URL of a directory with the layers and large files that this machine lacks.

    It is the store itself if that is a directory of this machine.

    Args:
        shelf: of the store.
        stored: the bundle.
        folder: for copies.

    Raises:
        DigestMismatchError: an archive is not what the delivery says.
    """
    if not (stored.layers or stored.data):
        return None
    source = source_of(shelf.store)
    if source is not None and source.startswith("file://"):
        return source
    for name in ("layers", "data"):
        (folder / name).mkdir(parents=True)
    for each in (*_needed(stored), *_needed_data(stored)):
        with shelf.fetched(each.key) as fetched:
            if fetched.sha256 != each.packed.sha256:
                raise DigestMismatchError(
                    f"{each.key} in {shelf.store.url}", expected=each.packed.sha256, found=fetched.sha256
                )
            shutil.copyfile(fetched.path, folder / each.key)
    return folder.as_uri()


def _needed_data(stored: Stored) -> list[LayerArchive]:
    """Returns the large files that this machine lacks."""
    record = NodeCache(NODE_CACHE).load("raybundle_record")
    lacking = {
        file.sha256
        for file in stored.manifest.files
        if file.size > LARGE
        and not record.is_right(f"{NODE_CACHE}/data/{file.sha256}{'-x' if file.executable else ''}")
    }
    return [each for each in stored.data if each.packed.sha256 in lacking]


def _needed(stored: Stored) -> list[LayerArchive]:
    """Returns the archives of layers that are not unpacked on this machine, with their byte-code."""
    python = stored.manifest.python
    tag = f"{python.implementation}-{python.minor.replace('.', '')}"
    record = NodeCache(NODE_CACHE).load("raybundle_record")
    names = {archive_name(each.key): each for each in stored.layers}
    needed = []
    for name, each in names.items():
        if len(name) == len(stored.boot):
            own = [other for other in names if other.startswith(f"{name}-{tag}-")]
            if not record.is_right(f"{NODE_CACHE}/layers/{own[0] if own else f'{name}-{tag}'}"):
                needed += [each, *(names[other] for other in own)]
    return needed
