"""Archives of layers and large files as packages of the Jobs API: one package if it fits, else several."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from raybundle.errors import DigestMismatchError
from raybundle.formats.deterministic_zip import member_info, member_of
from raybundle.publish.layout import archive_name

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 90 << 20
"""Bytes of the archive of a bundle; the server refuses 100 MiB, and proxies add to what is sent."""
PART = 24 << 20
"""Bytes of other packages, of which a few are in memory at the same time."""
ROOM = 4096
"""Bytes of a package that are reserved for the names of its two members and the zip's directory."""


class Package(NamedTuple):
    """What is sent in one request; its name is derived from its bytes."""

    name: str
    data: bytes


def package_name(data: bytes) -> str:
    """Returns the name of a package: Ray counts references to those that start with `_ray_pkg_`."""
    return f"_ray_pkg_raybundle_{hashlib.sha256(data).hexdigest()}.zip"


def packages_of(key: str, archive: BinaryIO, largest: int = PART) -> Iterator[Package]:
    """Returns the packages of a layer's archive; the same bytes give the same packages.

    An archive that fits is one package. The content of a larger one is cut, and each part travels with the
    document: a package with two members is never a wrapper directory to Ray.

    Args:
        key: of the archive in the store; its name has the digest of the document.
        archive: opened.
        largest: bytes of a package.

    Raises:
        DigestMismatchError: the archive is not what its name says; while packages are made, it has changed.
    """
    size = archive.seek(0, io.SEEK_END)
    archive.seek(0)
    if size <= largest:
        data = archive.read()
        _members(key, io.BytesIO(data))
        return iter([Package(package_name(data), data)])
    return _parts(key, largest, *_members(key, archive))


def data_packages(sha256: str, stream: BinaryIO, largest: int = PART) -> Iterator[Package]:
    """Yields the packages of a large file: parts of it, in order.

    Raises:
        DigestMismatchError: at the end: it is another file.
    """
    found = hashlib.sha256()
    for number, part in enumerate(iter(lambda: stream.read(largest - ROOM), b"")):
        found.update(part)
        package = _pack({f"{sha256}.data.{number:04}": part})
        yield Package(package_name(package), package)
    if found.hexdigest() != sha256:
        raise DigestMismatchError(f"data/{sha256}", expected=sha256, found=found.hexdigest())


def _parts(key: str, largest: int, document: bytes, content: BinaryIO, checksum: int) -> Iterator[Package]:
    stem, found = archive_name(key), 0
    step = largest - len(document) - ROOM
    content.seek(0)
    for number, data in enumerate(iter(lambda: content.read(step), b"")):
        found = zlib.crc32(data, found)
        part = _pack({f"{stem}.json": document, f"{stem}.zip.{number:03}": data})
        yield Package(package_name(part), part)
    _require_checksum(key, checksum, found)


def _members(key: str, archive: BinaryIO) -> tuple[bytes, BinaryIO, int]:
    """Returns document, content and its CRC-32 of a layer's archive; the content is not in memory.

    It is checked first: a damaged archive would stay on the nodes under its name.
    """
    from raybundle.bundle.layers.archive import (  # noqa: PLC0415 - start-up: few layers are relayed
        CHUNK,
        NO_ARCHIVE,
        check_packing,
        read_member,
    )

    stem = archive_name(key)
    expected = f"a document of sha256 {stem[-64:]}"
    try:
        with zipfile.ZipFile(archive) as zipped:
            names = zipped.namelist()
            members = {info.filename: info for info in zipped.infolist()}
            check_packing(zipped, (zipfile.ZIP_STORED,))
            document = read_member(zipped, zipped.getinfo(f"{stem}.json"))
        inner = members[f"{stem}.zip"]
        content = member_of(archive, inner)
        found = 0
        while data := content.read(CHUNK):
            found = zlib.crc32(data, found)
    except NO_ARCHIVE as error:
        raise DigestMismatchError(key, expected=expected, found=f"no archive of it: {error}") from error
    digest = hashlib.sha256(document).hexdigest()
    if digest != stem[-64:]:
        raise DigestMismatchError(key, expected=expected, found=f"sha256 {digest}")
    if names != [f"{stem}.json", f"{stem}.zip"]:
        raise DigestMismatchError(key, expected="two members", found=f"{len(names)} members")
    _require_checksum(key, inner.CRC, found)
    return document, content, found


def _require_checksum(key: str, expected: int, found: int) -> None:
    if found != expected:
        raise DigestMismatchError(key, expected=f"CRC {expected:08x}", found=f"{found:08x}")


def _pack(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        for name, data in sorted(members.items()):
            zipped.writestr(member_info(name, compression=zipfile.ZIP_STORED), data)
    return buffer.getvalue()
