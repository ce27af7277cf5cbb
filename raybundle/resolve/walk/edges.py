"""Turns imports into edges, in an order that does not depend on the walk."""

from __future__ import annotations

from dataclasses import dataclass
from os import sep
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import Edge, ModuleName
from raybundle.resolve.find.finder import FirstParty

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from raybundle.model import Deferred, Rule
    from raybundle.resolve.find.finder import Namespace

    Row = tuple[str, str, str, int, Rule, bool, Deferred]
    """The fields of an edge, with its file as a string. A configuration file's importer is its directory."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is imported, and by which rule."""

    importer: str
    file: str
    line: int
    rule: Rule
    optional: bool = False
    deferred: Deferred = ""

    def row(self, imported: str) -> Row:
        """Returns the edge from here to what is imported."""
        return (self.importer, imported, self.file, self.line, self.rule, self.optional, self.deferred)


def directory_of(file: str) -> str:
    """Returns the directory of `file` with a separator at its end, which no module name has."""
    return file[: file.rindex(sep) + 1]


def sort_edges(rows: Collection[Row], found: Mapping[str, FirstParty | Namespace]) -> Iterator[Edge]:
    """Yields edges by importer, imported, file and line. `found` are the reached modules."""
    readers = _readers(found)
    files: dict[str, Path] = {}
    named = [(readers.get(each[0], each[0]), *each[1:]) for each in rows]
    for importer, imported, file, line, rule, optional, deferred in sorted(named):
        path = files.get(file) or files.setdefault(file, Path(file))
        yield Edge(ModuleName(importer), ModuleName(imported), path, line, rule, optional, deferred)


def _readers(found: Mapping[str, FirstParty | Namespace]) -> dict[str, str]:
    """Returns the module that counts as the reader of the configuration files, by directory."""
    readers: dict[str, str] = {}
    for name, each in found.items():
        if isinstance(each, FirstParty):
            directory = directory_of(each.file)
            readers[directory] = min(name, readers.get(directory, name))
    return readers
