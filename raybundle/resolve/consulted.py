"""What an answer depends on, as a record that can be compared with the disk again."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.cache.identity import Identity, find_identity, is_young

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from raybundle.cache.documents import Cache
    from raybundle.resolve.find.directories import Listing

    Row = list[Any]
    Content = Callable[[str], str]

_DESCRIBE = ("METADATA", "PKG-INFO", "RECORD", "entry_points.txt", "top_level.txt", "direct_url.json")
"""Files of a `.dist-info` or an `.egg-info` that decide what a distribution is, and what it has."""
_SCRIPTS = re.compile(rb"\n\.\./[^\n]*")
"""Rows of a RECORD, after a line break, for scripts beside the interpreter: its path is in those."""
_SITES = Kind("sites", 64)
"""Digests of what describes the distributions of a directory, by what `stat` says of those files."""
_ASKED = 1 << 20
"""Bytes of a file up to which what is in it identifies it."""
TRAVELS = "travels"
"""Of a file of a package: it is not too large, and can be read."""
_LIFELESS = "__pycache__"
"""A directory that Python itself makes wherever it imports; nothing in it decides anything here."""


@dataclass(slots=True)
class Consulted:
    """Files, directories and links with what they were; also those that did not exist."""

    began: int
    """Nanoseconds of the clock before the first of them was asked for."""
    files: dict[str, Row] = field(default_factory=dict)
    """Path: identity, 1 if it was young, and SHA-256 of what was read; "" if only the identity counts."""
    asked: dict[str, Row] = field(default_factory=dict)
    """Path: the same of files whose mode and size are inputs; with a digest of mode and bytes."""
    directories: dict[str, Row] = field(default_factory=dict)
    """Path: the same, with a digest of the names in it; four times None if there is no directory."""
    sites: dict[str, Row] = field(default_factory=dict)
    """Path: the same of site-packages directories, with a digest of what their distributions are."""
    data: dict[str, Row] = field(default_factory=dict)
    """Path: the same, with `TRAVELS` instead; what is in such a file decides nothing."""
    links: dict[str, Row] = field(default_factory=dict)
    """Path: where the link leads in the end, and what kind of file is there."""

    def read(self, files: Mapping[str, tuple[Identity, str]]) -> None:
        """Notes files that were read: the identity that each had before, and SHA-256 of what was read."""
        for file, (identity, digest) in files.items():
            self.files[file] = self._row(identity, digest)

    def ask(self, files: Iterable[str]) -> None:
        """Notes files whose size and mode are inputs of the answer."""
        for file in files:
            if file not in self.files and file not in self.asked:
                self.asked[file] = self._row(find_identity(file), _state_of(file))

    def carry(self, files: Iterable[str]) -> None:
        """Notes files of packages that travel."""
        for file in files:
            self.data[file] = self._row(find_identity(file), TRAVELS)

    def list(self, listings: Mapping[str, Listing], owned: Iterable[str], cache: Cache) -> None:
        """Notes directories; those in `owned` also with what installers write there, not by names alone."""
        owned, site = frozenset(owned), partial(_kept_digest_of_site, cache=cache, began=self.began)
        for directory, listing in listings.items():
            known, digest = (self.sites, site) if directory in owned else (self.directories, _digest_of_names)
            identity = find_identity(directory)
            exists = os.path.isdir(directory)  # noqa: PTH112 - as above
            known[directory] = self._row(identity, digest(directory, listing) if exists else "")
            self.follow(os.path.join(directory, name) for name in listing.links)

    def follow(self, paths: Iterable[str]) -> None:
        """Notes where the symbolic links in `paths` lead; what was seen first counts."""
        for path in paths:
            if path not in self.links:
                self.links[path] = _leads_to(path)

    def _row(self, identity: Identity | None, digest: str) -> Row:
        if identity is None:
            return [None, None, None, None, 0, ""]
        return [*identity, int(is_young(identity, self.began)), digest]


def unchanged(record: Consulted, now: int, alien: Iterable[bytes] = ()) -> Consulted | None:
    """Returns the record with fresh identities if all of it still holds, else None.

    An identity may differ, or have been young: what counts then is whether what was read is still the same.

    Args:
        record: what was consulted.
        now: nanoseconds of the clock.
        alien: what no file that is read again may have in it.
    """
    if any(_leads_to(path) != row for path, row in record.links.items()):
        return None
    fresh, alien = Consulted(now, links=record.links), tuple(alien)
    for known, renewed, content in (
        (record.files, fresh.files, partial(_digest_of_file, alien=alien)),
        (record.asked, fresh.asked, partial(_state_of, alien=alien)),
        (record.directories, fresh.directories, _digest_of_directory),
        (record.sites, fresh.sites, partial(_digest_of_site, alien=alien)),
        (record.data, fresh.data, _verdict_on),
    ):
        for path, row in known.items():
            kept = _checked(path, row, now, content)
            if kept is None:
                return None
            renewed[path] = kept
    return fresh


def _checked(path: str, row: Row, now: int, content: Content) -> Row | None:
    identity = find_identity(path)
    *before, young, digest = row
    if identity is None:
        return row if before[0] is None else None
    if not young and tuple(before) == identity:
        return row
    if not digest or content(path) != digest:
        return None
    return [*identity, int(is_young(identity, now)), digest]


def digest_of(listing: Listing) -> str:
    """Returns a digest of all names and their kinds."""
    parts = (sorted(each) for each in (listing.files, listing.directories - {_LIFELESS}, listing.links))
    text = "//".join("/".join(part) for part in parts)  # no name holds a slash
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _digest_of_names(_: str, listing: Listing) -> str:
    return digest_of(listing)


def _digest_of_site(directory: str, alien: Iterable[bytes] = ()) -> str:
    """Returns a digest of all names in a site-packages directory, and of what describes its distributions."""
    listing = _listed(directory)
    return digest_of(listing) + _digest_of_files(_describing(directory, listing), alien)


def _kept_digest_of_site(directory: str, listing: Listing, cache: Cache, began: int) -> str:
    """Returns the same; files that are as they were in an earlier resolution are not read again."""
    files = _describing(directory, listing)
    identities = [find_identity(each) for each in files]
    name = cache.key(directory, identities)
    digest = cache.read_text(_SITES, name)
    if not digest:
        digest = _digest_of_files(files)
        if not any(each and is_young(each, began) for each in identities):
            cache.write_text(_SITES, name, digest)
    return digest_of(listing) + digest


def _describing(directory: str, listing: Listing) -> list[str]:
    """Returns the files of a site-packages directory that may describe its distributions."""
    described = sorted(each for each in listing.directories if each.endswith((".dist-info", ".egg-info")))
    files = [f"{each}/{name}" for each in described for name in _DESCRIBE]
    files += sorted(each for each in listing.files if each.endswith((".pth", ".egg-link", ".egg-info")))
    return [f"{directory}/{each}" for each in files]


def _digest_of_files(files: Iterable[str], alien: Iterable[bytes] = ()) -> str:
    digests = [_digest_of_file(each, alien, _SCRIPTS) for each in files]
    return hashlib.sha256("/".join(digests).encode()).hexdigest()[:32]


def _digest_of_file(file: str, alien: Iterable[bytes] = (), drop: re.Pattern[bytes] | None = None) -> str:
    """Returns the SHA-256 of a file, without what `drop` matches; empty if `alien` bytes are in it."""
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - as above
            data = stream.read()
    except OSError:
        return ""
    data = drop.sub(b"", b"\n" + data) if drop else data
    return "" if any(each in data for each in alien) else hashlib.sha256(data).hexdigest()


def _state_of(file: str, alien: Iterable[bytes] = ()) -> str:
    """Returns mode and SHA-256 of a small file; empty for all others, of which only the identity counts."""
    try:
        status = os.stat(file)
    except OSError:
        return ""
    small = stat.S_ISREG(status.st_mode) and status.st_size <= _ASKED
    digest = _digest_of_file(file, alien) if small else ""
    return f"{status.st_mode:o} {digest}" if digest else ""


def _verdict_on(file: str) -> str:
    from raybundle.resolve.files.data_files import fault_of  # noqa: PLC0415 - as below

    try:
        return fault_of(file) or TRAVELS
    except OSError:
        return ""


def _digest_of_directory(directory: str) -> str:
    return digest_of(_listed(directory))


def _listed(directory: str) -> Listing:
    from raybundle.resolve.find.directories import Directories  # noqa: PLC0415 - an answer that nothing touched needs none

    return Directories().list(directory)


def _leads_to(link: str) -> Row:
    try:
        kind = stat.S_IFMT(os.stat(link).st_mode)
    except OSError:
        kind = 0
    return [os.path.realpath(link), kind]
