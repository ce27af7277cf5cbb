"""Reads installed distributions: name, version, files, requirements, entry points, origin, wheel tags."""

# Strings, because `sys.path` holds strings and pathlib takes ten times as long.
# ruff: noqa: PTH208

from __future__ import annotations

import json
import os
import re
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from raybundle.formats.credentials import without_credentials
from raybundle.resolve.distributions.record import RECORD, parse_record

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.resolve.distributions.record import RecordedFile

ENTRY_POINTS, DIRECT_URL = "entry_points.txt", "direct_url.json"
PLUGINS = "_plugins"
"""The end of the name of a namespace whose modules the library of the same name imports (hydra)."""

_SECTION = re.compile(r"\[(?P<extra>[^:\]]*):?(?P<marker>[^\]]*)\]")
"""Of `requires.txt`, which setuptools writes into an `.egg-info`: `[extra:marker]`."""

_TAG = re.compile(r"^Tag:[ \t]*(\S+)", re.MULTILINE)


def normalised_name(name: str) -> str:
    """Returns the name of a distribution as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Origin(NamedTuple):
    """Where a distribution was installed from, if not from an index (PEP 610)."""

    url: str = ""
    """Without credentials; with the version control system and the commit, if they are known."""
    project: str = ""
    """The project's directory, if the installation is editable."""


class EntryPoint(NamedTuple):
    """One line of `entry_points.txt` (PyPA's entry points specification)."""

    group: str
    name: str
    value: str
    """Such as `pkg.module:attribute`."""
    line: int


@dataclass(slots=True)
class InstalledDistribution:
    """One `.dist-info` or `.egg-info`; each of its files is read when something asks for it."""

    directory: Path
    """An `.egg-info` may also be a file."""
    name: str
    """Normalised (PEP 503)."""
    version: str
    _record: bytes | None = None
    _files: dict[str, RecordedFile] | None = None

    @classmethod
    def at(cls, directory: Path) -> InstalledDistribution:
        """Returns the distribution that a `.dist-info` or `.egg-info` describes."""
        stem, dot, _ = directory.name.rpartition(".dist-info")
        if dot:
            project, _, version = stem.rpartition("-")
        else:  # `numpy-1.26.4-py3.12.egg-info`; the last part may be absent
            project, version, *_ = [*directory.name.removesuffix(".egg-info").split("-"), ""]
        return cls(directory, normalised_name(project), version)

    @property
    def files(self) -> Mapping[str, RecordedFile]:
        """The rows of RECORD by path."""
        if self._files is None:
            self._files = {each.path: each for each in parse_record(self.record)}
        return self._files

    @property
    def record(self) -> bytes:
        """The content of RECORD, with slashes in its paths."""
        if self._record is None:
            self._record = self.read(RECORD).replace(b"\\", b"/")
        return self._record

    @property
    def is_recorded(self) -> bool:
        """Returns whether the files of the distribution are known."""
        return bool(self.record)

    def lists(self, path: str) -> bool:
        """Returns whether RECORD lists a file; most can answer without being parsed."""
        return path.encode(errors="replace") in self.record and path in self.files

    def has_folder(self, name: str) -> bool:
        """Returns whether RECORD lists a file in a folder of the site directory."""
        return f"\n{name}/".encode() in b"\n" + self.record

    def claims(self, path: str) -> bool:
        """Returns whether a distribution without RECORD has the name of the file's top-level module."""
        if self.is_recorded:
            return False
        top = path.partition("/")[0].partition(".")[0]
        listed = self.read("top_level.txt").decode("utf-8", "replace").split()
        return top in listed or normalised_name(top) == self.name

    def size(self) -> int:
        """Returns the bytes of the installed files as RECORD has them."""
        return sum(int(each.size) for each in self.files.values() if each.size.isdecimal())

    def header(self) -> Iterator[tuple[str, str]]:
        """Yields the fields of METADATA (of an `.egg-info`: PKG-INFO), names in lower case."""
        text = (self.read("METADATA") or self.read("PKG-INFO")).decode("utf-8", "replace")
        head = text.replace("\r\n", "\n").partition("\n\n")[0]
        for line in re.sub(r"\n[ \t]+", " ", head).splitlines():
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()

    def requires(self) -> Iterator[str]:
        """Yields the requirements with their markers."""
        if self.directory.suffix == ".egg-info":
            yield from _legacy_requirements(self.read("requires.txt").decode("utf-8", "replace"))
        else:
            yield from (value for name, value in self.header() if name == "requires-dist")

    def entry_points(self) -> Iterator[EntryPoint]:
        """Yields the entry points; lines that are none are skipped."""
        group = ""
        for number, raw in enumerate(self.read(ENTRY_POINTS).decode("utf-8", "replace").splitlines(), 1):
            line = raw.strip()
            if line.startswith("[") and line.endswith("]"):
                group = line[1:-1].strip()
            elif "=" in line and not line.startswith(("#", ";")):
                name, _, value = line.partition("=")
                yield EntryPoint(group, name.strip(), value.strip(), number)

    def wheel_tags(self) -> list[str]:
        """Returns the tags of the wheel that was installed, such as `py3-none-any`; empty if not known."""
        return _TAG.findall(self.read("WHEEL").decode("utf-8", "replace"))

    def origin(self) -> Origin:
        """Returns where the distribution was installed from."""
        try:
            document = json.loads(self.read(DIRECT_URL) or b"{}")
            url = document.get("url", "")
            source = document.get("vcs_info", {})
            commit, system = source.get("commit_id", ""), source.get("vcs", "")
            editable = document.get("dir_info", {}).get("editable") is True
            shown = without_credentials(url)
            directory = urllib.parse.unquote(urllib.parse.urlsplit(url).path) if editable else ""
        except (ValueError, AttributeError, TypeError):
            return Origin()
        return Origin(f"{system}+{shown}@{commit}" if commit else shown, directory.replace("\0", ""))

    @property
    def is_editable(self) -> bool:
        """Returns whether Python imports it from its project's directory."""
        return self.origin().project != ""

    def read(self, name: str) -> bytes:
        """Returns the content of one of its files; empty if it cannot be read."""
        try:
            return (self.directory / name).read_bytes()
        except OSError:
            return b""


def _legacy_requirements(text: str) -> Iterator[str]:
    conditions: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        section = _SECTION.fullmatch(line)
        if section is None:
            yield f"{line}; {' and '.join(conditions)}" if conditions else line
            continue
        conditions = [f"({section['marker']})"] if section["marker"] else []
        if section["extra"]:
            conditions.append(f'extra == "{section["extra"]}"')


@dataclass(slots=True)
class InstalledDistributions:
    """The distributions in some site-packages directories; `by_name` has the first of each name."""

    sites: tuple[str, ...]
    by_name: dict[str, InstalledDistribution] = field(default_factory=dict)
    by_site: dict[str, list[InstalledDistribution]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for site in self.sites:
            self.by_site[site] = list(_distributions_in(site))
            for each in self.by_site[site]:
                self.by_name.setdefault(each.name, each)

    def folders(self, suffix: str) -> set[str]:
        """Returns the names of folders in the site directories that end with `suffix`."""
        return {name for site in self.by_site for name in _names_in(site) if name.endswith(suffix)}

    def owner(self, file: str, likely: str = "") -> InstalledDistribution | None:
        """Returns the distribution that lists `file`, else one without RECORD that has its name.

        Args:
            file: absolute.
            likely: name of the distribution that is asked first.
        """
        for site, distributions in self.by_site.items():
            if file.startswith(site + os.sep):
                path = file[len(site) + 1 :].replace(os.sep, "/")
                first = likely or normalised_name(path.partition("/")[0].partition(".")[0])
                ordered = sorted(distributions, key=lambda each: each.name != first)
                listing = (each for each in ordered if each.lists(path))
                return next(listing, None) or next((each for each in ordered if each.claims(path)), None)
        return None


def _names_in(site: str) -> list[str]:
    try:
        return sorted(os.listdir(site))
    except OSError:
        return []


def _distributions_in(site: str) -> Iterator[InstalledDistribution]:
    names = _names_in(site)
    for suffix in (".dist-info", ".egg-info"):
        yield from (InstalledDistribution.at(Path(site, name)) for name in names if name.endswith(suffix))
