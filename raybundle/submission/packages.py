"""Archives of layers as packages of the Jobs API: one package if an archive fits, else several."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

from raybundle.bundle.layers.archive import NO_ARCHIVE, check_packing, read_member
from raybundle.errors import DigestMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

LARGEST = 90 << 20
"""Bytes of a package; the server refuses 100 MiB, and proxies add to what is sent."""
ROOM = 4096
"""Bytes of a package that are reserved for the names of its two members and the zip's directory."""
_TIME = (1980, 1, 1, 0, 0, 0)
_UNIX, _MODE = 3, 0o100644 << 16
_LOCAL_HEADER = 30
"""Bytes of a zip's local header before its name; the lengths of name and extra field end it."""


class Package(NamedTuple):
    """What is sent in one request; its name is derived from its bytes."""

    name: str
    data: bytes


def package_name(data: bytes) -> str:
    """Returns the name of a package: Ray counts references to those that start with `_ray_pkg_`."""
    return f"_ray_pkg_raybundle_{hashlib.sha256(data).hexdigest()}.zip"


def packages_of(key: str, archive: bytes, largest: int = LARGEST) -> Iterator[Package]:
    """Returns the packages of a layer's archive; the same bytes give the same packages.

    An archive that fits is one package. The content of a larger one is cut, and each part travels with the
    document: a package with two members is never a wrapper directory to Ray.

    Args:
        key: of the archive in the store; its name has the digest of the document.
        archive: its bytes.
        largest: bytes of a package.

    Raises:
        DigestMismatchError: the archive is not what its name says.
    """
    return _packages(key, archive, largest, *_members(key, archive))


def _packages(
    key: str, archive: bytes, largest: int, document: bytes, content: memoryview
) -> Iterator[Package]:
    if len(archive) <= largest:
        yield Package(package_name(archive), archive)
        return
    stem = key.rpartition("/")[2].removesuffix(".zip")
    step = largest - len(document) - ROOM
    for number, start in enumerate(range(0, len(content), step)):
        part = _pack(
            {f"{stem}.json": document, f"{stem}.zip.{number:03}": bytes(content[start : start + step])}
        )
        yield Package(package_name(part), part)


def _members(key: str, archive: bytes) -> tuple[bytes, memoryview]:
    """Returns document and content of a layer's archive; the content is not copied.

    It is checked first: a damaged archive would stay on the nodes under its name.
    """
    stem = key.rpartition("/")[2].removesuffix(".zip")
    expected = f"a document of sha256 {stem[-64:]}"
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as zipped:
            names = zipped.namelist()
            members = {info.filename: info for info in zipped.infolist()}
            check_packing(zipped, (zipfile.ZIP_STORED,))
            document = read_member(zipped, f"{stem}.json")
        inner = members[f"{stem}.zip"]
        content = memoryview(archive)[_start(archive, inner) :][: inner.file_size]
    except NO_ARCHIVE as error:
        raise DigestMismatchError(key, expected=expected, found=f"no archive of it: {error}") from error
    digest = hashlib.sha256(document).hexdigest()
    if digest != stem[-64:]:
        raise DigestMismatchError(key, expected=expected, found=f"sha256 {digest}")
    if names != [f"{stem}.json", f"{stem}.zip"]:
        raise DigestMismatchError(key, expected="two members", found=f"{len(names)} members")
    if zlib.crc32(content) != inner.CRC:
        raise DigestMismatchError(key, expected=f"CRC {inner.CRC:08x}", found=f"{zlib.crc32(content):08x}")
    return document, content


def _start(archive: bytes, info: zipfile.ZipInfo) -> int:
    name, extra = struct.unpack_from("<HH", archive, info.header_offset + _LOCAL_HEADER - 4)
    return info.header_offset + _LOCAL_HEADER + int(name) + int(extra)


def _pack(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as zipped:
        for name, data in sorted(members.items()):
            info = zipfile.ZipInfo(name, _TIME)
            info.create_system, info.external_attr = _UNIX, _MODE
            zipped.writestr(info, data)
    return buffer.getvalue()
