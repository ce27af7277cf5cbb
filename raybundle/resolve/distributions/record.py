"""Parses RECORD, the list of the files of an installed distribution."""

from __future__ import annotations

import base64
import io
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from raybundle.errors import RefusedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = "RECORD"
_FIELDS = 3
"""Path, hash, size: https://packaging.python.org/en/latest/specifications/recording-installed-packages/"""
_DRIVE = re.compile(r"[A-Za-z]:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Unicode's category Cc."""


class RecordedFile(NamedTuple):
    """One row of RECORD."""

    path: str
    """Normalised, relative to the site-packages directory."""
    hash: str
    """Such as `sha256=…` in URL-safe base64 without padding; may be empty."""
    size: str
    """In bytes; may be empty."""
    line: int

    @property
    def is_outside(self) -> bool:
        """Returns whether the file is not in the site-packages directory."""
        return self.path.startswith(("/", "../")) or self.path == ".." or bool(_DRIVE.match(self.path))


class RecordError(RefusedFileError):
    """A line of RECORD that cannot be understood."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def parse_record(data: bytes, *, strict: bool = False) -> Iterator[RecordedFile]:
    """Yields the files that a RECORD lists, as it orders them.

    Args:
        data: the content of RECORD.
        strict: refuse what cannot be understood; otherwise it is read as far as possible.

    Raises:
        RecordError: a line is not UTF-8, not CSV, does not have three fields, or does not name a file.
    """
    import csv  # noqa: PLC0415 - start-up: a warm answer reads no RECORD

    reader = csv.reader(io.StringIO(_decoded(data, strict=strict), newline=""), strict=strict)
    try:
        for row in filter(None, reader):
            path, digest, size = row if len(row) == _FIELDS else (*row, "", "")[:_FIELDS]
            if "\\" in path or "./" in path or "//" in path or "/." in path:
                path = posixpath.normpath(path.replace("\\", "/"))
            found = RecordedFile(path, digest, size, reader.line_num)
            if strict:
                _check(row, found)
            yield found
    except csv.Error as error:
        if strict:
            raise RecordError(str(error), reader.line_num) from error


def encoded(digest: bytes) -> str:
    """Returns a digest as RECORD has it: in URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _check(row: list[str], found: RecordedFile) -> None:
    if len(row) != _FIELDS or not row[0]:
        raise RecordError(f"not a path, a hash and a size: {','.join(row)!r}", found.line)
    odd = found.path == "." or _CONTROL.search(found.path)
    if odd and not found.is_outside:
        raise RecordError(f"not the path of a file: {row[0]!r}", found.line)


def _decoded(data: bytes, *, strict: bool) -> str:
    try:
        return data.decode("utf-8", "strict" if strict else "replace")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RecordError(f"not UTF-8: {data.splitlines()[line - 1]!r}", line) from error
