"""Reads which distributions have an index of their own (`[tool.uv.sources]`)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.errors import BundleError
from raybundle.formats.toml import value_at
from raybundle.resolve.distributions.installed import normalised_name
from raybundle.wheels.uv.configuration import parsed_or_empty

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

_NAME = re.compile(r"[\w.-]+")
_OF_PARTS = frozenset({"extra", "group"})
"""Keys of a source that applies to one part of the project; a bundle does not know parts."""


@dataclass(frozen=True, slots=True)
class PinnedIndexes:
    """Sources that name an index; uv reads them in a pyproject.toml, but not in a requirements file."""

    sources: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By normalised name."""
    indexes: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """By name, with absolute paths; without those that variables define."""
    unclear: Mapping[str, str] = field(default_factory=dict)
    """By normalised name, why the index is not clear; another index may have a package of somebody else."""

    def refuse_unclear(self, names: Iterable[str]) -> None:
        """Refuses distributions whose index is not clear.

        Raises:
            BundleError: there are such distributions; the error names all of them.
        """
        lines = [f"{name}: {self.unclear[name]}" for name in sorted(names) if name in self.unclear]
        if lines:
            raise BundleError(
                "[tool.uv.sources] does not say which index has:\n" + "\n".join(lines),
                hint="name one index of [[tool.uv.index]], for all extras and groups",
            )

    def split(self, requirements: Iterable[str]) -> tuple[list[str], list[str]]:
        """Returns the requirements that have an index of their own, and the others."""
        own: list[str] = []
        others: list[str] = []
        for each in requirements:
            (own if self._is_own(each) else others).append(each)
        return own, others

    def _is_own(self, requirement: str) -> bool:
        return " @ " not in requirement and name_of(requirement) in self.sources

    def named_in(self, text: str) -> set[str]:
        """Returns the distributions with an index of their own that a text names."""
        return {normalised_name(each.strip(".-_")) for each in _NAME.findall(text)} & self.sources.keys()

    def project_file(self, requirements: Iterable[str]) -> str:
        """Returns a pyproject.toml that takes each requirement from its index."""
        names = {name_of(each): each for each in requirements}
        sources = {name: self.sources[name] for name in names}
        used = {each["index"] for several in sources.values() for each in several} & self.indexes.keys()
        lines = (
            '[project]\nname = "raybundle-order"\nversion = "0"',
            f"dependencies = {_toml(list(names.values()))}",
            f"[tool.uv]\nindex = {_toml([self.indexes[name] for name in sorted(used)])}",
            f"sources = {_toml(sources)}",
        )
        return "\n".join(lines)


def name_of(requirement: str) -> str:
    """Returns the normalised name at the start of a requirement; empty if there is none."""
    named = _NAME.match(requirement)
    return normalised_name(named[0]) if named else ""


def pinned_indexes(directories: Iterable[Path], others: Collection[str] = ()) -> PinnedIndexes:
    """Returns the sources in the pyproject.toml of some directories; earlier ones take precedence.

    Args:
        directories: of the project and its workspace.
        others: names of indexes that variables define.
    """
    sources: dict[str, list[dict[str, Any]]] = {}
    indexes: dict[str, dict[str, Any]] = {}
    for directory in directories:
        document = parsed_or_empty(directory / "pyproject.toml")
        for one in _tables(value_at(document, "tool.uv.index")):
            if {"name", "url"} <= one.keys():
                indexes.setdefault(one["name"], {**one, "url": _absolute(str(one["url"]), directory)})
        named = value_at(document, "tool.uv.sources")
        for name, source in named.items() if isinstance(named, dict) else ():
            sources.setdefault(normalised_name(name), [each for each in _tables(source) if "index" in each])
    given = {name: several for name, several in sources.items() if several}
    faults = {name: _unclear(several, {*indexes, *others}) for name, several in given.items()}
    clear = {name: _of_all_parts(several) for name, several in given.items() if not faults[name]}
    return PinnedIndexes(clear, indexes, {name: why for name, why in faults.items() if why})


def _unclear(entries: list[dict[str, Any]], known: Collection[str]) -> str:
    """Returns why the index is not clear; empty if it is, or if markers decide."""
    names = sorted({str(each["index"]) for each in entries})
    unknown = [f"`{name}`" for name in names if name not in known]
    if unknown:
        return f"no index is declared as {', '.join(unknown)}"
    if len(names) > 1 and any(each.keys() & _OF_PARTS for each in entries):
        return " or ".join(f"`{name}`" for name in names) + ", by extra or group"
    return ""


def _of_all_parts(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the entries without extras and groups; uv refuses entries that overlap."""
    if not any(each.keys() & _OF_PARTS for each in entries):
        return entries
    one = {"index": entries[0]["index"]}
    if any("marker" not in each for each in entries):
        return [one]
    return [{**one, "marker": " or ".join(f"({each['marker']})" for each in entries)}]


def _tables(value: object) -> Iterator[dict[str, Any]]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, dict):
            yield each


def _absolute(url: str, directory: Path) -> str:
    return url if "://" in url else (directory / url).resolve().as_uri()


def _toml(value: object) -> str:
    """Returns a value as TOML on one line; strings are as in JSON."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
