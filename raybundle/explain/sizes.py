"""Adds up a resolution: what each root, each top-level package and each guess brings."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

from raybundle.dotted import with_ancestors
from raybundle.explain.chains import driver_of
from raybundle.explain.dominators import held_by_each
from raybundle.model import WIDENING

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping
    from pathlib import Path

    from raybundle.model import ArchivePath, DataFile, Edge, ModuleName, Resolution, Rule

    Sizes = Mapping[ArchivePath, int]
    """Bytes of each file of the bundle."""

_Place = tuple[str, int, str]
"""File, line and rule of a guess."""


@dataclass(frozen=True, slots=True)
class Part:
    """The share of one root or one top-level package."""

    name: str
    """Name of the package; empty for files without one."""
    root: str
    """Symbol of the root; empty for files under no root."""
    modules: int
    data: int
    """Files that are not modules."""
    bytes: int


@dataclass(frozen=True, slots=True)
class Guess:
    """The modules that one place brings by a rule that guesses."""

    file: Path
    line: int
    rule: Rule
    importer: ModuleName
    took: tuple[ModuleName, ...]
    """Sorted, without packages that are only ancestors."""
    prefix: str
    """Their common start, up to a dot; the whole name if there is only one."""
    alone: int
    """Modules that nothing else brings."""
    alone_bytes: int


def by_root(resolution: Resolution, sizes: Sizes) -> tuple[Part, ...]:
    """Returns the share of each root, the most bytes first."""
    return _added_up((root, "", is_data, size) for root, _, is_data, size in _rows(resolution, sizes))


def by_package(resolution: Resolution, sizes: Sizes) -> tuple[Part, ...]:
    """Returns the share of each top-level package or module, by root, the most bytes first."""
    return _added_up(_rows(resolution, sizes))


def _added_up(rows: Iterable[tuple[str, str, bool, int]]) -> tuple[Part, ...]:
    modules: dict[tuple[str, str], int] = defaultdict(int)
    data: dict[tuple[str, str], int] = defaultdict(int)
    total: dict[tuple[str, str], int] = defaultdict(int)
    for root, name, is_data, size in rows:
        (data if is_data else modules)[root, name] += 1
        total[root, name] += size
    keys = sorted({*modules, *data}, key=lambda key: (-total[key], key))
    return tuple(
        Part(name, root, modules[root, name], data[root, name], total[root, name]) for root, name in keys
    )


def _rows(resolution: Resolution, sizes: Sizes) -> Iterator[tuple[str, str, bool, int]]:
    """Yields root, top-level name, whether it is data, and bytes of each bundled file."""
    names = set()
    for module in resolution.modules:
        name = module.name.partition(".")[0]
        names.add(name)
        yield module.root, name, False, sizes.get(module.path, 0) if module.path else 0
    roots = sorted(
        ((str(root.directory) + os.sep, root.symbol) for root in resolution.roots),
        key=lambda each: -len(each[0]),
    )
    for data in resolution.data:
        root, name = _place_of(data, roots, names)
        yield root, name, True, sizes.get(data.path, 0)


def _place_of(data: DataFile, roots: Iterable[tuple[str, str]], names: set[str]) -> tuple[str, str]:
    file = str(data.file)
    for directory, symbol in roots:
        if file.startswith(directory):
            top = file[len(directory) :].partition(os.sep)[0]
            return symbol, top if top in names else ""
    return "", ""


def widenings(resolution: Resolution, sizes: Sizes) -> tuple[Guess, ...]:
    """Returns the guesses by place; first the one that brings most that nothing else brings."""
    groups: dict[_Place, list[Edge]] = {}
    for edge in resolution.edges:
        if edge.rule in WIDENING:
            groups.setdefault(_place(edge), []).append(edge)
    if not groups:
        return ()
    weights: dict[str | _Place, tuple[int, int]] = {
        str(module.name): (1, sizes.get(module.path, 0) if module.path else 0)
        for module in resolution.modules
    }
    held = held_by_each(driver_of(resolution), _with_places(resolution), weights)
    found = [_widening(edges, weights, held.get(place, (0, 0))) for place, edges in groups.items()]
    return tuple(
        sorted(found, key=lambda each: (-each.alone_bytes, -len(each.took), str(each.file), each.line))
    )


def _place(edge: Edge) -> _Place:
    return (str(edge.file), edge.line, edge.rule)


def _with_places(resolution: Resolution) -> dict[str | _Place, set[str | _Place]]:
    """Returns the graph with a node for each guess, between importer and imported."""
    successors: dict[str | _Place, set[str | _Place]] = defaultdict(set)
    for edge in resolution.edges:
        if edge.rule in WIDENING:
            place = _place(edge)
            successors[edge.importer].add(place)
            successors[place].add(edge.imported)
        else:
            successors[edge.importer].add(edge.imported)
    return successors


def _widening(edges: list[Edge], known: Container[str | _Place], alone: tuple[int, int]) -> Guess:
    first = edges[0]
    names = {edge.imported for edge in edges if edge.imported in known} or {edge.imported for edge in edges}
    parents = {name.rpartition(".")[0] for name in names}
    took = tuple(sorted(names - {each for parent in parents for each in with_ancestors(parent)}))
    return Guess(first.file, first.line, first.rule, first.importer, took, _common_start(took), *alone)


def _common_start(names: tuple[ModuleName, ...]) -> str:
    if len(names) == 1:
        return names[0]
    pairs = zip(names[0].split("."), names[-1].split("."), strict=False)  # of sorted names, these differ most
    return "".join(f"{one}." for one, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
