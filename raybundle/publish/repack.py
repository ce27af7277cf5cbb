"""Packs the archive that is sent to a cluster: the files of the store's archive, with our own boot."""

from __future__ import annotations

import hashlib
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO

from raybundle.bundle.layers.archive import check_packing, read_member
from raybundle.bundle.manifest import format_manifest
from raybundle.bundle.pack import BOOT_FILES, OWN, boot_digest, pack, read_boot
from raybundle.errors import DigestMismatchError, UntrustedError
from raybundle.model import CollectedFile
from raybundle.node.cache.raybundle_materialise import member_name
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.publish.layout import archive_sha256, open_checked

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

    from raybundle.bundle.pack import Archive
    from raybundle.bundle.values import Manifest, ManifestFile
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store

_DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, RuntimeError)
"""What `zipfile` raises for damaged data, and for encrypted members."""


def pack_again(
    stream: BinaryIO, manifest: Manifest, delivery: str | None, where: str, other: bytes | None = None
) -> Archive:
    """Returns the archive of a bundle with this raybundle's boot. Nothing of the store's boot is taken.

    With the same boot and zlib, it has the bytes of the archive in the store.

    Args:
        stream: the archive in the store.
        manifest: of the bundle.
        delivery: hex SHA-256; None if the bundle has none.
        where: how errors name the archive.
        other: the delivery that travels instead of that in the archive.

    Raises:
        DigestMismatchError: a member is not what manifest or delivery say, or is none of the bundle's.
    """
    try:
        with zipfile.ZipFile(stream) as archive:
            refuse_others(archive, manifest, where)
            files = [_collected(archive, each, where) for each in manifest.files if each.size <= LARGE]
            if other is None and delivery is not None:
                other = _delivery(archive, delivery, where)
    except _DAMAGED as error:
        raise DigestMismatchError(where, expected="the archive of a bundle", found=str(error)) from error
    return pack(format_manifest(manifest), files, other)


def check_archive(store: Store, stored: Stored) -> None:
    """Compares the archive in the store with the manifest, the delivery and this raybundle's boot.

    Raises:
        UntrustedError: its boot is another one.
        DigestMismatchError: the archive is not that of the bundle.
        ObjectMissingError: the store has lost it.
    """
    boot, key = read_boot(), stored.archive_key
    where, ours = f"{key} in {store.url}", boot_digest(boot)
    if stored.boot != ours:
        raise UntrustedError(
            f"{where} has another boot than this raybundle, and no signature covers it",
            hint="build the bundle again with this raybundle; its digest stays the same",
        )
    expected = {**boot, "manifest.json": format_manifest(stored.manifest)}
    with open_checked(store, key, archive_sha256(key)) as stream:
        pack_again(stream, stored.manifest, stored.delivery, where).close()
        with zipfile.ZipFile(stream) as archive:
            found = {
                name.removeprefix(f"{OWN}/"): archive.read(name)
                for name in archive.namelist()
                if name in (BOOT_FILES[0], f"{OWN}/manifest.json") or name.startswith(f"{OWN}/raybundle_")
            }
    if found != expected:
        raise DigestMismatchError(where, expected="the boot and the manifest of the bundle", found="others")


def refuse_others(archive: zipfile.ZipFile, manifest: Manifest, where: str) -> None:
    """Refuses members that are no file of the bundle, or packed in another way.

    Another boot may have other files.

    Raises:
        DigestMismatchError: names one.
    """
    files = {member_name(each.path) for each in manifest.files if each.size <= LARGE}
    known = {BOOT_FILES[0], f"{OWN}/manifest.json", f"{OWN}/delivery.json", *files}
    names = archive.namelist()
    others = [name for name in names if name not in known and not _is_of_a_boot(name, files)]
    if others or len(set(names)) != len(names):
        found = f"{min(others)} too" if others else "one of them twice"
        raise DigestMismatchError(where, expected="the files of the bundle", found=found)
    try:
        check_packing(archive, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    except ValueError as error:
        raise DigestMismatchError(where, expected="the files of the bundle", found=str(error)) from error


def _is_of_a_boot(name: str, files: AbstractSet[str]) -> bool:
    return name not in files and name.startswith(f"{OWN}/raybundle_") and name.endswith(".py")


def _collected(archive: zipfile.ZipFile, file: ManifestFile, where: str) -> CollectedFile:
    try:
        info = archive.getinfo(member_name(file.path))
    except KeyError:
        raise DigestMismatchError(where, expected=file.path, found="no such file") from None
    data = read_member(archive, info) if info.file_size == file.size else b""
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise DigestMismatchError(f"{file.path} in {where}", expected=file.sha256, found=found)
    return CollectedFile(file.path, file.executable, file.size, file.sha256, data)


def _delivery(archive: zipfile.ZipFile, expected: str, where: str) -> bytes:
    name = f"{OWN}/delivery.json"
    data = read_member(archive, archive.getinfo(name)) if name in archive.namelist() else b""
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise DigestMismatchError(f"{name} in {where}", expected=expected, found=found)
    return data
