"""Reads the files in archives of bundles and layers, and compares each with what lists it."""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import contextmanager
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from raybundle.bundle.layers.archive import CHUNK, NO_ARCHIVE, check_packing, read_member
from raybundle.bundle.layers.document import checked_path
from raybundle.bundle.pack import OWN
from raybundle.errors import DigestMismatchError
from raybundle.node.cache.raybundle_content import Content
from raybundle.node.cache.raybundle_materialise import member_name
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.publish.layout import data_key
from raybundle.publish.repack import refuse_others

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.bundle.values import Manifest, ManifestFile
    from raybundle.store.base import Store

DELIVERY = f"{OWN}/delivery.json"
DAMAGED = (*NO_ARCHIVE, OSError)
"""What reading a damaged archive raises."""


class BundleArchive:
    """The archive of a bundle, whose bytes are those of its name, and the store with its large files."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest, where: str, store: Store) -> None:
        """Takes an open archive, the bundle's manifest, how errors name the archive, and the store.

        Raises:
            DigestMismatchError: it has a member that is none of the bundle's.
        """
        refuse_others(archive, manifest, where)
        self._archive = archive
        self.manifest = manifest
        self.where = where
        self._store = store

    def pieces(self, file: ManifestFile) -> Iterator[bytes]:
        """Yields the bytes of a file of the manifest.

        Raises:
            DigestMismatchError: at the latest after the last piece: the file is another.
            ObjectMissingError: the store has lost a large file.
        """
        if file.size > LARGE:
            return data_pieces(self._store, file.sha256, file.size)
        return verified(self._archive, member_name(file.path), file, f"{file.path} in {self.where}")

    @property
    def has_delivery(self) -> bool:
        """Whether there is a delivery."""
        return DELIVERY in self._archive.namelist()

    def delivery(self, expected: str | None = None) -> bytes:
        """Returns the delivery, whose hex SHA-256 is `expected` if that is known.

        Raises:
            DigestMismatchError: there is none, or another.
        """
        where = f"{DELIVERY} in {self.where}"
        try:
            data = read_member(self._archive, self._archive.getinfo(DELIVERY))
        except NO_ARCHIVE as error:
            raise _mismatch(where, expected or "a delivery", error) from error
        found = hashlib.sha256(data).hexdigest()
        if expected not in {None, found}:
            raise _mismatch(where, str(expected), found)
        return data


@contextmanager
def open_bundle(path: Path, manifest: Manifest, where: str, store: Store) -> Iterator[BundleArchive]:
    """Opens the archive of a bundle.

    Raises:
        DigestMismatchError: it is not an archive of this bundle.
    """
    with _zip(path, where, "the archive of a bundle") as archive:
        yield BundleArchive(archive, manifest, where, store)


def data_pieces(store: Store, sha256: str, size: int) -> Iterator[bytes]:
    """Yields the bytes of a large file in a store.

    Raises:
        DigestMismatchError: at the latest after the last piece: it has other bytes.
        ObjectMissingError: the store has none.
    """
    key = data_key(sha256)
    found, total = hashlib.sha256(), 0
    for piece in store.pieces(key):
        found.update(piece)
        total += len(piece)
        if total > size:
            break
        yield piece
    if (total, found.hexdigest()) != (size, sha256):
        raise _mismatch(f"{key} in {store.url}", sha256, f"{found.hexdigest()} ({total} bytes)")


class LayerArchive:
    """The document and the files of an archive of a layer, or of its byte-code."""

    def __init__(self, document: dict[str, Any], inner: zipfile.ZipFile, where: str) -> None:
        """Takes a verified document, and the zip file of what it lists."""
        self.document = document
        self.where = where
        self._inner = inner

    @property
    def files(self) -> list[dict[str, Any]]:
        """The files as the document has them: `path`, `size`, `sha256`, and for a layer `executable`."""
        files: list[dict[str, Any]] = self.document["files"]
        return files

    def pieces(self, file: dict[str, Any]) -> Iterator[bytes]:
        """Yields the bytes of a file.

        Raises:
            DigestMismatchError: at the latest after the last piece: the file is another.
        """
        return verified(self._inner, file["path"], file, f"{file['path']} in {self.where}")


@contextmanager
def open_layer(path: Path, name: str, where: str) -> Iterator[LayerArchive]:
    """Opens an archive of a layer, whose document has the digest that is in its name.

    Raises:
        DigestMismatchError: it is not that archive.
    """
    expected = name.rpartition("-")[2]
    try:
        stream = path.open("rb")
    except OSError as error:  # somebody has removed it since it was hashed
        raise _mismatch(where, f"sha256:{expected}", error) from error
    with stream as opened, _zip(opened, where, f"sha256:{expected}") as outer:
        try:
            if outer.namelist() != [f"{name}.json", f"{name}.zip"]:
                raise ValueError(f"an archive of {', '.join(outer.namelist()[:3])}")
            check_packing(outer, (zipfile.ZIP_STORED,))
            data = read_member(outer, outer.getinfo(f"{name}.json"))
            found = hashlib.sha256(data).hexdigest()
            if found != expected:
                raise ValueError(f"a document with sha256:{found}")
            info = outer.getinfo(f"{name}.zip")
            with outer.open(info):
                start = opened.tell()  # only the member's header has been read
            document = json.loads(data)
            content = Content(f"{name}.zip", [str(path)], start, info.file_size)
            names = [checked_path(file["path"]) for file in document["files"]]
        except DAMAGED as error:
            raise _mismatch(where, f"sha256:{expected}", error) from error
        with content, _zip(BufferedReader(content), where, f"sha256:{expected}") as inner:
            if inner.namelist() != names:
                raise _mismatch(where, f"sha256:{expected}", "other files than its document lists")
            try:
                check_packing(inner, (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            except ValueError as error:
                raise _mismatch(where, f"sha256:{expected}", error) from error
            yield LayerArchive(document, inner, where)


def verified(archive: zipfile.ZipFile, name: str, file: Any, where: str) -> Iterator[bytes]:
    """Yields the bytes of a member, of which size and SHA-256 must be those of `file`."""
    size, expected = (file["size"], file["sha256"]) if isinstance(file, dict) else (file.size, file.sha256)
    found, total = hashlib.sha256(), 0
    try:
        info = archive.getinfo(name)
        if info.file_size != size:
            raise ValueError(f"{info.file_size} bytes")
        for piece in _pieces(archive, info):
            found.update(piece)
            total += len(piece)
            yield piece
    except DAMAGED as error:
        raise _mismatch(where, expected, error) from error
    if (total, found.hexdigest()) != (size, expected):
        raise _mismatch(where, expected, found.hexdigest())


def _pieces(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yields the bytes of a member: not more than it says that it has."""
    if info.file_size <= CHUNK:
        yield read_member(archive, info)
        return
    with archive.open(info) as stream:
        while piece := stream.read(CHUNK):
            yield piece


@contextmanager
def _zip(file: Any, where: str, expected: str) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(file)
    except DAMAGED as error:
        raise _mismatch(where, expected, error) from error
    with archive:
        yield archive


def _mismatch(where: str, expected: str, found: object) -> DigestMismatchError:
    return DigestMismatchError(where, expected=expected, found=str(found) or type(found).__name__)
