"""Reads what is installed in site-packages directories: names, versions, RECORD, requirements, origin."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH208

from __future__ import annotations

import json
import os
import posixpath
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.formats.credentials import without_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SECTION = re.compile(r"\[(?P<extra>[^:\]]*):?(?P<marker>[^\]]*)\]")
"""Of `requires.txt`, which setuptools writes into an `.egg-info`: `[extra:marker]`."""


def normalised_name(name: str) -> str:
    """Return the name of a distribution as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(slots=True)
class Metadata:
    """One `.dist-info` directory, or an `.egg-info`; its files are read when asked for."""

    directory: Path
    """A file where a distribution left nothing but its `.egg-info`."""
    name: str
    version: str
    _record: bytes | None = None

    @property
    def record(self) -> bytes:
        """RECORD (PEP 376), with a line break before its first line too."""
        if self._record is None:
            self._record = b"\n" + _read(self.directory / "RECORD")
        return self._record

    @property
    def is_recorded(self) -> bool:
        """Claims that the files of the distribution are known."""
        return len(self.record) > 1

    def owns(self, relative: str) -> bool:
        """Return whether RECORD lists the file; names with a comma are quoted there."""
        quoted = f'\n"{relative}",' if "," in relative else f"\n{relative},"
        return quoted.encode() in self.record

    def lists(self, relative: str) -> bool:
        """Return the same as `owns` for a RECORD in another spelling: all quoted, `./` or backslashes."""
        return any(posixpath.normpath(each.replace("\\", "/")) == relative for each in self.files())

    def claims(self, relative: str) -> bool:
        """Return whether a distribution without RECORD has the name of the file's top-level module."""
        if self.is_recorded:
            return False
        top = relative.partition("/")[0].partition(".")[0]
        listed = _read(self.directory / "top_level.txt").decode("utf-8", "replace").split()
        return top in listed or normalised_name(top) == self.name

    def files(self) -> Iterator[str]:
        """Yield the paths that RECORD lists, as it spells them."""
        import csv  # noqa: PLC0415 - start-up: the whole RECORD is rarely needed

        for row in csv.reader(self.record.decode("utf-8", "replace").splitlines()):
            if row:
                yield row[0]

    def size(self) -> int:
        """Return the bytes of the installed files as RECORD has them."""
        sizes = (line.rpartition(b",")[2].strip(b' "') for line in self.record.splitlines())
        return sum(int(size) for size in sizes if size.isdigit())

    def requires(self) -> Iterator[str]:
        """Yield the requirements with their markers, as Requires-Dist of METADATA's header has them."""
        text = _read(self.directory / "METADATA").decode("utf-8", "replace")
        if not text:
            yield from _legacy_requirements(_read(self.directory / "requires.txt").decode("utf-8", "replace"))
        header = re.sub(r"\n[ \t]+", " ", text.replace("\r\n", "\n").partition("\n\n")[0])
        for line in header.splitlines():
            field_name, _, value = line.partition(":")
            if field_name.lower() == "requires-dist":
                yield value.strip()

    def groups(self) -> list[str]:
        """Return the groups of its entry points: whom it has plugins for."""
        text = _read(self.directory / "entry_points.txt").decode("utf-8", "replace")
        return [line.strip()[1:-1].strip() for line in text.splitlines() if line.lstrip().startswith("[")]

    def origin(self) -> tuple[str, bool]:
        """Return where it was installed from, if not from an index, and whether it is editable (PEP 610)."""
        try:
            document = json.loads(_read(self.directory / "direct_url.json") or b"{}")
            url = without_credentials(document.get("url", ""))
            commit = document.get("vcs_info", {}).get("commit_id", "")
            system = document.get("vcs_info", {}).get("vcs", "")
            editable = document.get("dir_info", {}).get("editable") is True
        except (ValueError, AttributeError, TypeError):
            return "", False
        return (f"{system}+{url}@{commit}" if commit else url), editable


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


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


@dataclass(slots=True)
class Installed:
    """What is installed in some site-packages directories; of two with one name, the first on the path."""

    sites: tuple[str, ...]
    by_name: dict[str, Metadata] = field(default_factory=dict)
    by_site: dict[str, list[Metadata]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for site in self.sites:
            self.by_site[site] = list(_distributions_in(site))
            for each in self.by_site[site]:
                self.by_name.setdefault(each.name, each)

    def owner(self, file: str, likely: str = "") -> Metadata | None:
        """Return the distribution that lists `file`, else one without a list that has its name.

        Args:
            file: absolute.
            likely: name of the distribution that is asked first.
        """
        for site, distributions in self.by_site.items():
            if file.startswith(site + os.sep):
                relative = file[len(site) + 1 :].replace(os.sep, "/")
                names = {likely or normalised_name(relative.partition("/")[0].partition(".")[0])}
                ordered = sorted(distributions, key=lambda each: each.name not in names)
                return (
                    _first(ordered, relative, Metadata.owns)
                    or _first(ordered, relative, Metadata.lists)
                    or _first(ordered, relative, Metadata.claims)
                )
        return None


def _first(
    distributions: Iterable[Metadata], relative: str, owns: Callable[[Metadata, str], bool]
) -> Metadata | None:
    return next((each for each in distributions if owns(each, relative)), None)


def _distributions_in(site: str) -> Iterator[Metadata]:
    try:
        names = sorted(os.listdir(site))
    except OSError:
        return
    for name in names:
        if name.endswith(".dist-info"):
            project, _, version = name.removesuffix(".dist-info").rpartition("-")
            yield Metadata(Path(site, name), normalised_name(project), version)
    for name in names:
        if name.endswith(".egg-info"):  # `numpy-1.26.4-py3.12.egg-info`, also without the last part
            project, version, *_ = [*name.removesuffix(".egg-info").split("-"), ""]
            yield Metadata(Path(site, name), normalised_name(project), version)
