"""Lists directories, each once: the files and directories that Python or the bundle can use."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybundle.cache.identity import Identity


@dataclass(frozen=True, slots=True)
class Listing:
    """The files and directories in one directory that Python or the bundle can use."""

    files: frozenset[str] = frozenset()
    directories: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()
    """Those of the two that are symbolic links."""


@dataclass(slots=True)
class Directories:
    """Directory listings, each read once. A directory that cannot be read is empty, as for Python."""

    known: dict[str, Listing] = field(default_factory=dict)
    read: dict[str, tuple[Identity, str]] = field(default_factory=dict)
    """Files that were read: the identity before it, and the SHA-256 of the content."""

    def list(self, directory: str) -> Listing:
        """Returns what `directory` holds."""
        listing = self.known.get(directory)
        if listing is None:
            listing = self.known[directory] = _read(directory)
        return listing


def _read(directory: str) -> Listing:
    try:
        with os.scandir(directory) as entries:
            found = [(entry.name, _kind(entry), entry.is_symlink()) for entry in entries]
    except OSError:
        return Listing()
    return Listing(
        frozenset(name for name, kind, _ in found if kind == "file"),
        frozenset(name for name, kind, _ in found if kind == "directory"),
        frozenset(name for name, _, is_link in found if is_link),
    )


def _kind(entry: os.DirEntry[str]) -> str | None:
    """Returns `file`, `directory`, or None for anything else, such as a pipe or a link that loops."""
    try:
        return "file" if entry.is_file() else "directory" if entry.is_dir() else None
    except OSError:
        return None
