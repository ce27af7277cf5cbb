"""Reads what distributions say of themselves: entry points, and the metadata of our own that travels."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH119

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from raybundle.resolve.files.data_files import Candidate
from raybundle.resolve.find.finder import FirstParty

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.reached import Closure

_FILES = ("METADATA", "PKG-INFO", "entry_points.txt", "direct_url.json")
_SCRIPTS = frozenset({"console_scripts", "gui_scripts"})
"""Groups that are programs for a shell; nothing loads them by their group."""

_HEADER = re.compile(rb"^(Name|Version):[ \t]*(.*?)\r?$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Described:
    """A distribution that a directory of the path describes: `.dist-info`, or `.egg-info` in a root."""

    directory: str
    source: str
    """The directory that an editable install points to, as written; empty for one whose files were copied."""

    @property
    def metadata(self) -> bytes:
        """Name and version alone: what else a build backend writes differs between its versions."""
        text = b""
        for name in ("METADATA", "PKG-INFO"):
            text = text or _read(os.path.join(self.directory, name))
        fields = dict(reversed(_HEADER.findall(text.partition(b"\n\n")[0])))
        if fields.keys() < {b"Name", b"Version"}:
            return b""
        return b"Metadata-Version: 2.1\nName: %s\nVersion: %s\n" % (fields[b"Name"], fields[b"Version"])

    @property
    def entry_points(self) -> bytes:
        """`entry_points.txt` (entry points specification of PyPA), empty if there is none."""
        return _read(os.path.join(self.directory, "entry_points.txt")).replace(b"\r\n", b"\n")


@dataclass(slots=True)
class EntryPoints:
    """The entry points of everything installed, read when first asked for."""

    finder: Finder
    asked: list[str] = field(default_factory=list)
    """Files that were asked for, also those that are not there."""
    followed: list[str] = field(default_factory=list)
    """Paths whose symbolic links had a say."""
    _described: list[Described] | None = None
    _groups: dict[str, list[str]] = field(default_factory=dict)

    @property
    def described(self) -> list[Described]:
        """Every distribution on the path, in its order."""
        if self._described is None:
            own = [entry for entry in self.finder.path if entry not in self.finder.added]
            self._described = [each for entry in own for each in _described_in(entry, self.finder)]
            self.followed += [each.source for each in self._described if each.source]
            self.asked += [f"{each.directory}/{name}" for each in self._described for name in _FILES]
        return self._described

    def values(self, group: str) -> Iterable[str]:
        """Return the values (`pkg.mod:attr`) of a group; of all but scripts for `*`."""
        if not self._groups:
            for each in self.described:
                for name, value in _parse(each.entry_points):
                    self._groups.setdefault(name, []).append(value)
        if "*" not in group:
            return self._groups.get(group, ())
        return [value for name, values in self._groups.items() if name not in _SCRIPTS for value in values]


def own_metadata(entry_points: EntryPoints, closure: Closure) -> list[Candidate]:
    """Return name, version and entry points of the editable installs that hold something reached.

    They lie in site-packages, which does not travel; on the nodes they lie in the root of the code.
    """
    entries = {
        each.found.entry: None for each in closure.reached.values() if isinstance(each.found, FirstParty)
    }
    held = [each for each in entry_points.finder.path if each in entries]
    held += sorted(set(entries).difference(held))
    candidates: list[Candidate] = []
    for each in entry_points.described:
        source = os.path.realpath(each.source) if each.source else ""
        root = next((entry for entry in held if _is_below(entry, source)), None) if source else None
        if root is not None:
            candidates += _candidates(each, root)
    return candidates


def _candidates(described: Described, root: str) -> Iterator[Candidate]:
    base = os.path.basename(described.directory)
    metadata = described.metadata
    if metadata and base.endswith(".egg-info"):
        name, version = (line.partition(b": ")[2].decode() for line in metadata.splitlines()[1:])
        base = f"{name.replace('-', '_')}-{version}.dist-info"
    for name, content in (("METADATA", metadata), ("entry_points.txt", described.entry_points)):
        if content:
            yield Candidate(os.path.join(root, base, name), root, f"metadata of {base}", content)


def _described_in(entry: str, finder: Finder) -> Iterator[Described]:
    for name in sorted(finder.directories.list(entry).directories):
        directory = os.path.join(entry, name)
        if name.endswith(".dist-info"):
            yield Described(directory, _editable_source(directory))
        elif name.endswith(".egg-info") and finder.is_first_party(entry):
            yield Described(directory, entry)


def _editable_source(directory: str) -> str:
    """Return the directory that `direct_url.json` (PEP 610) names for an editable install."""
    text = _read(os.path.join(directory, "direct_url.json"))
    try:
        document = json.loads(text) if text else {}
        if document["dir_info"]["editable"] is True:
            return unquote(urlsplit(document["url"]).path).replace("\0", "")
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    return ""


def _parse(text: bytes) -> Iterator[tuple[str, str]]:
    group = ""
    for line in text.decode(errors="replace").splitlines():
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            group = stripped[1:-1].strip()
        elif "=" in stripped and not stripped.startswith(("#", ";")):
            yield group, stripped.partition("=")[2].strip()


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


def _read(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError:
        return b""
