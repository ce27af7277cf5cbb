"""Reads the files of a bundle again, in pieces: what was hashed is what is packed and sent."""

from __future__ import annotations

import hashlib
import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from raybundle.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.model import CollectedFile

CHUNK = 1 << 20
"""Bytes in memory at once."""


def chunks_of(file: CollectedFile) -> Iterator[bytes]:
    """Yields the content of a file, as `checked_chunks` does."""
    return checked_chunks(file.source, file.size, file.sha256, file.path)


def read(file: CollectedFile) -> bytes:
    """Returns the content of a file that fits into memory.

    Raises:
        BundleError: it changed after it was hashed, or cannot be read.
    """
    if isinstance(file.source, bytes):
        return file.source
    return b"".join(chunks_of(file))


def head_of(file: CollectedFile, size: int) -> bytes:
    """Returns the first bytes of a file, as `opened` has them."""
    with opened(file) as stream:
        return stream.read(size)


def checked_chunks(source: Path | bytes, size: int, sha256: str, name: str) -> Iterator[bytes]:
    """Yields the content of a source, but the last piece only if size and digest are right.

    Args:
        source: the content, or the file that has it.
        size: that it must have, in bytes.
        sha256: likewise, in hex.
        name: of the source in an error, if it is not a file.

    Raises:
        BundleError: the source changed after it was hashed, or cannot be read.
    """
    what = source if isinstance(source, Path) else name
    found, seen, held = hashlib.sha256(), 0, b""
    for data in _pieces(source):
        found.update(data)
        seen += len(data)
        if seen > size:
            raise _changed(what)
        if held:
            yield held
        held = data
    if (seen, found.hexdigest()) != (size, sha256):
        raise _changed(what)
    if held:
        yield held


def _pieces(source: Path | bytes) -> Iterator[bytes]:
    try:
        with _opened(source) as stream:
            while data := stream.read(CHUNK):
                yield data
    except OSError as error:
        raise _changed(source) from error


def _opened(source: Path | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb", buffering=0)


@contextmanager
def opened(file: CollectedFile) -> Iterator[BinaryIO]:
    """Opens a file to read parts of it. Nothing says whether they are still those that were hashed.

    Raises:
        BundleError: it cannot be read.
    """
    try:
        with _opened(file.source) as stream:
            yield stream
    except OSError as error:
        raise _changed(file.source) from error


def _changed(what: object) -> BundleError:
    return BundleError(f"{what} changed while it was being bundled", hint="run the command again")
