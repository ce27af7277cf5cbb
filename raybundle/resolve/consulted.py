"""What an answer depends on, as a record that can be compared with the disk again."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH116, PTH118

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.cache.identity import Identity, find_identity, is_young

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from raybundle.resolve.find.directories import Listing

    Row = list[Any]
    Content = Callable[[str], str]

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
    """Path: identity, 1 if it was young, and SHA-256 of what was read, "" where only the identity counts."""
    directories: dict[str, Row] = field(default_factory=dict)
    """Path: the same, with a digest of the names in it; four times None if there is no directory."""
    data: dict[str, Row] = field(default_factory=dict)
    """Path: the same, with `TRAVELS` instead; what is in such a file decides nothing."""
    links: dict[str, Row] = field(default_factory=dict)
    """Path: where the link leads in the end, and what kind of file is there."""

    def read(self, files: Mapping[str, tuple[Identity, str]]) -> None:
        """Note files that were read: the identity that each had before, and SHA-256 of what was read."""
        for file, (identity, digest) in files.items():
            self.files[file] = self._row(identity, digest)

    def ask(self, files: Iterable[str]) -> None:
        """Note files of which size and mode had a say."""
        for file in files:
            self.files.setdefault(file, self._row(find_identity(file), ""))

    def carry(self, files: Iterable[str]) -> None:
        """Note files of packages that travel."""
        for file in files:
            self.data[file] = self._row(find_identity(file), TRAVELS)

    def list(self, listings: Mapping[str, Listing], owned: Iterable[str]) -> None:
        """Note directories; in `owned` ones more has a say than names: what installers write there."""
        owned = frozenset(owned)
        for directory, listing in listings.items():
            named = directory not in owned and os.path.isdir(directory)  # noqa: PTH112 - as above
            self.directories[directory] = self._row(
                find_identity(directory), digest_of(listing) if named else ""
            )
            self.follow(os.path.join(directory, name) for name in listing.links)

    def follow(self, paths: Iterable[str]) -> None:
        """Note where the symbolic links in `paths` lead; what was seen first counts."""
        for path in paths:
            if path not in self.links:
                self.links[path] = _leads_to(path)

    def _row(self, identity: Identity | None, digest: str) -> Row:
        if identity is None:
            return [None, None, None, None, 0, ""]
        return [*identity, int(is_young(identity, self.began)), digest]


def unchanged(record: Consulted, now: int) -> Consulted | None:
    """Return the record with fresh identities if all of it still holds, else None.

    An identity may differ, or have been young: what counts then is whether what was read is still the same.

    Args:
        record: what was consulted.
        now: nanoseconds of the clock.
    """
    if any(_leads_to(path) != row for path, row in record.links.items()):
        return None
    fresh = Consulted(now, links=record.links)
    for known, renewed, content in (
        (record.files, fresh.files, _digest_of_file),
        (record.directories, fresh.directories, _digest_of_directory),
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
    """Return a digest of all names and their kinds."""
    parts = (sorted(each) for each in (listing.files, listing.directories - {_LIFELESS}, listing.links))
    text = "//".join("/".join(part) for part in parts)  # no name holds a slash
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:32]


def _digest_of_file(file: str) -> str:
    try:
        with open(file, "rb") as stream:  # noqa: PTH123 - as above
            return hashlib.sha256(stream.read()).hexdigest()
    except OSError:
        return ""


def _verdict_on(file: str) -> str:
    from raybundle.resolve.files.data_files import fault_of  # noqa: PLC0415 - as below

    try:
        return fault_of(file) or TRAVELS
    except OSError:
        return ""


def _digest_of_directory(directory: str) -> str:
    from raybundle.resolve.find.directories import Directories  # noqa: PLC0415 - an answer that nothing touched needs none

    return digest_of(Directories().list(directory))


def _leads_to(link: str) -> Row:
    try:
        kind = stat.S_IFMT(os.stat(link).st_mode)
    except OSError:
        kind = 0
    return [os.path.realpath(link), kind]
