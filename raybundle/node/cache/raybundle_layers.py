"""Unpacks layers on a node: inflates fetched archives in parallel, and verifies every file.

An archive is a verified file, or what Ray has unpacked of relayed packages, where any job on the node may
write. A layer gets its final name only after each file matches the layer's document, and the document matches
the manifest. Byte-code is verified likewise, against its listing and the delivery. This node compiles layers
that have no byte-code.
"""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import sys
import warnings
import zipfile
import zlib
from hashlib import sha256
from importlib import _bootstrap_external as import_system
from typing import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import Any

    from raybundle.node.cache.raybundle_content import Content
    from raybundle.node.stub import Stub

HEADER = struct.Struct("<26xHH")
"""A member's local header: the lengths of its name and its extra field (PKWARE's APPNOTE, 4.3.7)."""
CHUNK = 4 << 20
"""Bytes of a member that are inflated, hashed and written at a time."""
LONGEST_NAME = 255
"""As in `raybundle_materialise`."""
TEST_FOLDERS = frozenset({"test", "tests"})
"""Folders whose modules are not compiled in advance: there are many of them, and few jobs import them."""


class Layer:
    """A layer of the manifest, and its directory on this node."""

    def __init__(self, private: str, entry: dict[str, str], delivery: dict[str, Any]) -> None:
        """Takes the path of the cache, the layer's entry in the manifest, and the verified delivery.

        The directory's name includes the byte-code: a job never runs byte-code that its own submission does
        not name, even if an earlier submission named it.
        """
        self.title = f"{entry['name']} {entry['version']}"
        self.digest = entry["digest"].partition(":")[2]
        tag = f"{sys.implementation.cache_tag}-"
        delivered: str = delivery.get("byte_code", {}).get(self.digest, "")
        self.listing = delivered.removeprefix(tag) if delivered.startswith(tag) else ""
        name = f"{self.digest}-{tag}{self.listing}".removesuffix("-")
        self.directory = f"{private}/layers/{name}"
        self._archives: dict[str, Any] = delivery.get("archives", {})

    def to_fetch(self, places: dict[str, str]) -> Iterator[tuple[str, str, str, int, bool]]:
        """Yields name, key, SHA-256, size and "optional" of each of its archives that Ray has not unpacked.

        The node compiles byte-code that it cannot get. Without RAYBUNDLE_SOURCE, Ray has unpacked all.
        """
        names = [self.digest, os.path.basename(self.directory)] if self.listing else [self.digest]
        for name in names if "RAYBUNDLE_SOURCE" in os.environ else ():
            if f"{name}.json" not in places and (name in self._archives or name == self.digest):
                packed = self._archives[name]
                yield name, f"layers/{name}.zip", packed["sha256"], packed["size"], name != self.digest


class Job(NamedTuple):
    """A file of a layer that this node must write."""

    target: str
    """Absolute path."""
    mode: int
    size: int
    """In bytes."""
    sha256: str
    content: Content
    member: zipfile.ZipInfo
    to_compile: bool


class Missing:
    """The layers that this node does not have yet. A context manager that closes their zip files."""

    def __init__(self, stub: Stub, layers: Collection[Layer], fetched: dict[str, str]) -> None:
        """Reads and verifies the documents and listings of the missing `layers`.

        Args:
            stub: the module `sitecustomize`.
            layers: of the bundle.
            fetched: verified archives by their names; the others are what Ray has unpacked.

        Raises:
            RuntimeError: a document or listing is missing or does not match its digest.
        """
        self.layers = layers
        self.opened: list[Content] = []
        self.jobs: dict[str, list[Job]] = {}
        self._fetched = fetched
        self._reader: Any = stub.load("raybundle_content")
        places = self._reader.find_places() if layers else {}
        for layer in layers:
            self._add(layer, places)

    def __enter__(self) -> Missing:  # noqa: PYI034 - `Self` is younger than Python 3.10
        return self

    def __exit__(self, *_: object) -> None:
        for content in self.opened:
            content.close()

    @property
    def bytes(self) -> int:
        """Size of the files still to write. A killed process may have left some."""
        all_jobs = (job for jobs in self.jobs.values() for job in jobs)
        return sum(job.size for job in all_jobs if not os.path.lexists(job.target))

    def _add(self, layer: Layer, places: dict[str, str]) -> None:
        document, content = self._open(layer.digest, layer.digest, places)
        found = f"{document['name']} {document['version']}"
        if found != layer.title:
            raise RuntimeError(f"file {layer.digest}.json: expected {layer.title}, found {found}")
        partial = f"{layer.directory}.partial"
        byte_code = self._byte_code(layer, places)
        self._plan(document, content, partial, compile_all=byte_code is None, byte_code=False)
        if byte_code:
            self._plan(*byte_code, partial, compile_all=False, byte_code=True)

    def _byte_code(self, layer: Layer, places: dict[str, str]) -> tuple[dict[str, Any], Content] | None:
        """Returns the listing and content of a layer's byte-code; None if this interpreter cannot use it."""
        name = f"{layer.digest}-{sys.implementation.cache_tag}-{layer.listing}"
        if not layer.listing or not (name in self._fetched or f"{name}.json" in places):
            return None
        listing, content = self._open(name, layer.listing, places)
        if listing["layer"] != layer.digest:
            raise RuntimeError(f"file {name}.json: expected {layer.digest}, found {listing['layer']}")
        return (listing, content) if listing["magic"] == importlib.util.MAGIC_NUMBER.hex() else None

    def _open(self, name: str, digest: str, places: dict[str, str]) -> tuple[dict[str, Any], Content]:
        if name in self._fetched:
            file, data, content = self._reader.open_archive(self._fetched[name], name)
        elif f"{name}.json" in places:
            file, data, content = self._reader.open_unpacked(places, name)
        else:
            where = ", ".join(dict.fromkeys(places.values())) or "py_modules of the job"
            raise RuntimeError(f"file {name}.json: expected layer {name} in {where}, found none")
        self.opened.append(content)
        found = sha256(data).hexdigest()
        if found != digest:
            raise RuntimeError(f"file {file}: expected sha256 {digest}, found {found}")
        document: dict[str, Any] = json.loads(data)
        if document["format"] != 1:
            raise RuntimeError(f"file {file}: expected format 1, found format {document['format']}")
        return document, content

    def _plan(
        self, document: dict[str, Any], content: Content, partial: str, *, compile_all: bool, byte_code: bool
    ) -> None:
        members = content.members()
        for file in document["files"]:
            path = file["path"]
            _check_path(content.file, path, byte_code=byte_code)
            if path not in members:
                raise RuntimeError(f"file {content.file}: expected {path}, found none")
            to_compile = compile_all and path.endswith(".py") and TEST_FOLDERS.isdisjoint(path.split("/"))
            mode = 0o500 if file.get("executable") else 0o400
            expected = (mode, file["size"], file["sha256"])
            target = f"{partial}/{os.fsdecode(path.encode())}"  # names on the disk are UTF-8 in any locale
            job = Job(target, *expected, content, members[path], to_compile)
            self.jobs.setdefault(partial, []).append(job)


def _check_path(file: str, path: str, *, byte_code: bool) -> None:
    """Refuses a path that leads out of its layer, and byte-code outside `__pycache__`."""
    parts = path.split("/")
    if not {"", ".", ".."}.isdisjoint(parts) or "\\" in path or "\0" in path:
        raise RuntimeError(f"file {file}: expected paths below the layer, found {path}")
    is_byte_code = "__pycache__" in parts or path.endswith(".pyc")
    if byte_code != is_byte_code or (byte_code and (parts[-2:-1] != ["__pycache__"] or path[-4:] != ".pyc")):
        expected = "byte-code alone" if byte_code else "no byte-code"
        raise RuntimeError(f"file {file}: expected {expected}, found {path}")


def files_of(jobs: Collection[Job]) -> set[str]:
    """Returns the paths of all files that the jobs write."""
    compiled = (
        import_system.cache_from_source(job.target, optimization="") for job in jobs if job.to_compile
    )
    return {*(job.target for job in jobs), *compiled}


def directories_of(partial: str, files: Collection[str]) -> set[str]:
    """Returns the directories of `files`, all of which are below `partial`, with their parents."""
    found = {partial}
    for file in files:
        directory = os.path.dirname(file)
        while directory not in found:
            found.add(directory)
            directory = os.path.dirname(directory)
    return found


def fill(stub: Stub, layers: Collection[tuple[str, list[Job]]]) -> None:
    """Writes and verifies the files of layers in their directories, which may have some of them."""
    for partial, jobs in layers:
        for directory in sorted(directories_of(partial, files_of(jobs))):
            os.makedirs(directory, 0o700, exist_ok=True)
    stub.load("raybundle_parallel").run(_write, [job for _, jobs in layers for job in jobs], _cost)
    for partial, _ in layers:
        for directory, _, _ in os.walk(partial):
            os.chmod(directory, 0o500)


def cost_of(jobs: Collection[Job]) -> float:
    """Returns about how many seconds a layer takes on one processor."""
    return sum(map(_cost, jobs))


def _cost(job: Job) -> float:
    """Returns about how many seconds a file takes: 150 MB/s, and 1 MB/s to compile (measured)."""
    return 1e-4 + job.size / 150e6 + (job.size / 1e6 if job.to_compile else 0)


def _write(job: Job) -> None:
    """Writes and verifies one file, and compiles it if this node must."""
    if _is_whole(job.target, job.sha256):
        os.chmod(job.target, job.mode)
    else:
        _inflate(job)
    if job.to_compile:
        with open(job.target, "rb") as stream:
            _compile(stream.read(), job.target)


def _is_whole(file: str, expected: str) -> bool:
    """Returns whether `file` has the SHA-256 `expected`, from a killed process; removes any other file."""
    digest = sha256()
    try:
        with open(file, "rb", buffering=0) as stream:
            while data := stream.read(CHUNK):
                digest.update(data)
    except FileNotFoundError:
        return False
    if digest.hexdigest() == expected:
        return True
    os.unlink(file)
    return False


def _inflate(job: Job) -> None:
    """Writes and verifies one file; one that is wrong does not stay."""
    descriptor = os.open(job.target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, job.mode)
    try:
        _write_inflated(job, descriptor)
    except BaseException:
        os.unlink(job.target)
        raise


def _write_inflated(job: Job, descriptor: int) -> None:
    digest = sha256()
    with open(descriptor, "wb", buffering=0) as stream:
        for data in _inflated(job.content, job.member, job.size):
            digest.update(data)
            rest = memoryview(data)
            while rest:  # a nearly full disk takes a part of the data; only the next write is an error
                rest = rest[stream.write(rest) :]
    if digest.hexdigest() != job.sha256:
        raise RuntimeError(
            f"file {job.member.filename} in {job.content.file}: expected sha256 {job.sha256}, "
            f"found {digest.hexdigest()}"
        )


def _inflated(content: Content, member: zipfile.ZipInfo, size: int) -> Iterator[bytes]:
    """Yields the bytes of a member. It stops soon after `size`, the expected number of bytes."""
    header = content.read_at(member.header_offset, HEADER.size)
    if len(header) < HEADER.size or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise RuntimeError(f"file {member.filename} in {content.file}: expected a member, found another")
    place = member.header_offset + HEADER.size + sum(HEADER.unpack(header))
    end = place + member.compress_size
    inflate = _Stored() if member.compress_type == zipfile.ZIP_STORED else zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    while place < end and total <= size:
        data = content.read_at(place, min(CHUNK, end - place))
        place = place + CHUNK if data else end  # a wrong size may point far behind the end of the archive
        owes = True
        while owes and total <= size:
            try:
                inflated = inflate.decompress(data, CHUNK)
            except zlib.error as error:
                raise RuntimeError(
                    f"file {member.filename} in {content.file}: expected deflated bytes, found {error}"
                ) from error
            data = inflate.unconsumed_tail
            owes = bool(data) or len(inflated) == CHUNK  # output may remain even after all input is consumed
            total += len(inflated)
            yield inflated


class _Stored:
    """The interface of a `zlib` decompressor, for members that are not deflated."""

    unconsumed_tail = b""

    @staticmethod
    def decompress(data: bytes, _most: int) -> bytes:
        """Returns `data`."""
        return data


def _compile(data: bytes, target: str) -> None:
    """Writes the byte-code of a verified source beside it. Python will not check the source (PEP 552)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(data, target, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return  # an import of it shows the error
    byte_code = import_system._code_to_hash_pyc(  # type: ignore[attr-defined]
        code, importlib.util.source_hash(data), checked=False
    )
    file = import_system.cache_from_source(target, optimization="")
    if len(os.fsencode(os.path.basename(file))) > LONGEST_NAME:
        return  # each import compiles it again
    if os.path.lexists(file):  # a killed process has left it
        os.unlink(file)
    with open(file, "wb") as stream:
        stream.write(byte_code)
