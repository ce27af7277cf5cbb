"""Layer archives: a document and one opaque zip of the files that it lists (docs/format.md, section 5.1)."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from raybundle.bundle.layers.document import checked_path
from raybundle.content import checked_chunks
from raybundle.errors import UNREADABLE, BundleError, DigestMismatchError
from raybundle.formats.deflate import deflater
from raybundle.formats.deterministic_zip import member_info, member_of, plain_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from raybundle.bundle.layers.document import LayerDocument

COMPRESSION_LEVEL = 2
"""Of deflate: level 6 takes three times as long for a tenth less (docs/decisions/014-packing.md)."""
CHUNK = 1 << 20
"""Bytes to read at once."""
NO_ARCHIVE = (
    *UNREADABLE,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,  # encrypted, or of a later version of the format
)
"""Exceptions that damaged or foreign data raises."""
LARGEST_DOCUMENT = 64 << 20
"""Bytes of a document in an archive: ten times that of a layer of 30,000 files."""
_FIRST, _LAST, _LAST_BYTES = b"PK\3\4", b"PK\5\6", 22
"""Signatures of a zip's first and last record, and the bytes of the last without a comment (APPNOTE, 4.3)."""
_LARGE = 1 << 30
"""Size in bytes from which a packed member may need more than 32 bits."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file to pack; its content must have this `size` and `sha256` (hex)."""

    path: str
    executable: bool
    size: int
    sha256: str
    source: Path | bytes


def layer_members(document: LayerDocument, directory: Path) -> Iterator[Member]:
    """Yields the installed files of a layer; RECORD is generated from the document."""
    record = document.record_path
    for file in document.files:
        source = document.record() if file.path == record else directory / file.path
        yield Member(file.path, file.executable, file.size, file.sha256, source)


def write_archive(target: Path, name: str, document: bytes, members: Iterable[Member], size: int) -> None:
    """Writes an archive. No file is read into memory as a whole.

    The same arguments and library of deflate give the same bytes.

    Args:
        target: the file to write.
        name: of its two members, without `.json` and `.zip`.
        document: content of the first member.
        members: content of the second member.
        size: of all `members`, in bytes.

    Raises:
        BundleError: a file changed after it was described.
    """
    with zipfile.ZipFile(target, "w") as outer:
        outer.writestr(member_info(f"{name}.json", compression=zipfile.ZIP_STORED), document)
        info = member_info(f"{name}.zip", compression=zipfile.ZIP_STORED)
        with outer.open(info, "w", force_zip64=size > _LARGE) as content, _content(content) as inner:
            for member in members:
                _write(inner, member)


def unwritable(name: str, folder: Path, error: OSError) -> BundleError:
    """Returns the error about an archive that cannot be written to a folder of the cache."""
    return BundleError(
        f"cannot pack {name} in {folder}: {error.strerror}",
        hint="make room there, or set XDG_CACHE_HOME to a directory elsewhere",
    )


def _content(stream: Any) -> zipfile.ZipFile:
    """Returns a zip that is written straight into another one, without a file of its own."""
    return zipfile.ZipFile(stream, "w")


def _write(inner: zipfile.ZipFile, member: Member) -> None:
    info = member_info(member.path, executable=member.executable)
    with inner.open(info, "w", force_zip64=member.size > _LARGE) as target:
        target._compressor = deflater(COMPRESSION_LEVEL)  # type: ignore[attr-defined]  # noqa: SLF001 - `open` takes none
        for data in checked_chunks(member.source, member.size, member.sha256, member.path):
            target.write(data)


def check_archive(stream: BinaryIO, name: str, where: str) -> None:
    """Checks that an archive has the document that its name says, and the files that the document lists.

    Args:
        stream: the archive.
        name: of its members: the layer's digest in hex, or that and what names its byte-code.
        where: how errors name it.

    Raises:
        DigestMismatchError: it has something else.
    """
    expected = name.rpartition("-")[2]
    try:
        with zipfile.ZipFile(stream) as outer:
            if outer.comment or not _is_exact(stream):
                raise ValueError("bytes before or behind it")
            if outer.namelist() != [f"{name}.json", f"{name}.zip"]:
                raise _mismatch(where, expected, f"an archive of {', '.join(outer.namelist()[:3])}")
            check_packing(outer, (zipfile.ZIP_STORED,))
            document = read_member(outer, outer.getinfo(f"{name}.json"))
            found = hashlib.sha256(document).hexdigest()
            if found != expected:
                raise _mismatch(where, expected, found)
            content = outer.getinfo(f"{name}.zip")
            _check_sum(member_of(stream, content), content)
        with member_of(stream, content) as inner:
            _check_content(inner, json.loads(document)["files"], where)
    except NO_ARCHIVE as error:
        raise _mismatch(where, expected, f"not an archive of a layer ({error})") from error


def _check_sum(content: BinaryIO, info: zipfile.ZipInfo) -> None:
    """Compares a stored member with its checksum: bytes between its own members count too."""
    found, size = 0, 0
    while data := content.read(CHUNK):
        found, size = zlib.crc32(data, found), size + len(data)
    if (found, size) != (info.CRC, info.file_size):
        raise ValueError(f"its content has {size} bytes and the checksum {found:08x}")


def _check_content(content: BinaryIO, files: list[dict[str, Any]], where: str) -> None:
    with zipfile.ZipFile(content) as inner:
        if inner.namelist() != [checked_path(file["path"]) for file in files]:
            raise ValueError("its files are not those of its document")
        check_packing(inner, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        for member, file in zip(inner.infolist(), files, strict=True):
            found, size = hashlib.sha256(), 0
            with inner.open(member) as stream:
                while size <= file["size"] and (data := stream.read(CHUNK)):
                    found.update(data)
                    size += len(data)
            if (found.hexdigest(), size) != (file["sha256"], file["size"]):
                raise _mismatch(f"{file['path']} in {where}", file["sha256"], found.hexdigest())


def _is_exact(stream: BinaryIO) -> bool:
    """Returns whether no bytes precede the first member, and none follow the end."""
    stream.seek(0)
    first = stream.read(len(_FIRST))
    stream.seek(-_LAST_BYTES, io.SEEK_END)
    return first == _FIRST and stream.read(len(_LAST)) == _LAST


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """Returns a small member of an archive. Nothing is inflated that says or turns out to be too large.

    Raises:
        ValueError, or another error of `NO_ARCHIVE`: it is too large, or damaged.
    """
    if info.file_size > LARGEST_DOCUMENT:
        raise ValueError(f"{info.filename} has {info.file_size} bytes")
    data = plain_bytes(archive, info)
    if data is not None:
        return data
    with archive.open(info) as stream:
        return stream.read(info.file_size)  # without a number, it would inflate all that is there


def check_packing(archive: zipfile.ZipFile, known: Collection[int]) -> None:
    """Checks the compression of members: a node inflates them piece by piece."""
    for member in archive.infolist():
        if member.compress_type not in known:
            raise ValueError(f"{member.filename} is packed in another way")


def _mismatch(where: str, expected: str, found: str) -> DigestMismatchError:
    return DigestMismatchError(where, expected=f"sha256:{expected}", found=found)
