"""Explains why a module is in a bundle: the imports that lead from the driver to it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from raybundle.explain.dominators import immediate_dominators, passed_by_all
from raybundle.model import FOUND_BY, ModuleName, ModuleTarget

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from raybundle.model import Edge, Resolution

    Chain = tuple[Edge, ...]
    _Graph = Mapping[str, list[Edge]]

COUNTED = 1000
"""Chains to count at most; a large project may have more chains than atoms."""

_STEPS = 200_000
"""Imports that the search for chains follows at most, in about a second."""

_END = ""
"""A single node behind all modules in question."""

_SUREST = {rule: position for position, rule in enumerate(FOUND_BY)}


@dataclass(frozen=True, slots=True)
class Ways:
    """All ways from the driver to the modules in question."""

    chains: tuple[Chain, ...]
    """Chains without repeated modules, the shortest first; of several imports, the surest."""
    complete: bool
    """These are all chains."""
    edges: tuple[Edge, ...]
    """The imports on the way from the driver to the modules in question."""
    importers: tuple[Edge, ...]
    """The edges that end at a module in question."""
    gates: tuple[ModuleName, ...]
    """The modules that every chain passes, in order, without its ends."""


def driver_of(resolution: Resolution) -> ModuleName:
    """Returns the driver's name in the graph."""
    if any(module.name == "__main__" for module in resolution.modules):
        return ModuleName("__main__")
    if not isinstance(resolution.target, ModuleTarget):
        return ModuleName("__main__")
    name = resolution.target.name
    package = ModuleName(f"{name}.__main__")
    return package if any(module.name == package for module in resolution.modules) else name


def shortest_chain_to(resolution: Resolution, names: Collection[str]) -> Chain:
    """Returns the shortest chain from the driver to one of `names`; empty if there is none."""
    return next(iter(chains_to(resolution, names, most=1).values()), ())


def chains_to(resolution: Resolution, names: Collection[str], most: int | None = None) -> dict[str, Chain]:
    """Returns the shortest chain from the driver to each of `names` that it reaches, the shortest first.

    Args:
        resolution: the graph.
        names: modules as named in the edges.
        most: chains to look for; all by default.
    """
    driver = driver_of(resolution)
    outgoing = _by_importer(resolution.edges)
    reached_by: dict[str, Edge | None] = {driver: None}
    queue = deque[str]([driver])
    found: dict[str, Chain] = {}
    while queue and len(found) != most:
        importer = queue.popleft()
        if importer in names:
            found[importer] = _traced_back(importer, reached_by)
        for edge in outgoing.get(importer, ()):
            if edge.imported not in reached_by:
                reached_by[edge.imported] = edge
                queue.append(edge.imported)
    return found


def _traced_back(name: str, reached_by: Mapping[str, Edge | None]) -> Chain:
    chain = []
    while edge := reached_by[name]:
        chain.append(edge)
        name = edge.importer
    return tuple(reversed(chain))


def _by_importer(edges: Iterable[Edge]) -> dict[str, list[Edge]]:
    """Returns the imports of each module, the surest first."""
    outgoing: dict[str, list[Edge]] = {}
    for edge in edges:
        outgoing.setdefault(edge.importer, []).append(edge)
    for leaving in outgoing.values():
        leaving.sort(key=lambda edge: (edge.optional, _SUREST[edge.rule]))
    return outgoing


def ways_to(resolution: Resolution, names: Collection[str], wanted: int = COUNTED) -> Ways:
    """Returns the ways from the driver to `names`; a way ends at the first of them.

    Args:
        resolution: the graph.
        names: modules as named in the edges.
        wanted: number of chains at most.
    """
    driver = driver_of(resolution)
    if driver in names:
        return Ways(chains=(), complete=True, edges=(), importers=(), gates=())
    edges, gates = _between(resolution.edges, driver, names)
    outgoing = _by_importer(edges)
    chains, complete = _chains(outgoing, driver, _distances(edges, names), wanted)
    return Ways(
        chains=tuple(chains),
        complete=complete,
        edges=edges,
        importers=tuple(edge for edge in edges if edge.imported in names),
        gates=gates,
    )


def _between(
    edges: Iterable[Edge], driver: str, names: Collection[str]
) -> tuple[tuple[Edge, ...], tuple[ModuleName, ...]]:
    """Returns the imports on the way from `driver` to `names`, and the modules that each way passes.

    An import that leads back is not on a way without repeated modules: each way to it has passed its target
    before, or each way from it will pass its source again.
    """
    forward: dict[str, set[str]] = {name: {_END} for name in names}
    backward: dict[str, set[str]] = {_END: set(names)}
    for edge in edges:
        if edge.importer not in names:
            forward.setdefault(edge.importer, set()).add(edge.imported)
            backward.setdefault(edge.imported, set()).add(edge.importer)
    before, behind = immediate_dominators(driver, forward), immediate_dominators(_END, backward)
    if driver not in behind:
        return (), ()
    kept = tuple(
        edge
        for edge in edges
        if edge.importer in before
        and edge.importer not in names
        and edge.imported in behind
        and edge.imported not in passed_by_all(edge.importer, before)
        and edge.importer not in passed_by_all(edge.imported, behind)
    )
    gates = [ModuleName(each) for each in passed_by_all(_END, before) if each not in names]
    return kept, tuple(reversed(gates[:-1]))


def _distances(edges: Iterable[Edge], names: Collection[str]) -> dict[str, int]:
    """Returns the distance of each module from the nearest of `names`, in imports."""
    incoming: dict[str, set[str]] = {}
    for edge in edges:
        incoming.setdefault(edge.imported, set()).add(edge.importer)
    distances = dict.fromkeys(names, 0)
    queue = deque(distances)
    while queue:
        imported = queue.popleft()
        for importer in incoming.get(imported, ()):
            if importer not in distances:
                distances[importer] = distances[imported] + 1
                queue.append(importer)
    return distances


def _chains(
    outgoing: _Graph, driver: str, distances: Mapping[str, int], wanted: int
) -> tuple[list[Chain], bool]:
    """Returns chains, the shortest first, and whether these are all.

    Partial chains are extended in the order of the shortest length that they can reach.
    """
    found: list[Chain] = []
    order = count()
    begun: list[tuple[int, int, int, Chain]] = []
    if driver in distances:
        begun.append((distances[driver], 0, 0, ()))
    steps = 0
    while begun:
        if len(found) == wanted or steps > _STEPS:
            return found, False
        *_, chain = heappop(begun)
        name = chain[-1].imported if chain else driver
        if distances[name] == 0:
            found.append(chain)
            continue
        passed = {driver, *(edge.imported for edge in chain)}
        for edge in _once_each(outgoing.get(name, ()), passed):
            steps += 1
            length = len(chain) + 1 + distances[edge.imported]
            heappush(begun, (length, -len(chain), next(order), (*chain, edge)))
    return found, True


def _once_each(edges: Iterable[Edge], passed: set[str]) -> Iterator[Edge]:
    for edge in edges:
        if edge.imported not in passed:
            passed.add(edge.imported)
            yield edge
