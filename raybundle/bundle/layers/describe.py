"""Describes one installed distribution as a layer; a warm answer only asks each file for its identity."""

# Why strings: a distribution has thousands of files; pathlib would cost ten times as much.
# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.bundle.layers.document import (
    LayerDocument,
    LayerFile,
    format_record,
    is_compiled,
    parse_document,
)
from raybundle.bundle.layers.files import is_for_one_platform, read_contents
from raybundle.cache.documents import Kind
from raybundle.cache.identity import YOUNG
from raybundle.cache.room import IN_USE, remove, touch
from raybundle.errors import DamagedCacheError, RefusedFileError
from raybundle.formats.archive_paths import is_native
from raybundle.formats.canonical import canonical_json
from raybundle.formats.lists import first_of
from raybundle.model import Digest
from raybundle.resolve.distributions.installed import InstalledDistribution, InstalledDistributions
from raybundle.resolve.distributions.record import RECORD, encoded
from raybundle.resolve.interpreter.libc import Need, joined, need_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from raybundle.bundle.layers.files import Contents
    from raybundle.cache.documents import Cache
    from raybundle.model import Distribution

KEPT = Kind("layers", 2000, IN_USE)
"""Descriptions by `.dist-info` directory, and documents by digest: 200 distributions have 400 of them."""
CHUNK = 1 << 20
"""Bytes that are read at once."""
_THREADS = 4
"""Reading and hashing release the interpreter's lock; more threads than processors hide a cold disk."""
_WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Differing:
    """A file that differs from RECORD."""

    path: str
    owners: tuple[str, ...]
    """Other distributions whose RECORD lists it as it is."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a layer of an installed distribution would have, and what is odd about the installed files."""

    name: str
    version: str
    site: str
    """The site-packages directory that has its files."""
    digest: Digest
    native: bool
    needs: tuple[Need, ...]
    """What its native files need of libc."""
    bytes: int
    source_bytes: int
    """Size of the Python sources whose byte-code may be bundled."""
    differing: tuple[Differing, ...]
    start_up: tuple[str, ...]
    """Its `.pth` files that do something at start-up; they are left out."""
    outside: tuple[str, ...]
    """Its files outside the site directory that a job may read; they are left out."""


def describe(distribution: Distribution, cache: Cache) -> Description:
    """Returns what a distribution is, from the cache if no file of it changed.

    Raises:
        RefusedFileError: RECORD or files are missing, or must not be bundled.
    """
    if distribution.metadata is None:
        raise RefusedFileError(f"{distribution.name} {distribution.version}: no .dist-info directory")
    site, name = os.path.split(distribution.metadata)
    key, began = cache.key(f"{site}/{name}"), cache.clock()
    known = _known(key, distribution, site, cache)
    if known is not None:
        return known
    contents = read_contents(distribution.metadata)
    before, youngest = _signed(site, contents.files, distribution)
    files, answer = _described(distribution.metadata, contents)
    answer |= {"digest": keep_document(LayerDocument(distribution.name, distribution.version, files), cache)}
    after, _ = _signature(site, contents.files)
    if before == after and began - youngest >= YOUNG:
        cache.write(KEPT, key, {**answer, "signature": before, "paths": list(contents.files)})
    return _description(distribution, site, answer)


def _known(key: str, distribution: Distribution, site: str, cache: Cache) -> Description | None:
    """Returns what is kept under `key`, if no file of it changed and its document is there."""

    def parse(kept: dict[str, Any]) -> Description | None:
        signature, _ = _signature(site, kept["paths"])
        document = cache.path(KEPT, _document_name(Digest(kept["digest"])))
        fresh = signature == kept["signature"] and touch(document)
        return _description(distribution, site, kept) if fresh else None

    try:
        return cache.read(KEPT, key, parse)
    except OSError:
        return None


def _description(distribution: Distribution, site: str, answer: Mapping[str, Any]) -> Description:
    return Description(
        distribution.name,
        distribution.version,
        site,
        Digest(answer["digest"]),
        answer["native"],
        tuple(Need(machine, kind, (major, minor)) for machine, kind, (major, minor) in answer["needs"]),
        answer["bytes"],
        answer["source_bytes"],
        tuple(Differing(path, tuple(owners)) for path, owners in answer["differing"]),
        tuple(answer["start_up"]),
        tuple(answer["outside"]),
    )


def _signature(site: str, paths: Iterable[str]) -> tuple[str, int]:
    """Returns a hash over the identity of each file, and the latest of their times in nanoseconds."""
    numbers = array("Q")
    directory = os.open(site, os.O_RDONLY)
    youngest = 0
    try:
        for path in paths:
            status = os.stat(path, dir_fd=directory)
            changed, modified = status.st_ctime_ns, status.st_mtime_ns
            youngest = max(youngest, changed, modified)
            numbers.extend((status.st_size, modified & _WORD, changed & _WORD, status.st_ino & _WORD))
    finally:
        os.close(directory)
    return hashlib.sha256(numbers).hexdigest(), youngest


def _signed(site: str, listed: Mapping[str, str], distribution: Distribution) -> tuple[str, int]:
    """Returns the signature, once it is sure that all files are there and are in the site directory."""
    faults = list(_faults(site, listed))
    if faults:
        raise RefusedFileError(f"{distribution.name} {distribution.version}: {first_of(faults, _SHOWN)}")
    return _signature(site, listed)


_SHOWN = 3
"""Files that a message names; a broken distribution has hundreds."""


def _faults(site: str, paths: Iterable[str]) -> Iterator[str]:
    inside = os.path.realpath(site) + os.sep
    safe: dict[str, bool] = {}
    for path in paths:
        file = f"{site}/{path}"
        folder = os.path.dirname(file)  # noqa: PTH120 - as above
        try:
            mode = os.lstat(file).st_mode
        except OSError as error:
            yield f"{file} is listed in RECORD but missing ({error.strerror})"
            continue
        if folder not in safe:
            safe[folder] = f"{os.path.realpath(folder)}/".startswith(inside)
        if not safe[folder] or (stat.S_ISLNK(mode) and not os.path.realpath(file).startswith(inside)):
            yield f"{file} is a link that leads out of {site}"
        elif not os.path.isfile(file):  # noqa: PTH113 - as above
            yield f"{file} is not a regular file"


def _described(metadata: Path, contents: Contents) -> tuple[tuple[LayerFile, ...], dict[str, Any]]:
    """Returns the files of a layer as they are, and what is kept of them."""
    own, site = f"{metadata.name}/{RECORD}", str(metadata.parent)
    hashed, needs = _hashed(site, sorted(path for path in contents.files if path != own))
    files = with_record(hashed, own)
    differing = [
        file
        for file in hashed
        if not _is_as_recorded(f"{site}/{file.path}", file.sha256, contents.files[file.path])
    ]
    others = InstalledDistributions((site,) if differing else ())
    return files, {
        "native": any(map(is_native, contents.files)) or is_for_one_platform(metadata, contents.files),
        "needs": joined(needs, InstalledDistribution.at(metadata).wheel_tags()),
        "bytes": sum(file.size for file in files),
        "source_bytes": sum(file.size for file in files if is_compiled(file.path)),
        "differing": [[file.path, list(_owners(file, others, metadata))] for file in differing],
        "start_up": contents.start_up,
        "outside": contents.outside,
    }


def needs_of(site: str, files: Iterable[LayerFile], own: str) -> tuple[Need, ...]:
    """Returns what some files of a distribution, whose RECORD is `own`, need of libc."""
    found = []
    for file in files:
        if file.path != own:
            with open(f"{site}/{file.path}", "rb", buffering=0) as stream:
                found.append(need_of(stream))
    tags = InstalledDistribution.at(Path(site, own).parent).wheel_tags()
    return tuple(joined(filter(None, found), tags))


def with_record(files: Sequence[LayerFile], own: str) -> tuple[LayerFile, ...]:
    """Returns the files with a RECORD of exactly them, at `own`; sorted."""
    data = format_record(files, own)
    record = LayerFile(own, False, len(data), hashlib.sha256(data).hexdigest())  # noqa: FBT003 - as named
    return tuple(sorted([*files, record], key=lambda file: file.path))


def _hashed(site: str, paths: Sequence[str]) -> tuple[list[LayerFile], list[Need]]:
    """Returns the files as they are on disk, in the order of `paths`, and what they need of libc."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - a warm start hashes nothing

    def share(number: int) -> list[tuple[LayerFile, Need | None]]:
        return [_hash(site, path) for path in paths[number::_THREADS]]

    with ThreadPoolExecutor(_THREADS) as threads:
        files = [file for each in threads.map(share, range(_THREADS)) for file in each]
    files.sort(key=lambda each: each[0].path)
    return [file for file, _ in files], [need for _, need in files if need]


def _hash(site: str, path: str) -> tuple[LayerFile, Need | None]:
    file, size = hashlib.sha256(), 0
    try:
        with open(f"{site}/{path}", "rb", buffering=0) as stream:
            mode = os.fstat(stream.fileno()).st_mode
            while data := stream.read(CHUNK):
                file.update(data)
                size += len(data)
            need = need_of(stream)
    except OSError as error:
        raise RefusedFileError(f"{site}/{path}: {error.strerror}") from error
    return LayerFile(path, bool(mode & stat.S_IXUSR), size, file.hexdigest()), need


def _is_as_recorded(file: str, sha256: str, recorded: str) -> bool:
    """Returns whether a file has the hash of RECORD, which may have none, or one of another kind."""
    algorithm, _, expected = recorded.partition("=")
    if algorithm == "sha256":
        return expected.rstrip("=") == encoded(bytes.fromhex(sha256))
    if algorithm not in ("sha384", "sha512"):
        return True
    with open(file, "rb") as stream:
        return expected.rstrip("=") == encoded(hashlib.new(algorithm, stream.read()).digest())


def _owners(file: LayerFile, others: InstalledDistributions, metadata: Path) -> Iterator[str]:
    """Yields the distributions besides `metadata` whose RECORD lists the file as it is."""
    expected = f"sha256={encoded(bytes.fromhex(file.sha256))}"
    for each in others.by_site[str(metadata.parent)]:
        if each.directory != metadata and file.path in each.files and each.files[file.path].hash == expected:
            yield each.name


def keep_document(document: LayerDocument, cache: Cache) -> Digest:
    """Keeps a layer document until it is packed, and returns its digest."""
    digest = document.digest()
    cache.write(KEPT, _document_name(digest), json.loads(document.format()))
    return digest


def kept_document(digest: Digest, cache: Cache) -> LayerDocument:
    """Returns a layer document that `keep_document` kept.

    Raises:
        DamagedCacheError: it is not there, or was damaged.
    """
    name = _document_name(digest)
    found = cache.read(KEPT, name, lambda kept: parse_document(canonical_json(kept)))
    if found is not None and found.digest() == digest:
        return found
    with contextlib.suppress(OSError):
        remove(cache.path(KEPT, name))
    raise DamagedCacheError(
        f"{cache.path(KEPT, name)} does not say what layer {digest} holds",
        hint="run the command again, with XDG_CACHE_HOME set to a directory that can be written",
    )


def _document_name(digest: Digest) -> str:
    return digest.removeprefix("sha256:")
