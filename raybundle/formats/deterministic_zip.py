"""Makes archive members with fixed metadata, so that the same files give the same bytes; opens them."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any, BinaryIO, cast

_TIME = (1980, 1, 1, 0, 0, 0)
_MODES = {False: 0o100644, True: 0o100755}
_UNIX = 3
_LOCAL = struct.Struct("<26xHH")
"""A member's local header: the lengths of its name and its extra field (PKWARE's APPNOTE, 4.3.7)."""
_BUFFER = 1 << 20


def member_info(
    name: str, *, executable: bool = False, compression: int = zipfile.ZIP_DEFLATED
) -> zipfile.ZipInfo:
    """Returns the metadata of a member; time, system and owner are the same everywhere."""
    info = zipfile.ZipInfo(name, _TIME)
    info.create_system = _UNIX
    info.external_attr = _MODES[executable] << 16
    info.compress_type = compression
    return info


def member_of(stream: BinaryIO, info: zipfile.ZipInfo) -> BinaryIO:
    """Returns a stored member of an archive as a file of its own, of which nothing is in memory.

    `ZipFile.open` would read the member anew from its start for each step back.
    """
    stream.seek(info.header_offset)
    name, extra = _LOCAL.unpack(stream.read(_LOCAL.size))
    start = info.header_offset + _LOCAL.size + int(name) + int(extra)
    return cast("BinaryIO", io.BufferedReader(_Part(stream, start, info.file_size), _BUFFER))


class _Part(io.RawIOBase):
    """Some bytes of a file."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream, self._start, self._size = stream, start, size
        self._place = 0

    def readable(self) -> bool:
        return True

    seekable = readable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = (0, self._place, self._size)[whence] + offset
        if place < 0:
            raise ValueError(f"no place {place} in a file")
        self._place = place
        return place

    def readinto(self, buffer: Any) -> int:
        self._stream.seek(self._start + self._place)
        data = self._stream.read(max(0, min(len(buffer), self._size - self._place)))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)
