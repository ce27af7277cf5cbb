"""Knows which distributions the project takes from one certain index (`[tool.uv.sources]`)."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raybundle.environment.uv_configuration import parsed_or_empty
from raybundle.graph.metadata import normalised_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_NAME = re.compile(r"[\w.-]+")
_OF_PARTS = ("extra", "group")
"""Keys of a source that holds for a part of the project only, which none of ours is."""


@dataclass(frozen=True, slots=True)
class PinnedIndexes:
    """Sources of uv that name an index; uv heeds them in a pyproject.toml, and in no list of requirements."""

    sources: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By normalised name."""
    indexes: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """By name; their paths are absolute."""

    def split(self, requirements: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the requirements that have an index of their own, and the others."""
        own: list[str] = []
        others: list[str] = []
        for each in requirements:
            (own if self._is_own(each) else others).append(each)
        return own, others

    def _is_own(self, requirement: str) -> bool:
        named = _NAME.match(requirement)
        return named is not None and " @ " not in requirement and normalised_name(named[0]) in self.sources

    def project_file(self, requirements: Iterable[str]) -> str:
        """Return a pyproject.toml that requires these, each from its index."""
        names = {normalised_name(_NAME.findall(each)[0]): each for each in requirements}
        sources = {name: self.sources[name] for name in names}
        used = {each["index"] for several in sources.values() for each in several}
        lines = (
            '[project]\nname = "raybundle-order"\nversion = "0"',
            f"dependencies = {_toml(list(names.values()))}",
            f"[tool.uv]\nindex = {_toml([self.indexes[name] for name in sorted(used)])}",
            f"sources = {_toml(sources)}",
        )
        return "\n".join(lines)


def pinned_indexes(directories: Iterable[Path]) -> PinnedIndexes:
    """Return what the pyproject.toml of these directories say, the earlier ones first."""
    sources: dict[str, list[dict[str, Any]]] = {}
    indexes: dict[str, dict[str, Any]] = {}
    for directory in directories:
        table = parsed_or_empty(directory / "pyproject.toml").get("tool", {}).get("uv", {})
        for one in _tables(table.get("index")):
            if {"name", "url"} <= one.keys():
                indexes.setdefault(one["name"], {**one, "url": _absolute(str(one["url"]), directory)})
        named = table.get("sources", {})
        for name, source in named.items() if isinstance(named, dict) else ():
            found = [each for each in _tables(source) if "index" in each and not each.keys() & set(_OF_PARTS)]
            sources.setdefault(normalised_name(name), found)
    known = {
        name: several
        for name, several in sources.items()
        if several and all(each["index"] in indexes for each in several)
    }
    return PinnedIndexes(known, indexes)


def _tables(value: object) -> Iterator[dict[str, Any]]:
    for each in value if isinstance(value, list) else (value,):
        if isinstance(each, dict):
            yield each


def _absolute(url: str, directory: Path) -> str:
    return url if "://" in url else (directory / url).resolve().as_uri()


def _toml(value: object) -> str:
    """Return a value as TOML writes it in one line; its strings are those of JSON."""
    match value:
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {_toml(each)}" for key, each in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
