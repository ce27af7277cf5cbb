"""Opens the archives of layers on a node: verified files, or packages that Ray has unpacked."""

from __future__ import annotations

import os
import struct
import sys
import zipfile
from io import BufferedReader, RawIOBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

DAMAGED = (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, struct.error)
"""What `zipfile` raises for a file that is damaged or not a zip file."""


class Content(RawIOBase):
    """A zip file: one file or a part of it, or several files, which may be in different directories."""

    def __init__(self, file: str, files: Iterable[str], start: int = 0, most: int = sys.maxsize) -> None:
        """Opens `files`, the parts of `file` in order. Only `most` bytes from `start` of each count."""
        self.file = file
        self._parts: list[tuple[int, int, int]] = []
        self._start = start
        self._place = 0
        self._size = 0
        for each in files:
            descriptor = os.open(each, os.O_RDONLY)
            size = min(os.fstat(descriptor).st_size - start, most)
            self._parts.append((self._size, size, descriptor))
            self._size += size

    @property
    def parts(self) -> int:
        """The number of parts."""
        return len(self._parts)

    def read_at(self, place: int, size: int) -> bytes:
        """Returns up to `size` bytes from `place`. Threads and processes may share the file."""
        pieces = []
        for start, length, descriptor in self._parts:
            below = max(place - start, 0)
            wanted = min(place + size - start, length) - below
            if wanted > 0:
                pieces.append(os.pread(descriptor, wanted, self._start + below))
        return b"".join(pieces)

    def readable(self) -> bool:
        """Returns True."""
        return True

    seekable = readable

    def seek(self, offset: int, whence: int = 0) -> int:
        """Moves to a place; `zipfile` needs it to read the list of members."""
        self._place = (0, self._place, self._size)[whence] + offset
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Reads from the current place into `buffer`."""
        data = self.read_at(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        """Closes all parts."""
        for _, _, descriptor in self._parts:
            os.close(descriptor)
        self._parts = []
        super().close()

    def members(self) -> dict[str, zipfile.ZipInfo]:
        """Returns its members by name.

        Raises:
            RuntimeError: it is not a zip file.
        """
        reader = BufferedReader(self)
        try:
            found = {each.filename: each for each in zipfile.ZipFile(reader).infolist()}
            reader.detach()  # otherwise the reader closes the content when it is garbage-collected
        except DAMAGED as error:
            raise RuntimeError(_explain(error, self)) from error
        return found


def open_unpacked(places: dict[str, str], name: str) -> tuple[str, bytes, Content]:
    """Returns the file of a document, its bytes, and the content beside it, as Ray has unpacked them."""
    file = f"{places[f'{name}.json']}/{name}.json"
    with open(file, "rb") as stream:
        data = stream.read()
    return file, data, Content(f"{file.removesuffix('.json')}.zip", _files_of(f"{name}.zip", places))


def open_archive(file: str, name: str) -> tuple[str, bytes, Content]:
    """Returns a name for the document of an archive, its bytes, and the content in the archive."""
    try:
        with open(file, "rb") as stream, zipfile.ZipFile(stream) as archive:
            data = archive.read(f"{name}.json")
            inner = archive.getinfo(f"{name}.zip")
            with archive.open(inner):
                start = stream.tell()  # only the member's header has been read
            if inner.compress_type != zipfile.ZIP_STORED:
                raise ValueError("packed content")
    except (*DAMAGED, KeyError) as error:
        raise RuntimeError(f"file {file}: expected the archive {name}.zip, found {error}") from error
    return f"{name}.json in {file}", data, Content(f"{name}.zip", [file], start, inner.file_size)


def _explain(error: Exception, content: Content) -> str:
    """Returns a message for a bad zip file. The end of the last part has the list of members."""
    found = str(error) or type(error).__name__
    if content.parts == 1:
        return f"file {content.file}: expected a zip file, found {found}"
    following = f"{content.file}.{content.parts:03}"
    return (
        f"file {following}: expected it, or a zip file in the {content.parts} parts before it, found {found}"
    )


def _files_of(name: str, places: dict[str, str]) -> list[str]:
    """Returns the file `name`, or its parts in order. Ray unpacks each part into its own directory."""
    if name in places:
        return [f"{places[name]}/{name}"]
    parts = sorted(each for each in places if each.startswith(f"{name}.") and each[-3:].isdecimal())
    for number, part in enumerate(parts or [""]):
        wanted = f"{name}.{number:03}" if parts else name
        if part != wanted:
            where = ", ".join(dict.fromkeys(places.values()))
            raise RuntimeError(f"file {wanted}: expected a file in {where}, found none")
    return [f"{places[part]}/{part}" for part in parts]


def find_parts(sha256: str, places: dict[str, str]) -> list[str]:
    """Returns the parts of a large file in order, among what Ray has unpacked; empty if there are none."""
    names = sorted(name for name in places if name.startswith(f"{sha256}.data."))
    return [f"{places[name]}/{name}" for name in names]


def find_places() -> dict[str, str]:
    """Returns the directory of each file, by name, among those in which Ray has unpacked layers."""
    places: dict[str, str] = {}
    for directory in os.environ.get("RAYBUNDLE_LAYERS", "").split(":"):
        try:
            names = os.listdir(directory) if directory else []
        except FileNotFoundError:
            continue
        for name in names:
            places.setdefault(name, directory)
    return places
