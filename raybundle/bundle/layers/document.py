"""The layer document: canonical JSON of one distribution's files. Its SHA-256 names the layer."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import unicodedata
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.errors import UNREADABLE
from raybundle.formats.canonical import FORMAT, LARGEST, canonical_json, digest_of
from raybundle.resolve.distributions.record import encoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from raybundle.model import Digest


@dataclass(frozen=True, slots=True)
class LayerFile:
    """One file of a layer; `path` below the site-packages directory, `size` in bytes, `sha256` in hex."""

    path: str
    executable: bool
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class LayerDocument:
    """The identity of a layer; the same name, version and files have the same digest."""

    name: str
    version: str
    files: tuple[LayerFile, ...]
    """Sorted by path."""

    def format(self) -> bytes:
        """Returns the canonical bytes."""
        files = [
            {"path": each.path, "executable": each.executable, "size": each.size, "sha256": each.sha256}
            for each in self.files
        ]
        return canonical_json({"format": FORMAT, "name": self.name, "version": self.version, "files": files})

    def digest(self) -> Digest:
        """Returns the digest of the layer."""
        return digest_of(self.format())

    @property
    def record_path(self) -> str:
        """The path of its RECORD, which lists what the layer holds."""
        return next(
            each.path for each in self.files if each.path.count("/") == 1 and each.path.endswith(RECORD_END)
        )

    def record(self) -> bytes:
        """Returns the content of its RECORD."""
        return format_record((each for each in self.files if each.path != self.record_path), self.record_path)


RECORD_END = ".dist-info/RECORD"
_TESTS = frozenset({"test", "tests"})
_LONGEST = 240
"""Bytes of the name of a source: its byte-code has `.cpython-311.pyc` in place of `.py`, and 255 at most."""
_HASH = re.compile("[0-9a-f]{64}")


def is_compiled(path: str) -> bool:
    """Returns whether a bundle has byte-code of a file: not of tests, which would be two thirds of it.

    Nor is there any if its name would be too long.
    """
    *folders, name = path.split("/")
    return name.endswith(".py") and len(name.encode()) <= _LONGEST and _TESTS.isdisjoint(folders)


def format_record(files: Iterable[LayerFile], own: str) -> bytes:
    """Returns the RECORD at `own` that lists `files` and itself; its order depends on nothing else.

    https://packaging.python.org/en/latest/specifications/recording-installed-packages/
    """
    rows = [(each.path, f"sha256={encoded(bytes.fromhex(each.sha256))}", str(each.size)) for each in files]
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(sorted([*rows, (own, "", "")]))
    return text.getvalue().encode()


def parse_document(data: bytes) -> LayerDocument:
    """Returns the layer document in `data`.

    Raises:
        ValueError: it is not a layer document, or is not canonical.
    """
    try:
        document = json.loads(data)
        files = tuple(map(_parse_file, document["files"]))
        found = LayerDocument(str(document["name"]), str(document["version"]), files)
    except UNREADABLE as error:
        raise ValueError(f"not a layer document: {error!r}") from error
    if found.format() != data:
        raise ValueError("a layer document that is not canonical or has unknown keys")
    _check_order([each.path for each in files])
    return found


def _check_order(paths: Sequence[str]) -> None:
    """Checks that the paths are sorted and unique, and that no file is also a folder."""
    for path, following in itertools.pairwise(paths):
        if path >= following:
            raise ValueError(f"{path} comes before {following}")
    for path in paths:
        within = bisect_left(paths, f"{path}/")
        if within < len(paths) and paths[within].startswith(f"{path}/"):
            raise ValueError(f"{path} is a file and a folder")


def _parse_file(document: dict[str, Any]) -> LayerFile:
    executable, size = document["executable"], document["size"]
    if type(executable) is not bool or type(size) is not int:
        raise ValueError(f"executable {executable!r}, size {size!r}")
    if not 0 <= size <= LARGEST or not _HASH.fullmatch(document["sha256"]):
        raise ValueError(f"size {size}, sha256 {document['sha256']!r}")
    return LayerFile(checked_path(document["path"]), executable, size, document["sha256"])


def checked_path(path: Any) -> str:
    """Returns `path` if it is a relative path that stays below its directory.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(path, str) or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(f"path {path!r}")
    if "\\" in path or any(unicodedata.category(character) == "Cc" for character in path):
        raise ValueError(f"path {path!r}")
    return path
