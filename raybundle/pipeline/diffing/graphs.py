"""What differs between two import graphs: modules, what brings each of them in, and imports."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from raybundle.pipeline.diffing.ends import End

Step = tuple[str, int]
"""A module, and the line where it imports the next one."""


class ModuleChange(NamedTuple):
    """A module that only one side has."""

    kind: Literal["added", "removed"]
    name: str
    chain: tuple[Step, ...]
    """The shortest chain of imports from the driver to it, on the side that has it."""


class EdgeChange(NamedTuple):
    """An import between two modules that only one side has."""

    kind: Literal["added", "removed"]
    importer: str
    imported: str


def module_changes(before: End, after: End) -> tuple[ModuleChange, ...]:
    """Returns the modules that only one side has, by name."""
    old, new = _names(before.graph), _names(after.graph)
    gone, come = old - new, new - old
    chains = {"removed": _chains(before, gone), "added": _chains(after, come)}
    found = [ModuleChange("removed", name, chains["removed"].get(name, ())) for name in gone]
    found += [ModuleChange("added", name, chains["added"].get(name, ())) for name in come]
    return tuple(sorted(found, key=lambda each: (each.name, each.kind)))


def edge_changes(before: End, after: End) -> tuple[EdgeChange, ...]:
    """Returns the imports that only one side has, between modules that both have."""
    both = _names(before.graph) & _names(after.graph)
    old, new = _edges(before.graph, both), _edges(after.graph, both)
    found = [EdgeChange("removed", *each) for each in old - new]
    found += [EdgeChange("added", *each) for each in new - old]
    return tuple(sorted(found, key=lambda each: each[1:]))


def _names(graph: Mapping[str, Any]) -> set[str]:
    return {each["name"] for each in graph.get("modules", ())}


def _edges(graph: Mapping[str, Any], names: Collection[str]) -> set[tuple[str, str]]:
    edges = ((each["importer"], each["imported"]) for each in graph.get("edges", ()))
    return {each for each in edges if each[0] in names and each[1] in names}


def _chains(end: End, wanted: Collection[str]) -> dict[str, tuple[Step, ...]]:
    if not wanted:
        return {}
    outgoing: dict[str, list[Mapping[str, Any]]] = {}
    for edge in end.graph.get("edges", ()):
        outgoing.setdefault(edge["importer"], []).append(edge)
    driver = "__main__" if "__main__" in _names(end.graph) else end.target
    reached: dict[str, tuple[Step, ...]] = {driver: ()}
    queue = deque([driver])
    while queue:
        importer = queue.popleft()
        for edge in outgoing.get(importer, ()):
            if edge["imported"] not in reached:
                reached[edge["imported"]] = (*reached[importer], (importer, edge["line"]))
                queue.append(edge["imported"])
    return {name: reached[name] for name in wanted if name in reached}
