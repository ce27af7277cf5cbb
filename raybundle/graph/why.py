"""Explains a resolution: why a module is in, or the nearest reason why it is not."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from raybundle.model import ModuleTarget

if TYPE_CHECKING:
    from raybundle.model import Edge, Resolution


def shortest_chain(resolution: Resolution, name: str) -> tuple[Edge, ...]:
    """Return the fewest imports that lead from the driver to `name`; empty if none do."""
    outgoing: dict[str, list[Edge]] = {}
    for edge in resolution.edges:
        outgoing.setdefault(edge.importer, []).append(edge)
    chains: dict[str, tuple[Edge, ...]] = {_driver(resolution): ()}
    queue = deque(chains)
    while queue:
        importer = queue.popleft()
        for edge in outgoing.get(importer, ()):
            if edge.imported not in chains:
                chains[edge.imported] = (*chains[importer], edge)
                queue.append(edge.imported)
    return chains.get(name, ())


def reason_absent(resolution: Resolution, name: str) -> str:
    """Return the nearest reason why `name` is not among the modules of the bundle."""
    for missing in resolution.missing:
        if missing.name == name:
            return f"`{name}` is imported at {missing.file}:{missing.line} but was found nowhere on the path"
    edge = next((each for each in resolution.edges if each.imported == name), None)
    if edge is not None and _is_owned(resolution, name):
        return f"`{name}` is third-party: imported at {edge.file}:{edge.line}, provided by a distribution"
    if edge is not None:
        return (
            f"`{name}` is imported at {edge.file}:{edge.line}, optionally, and was found nowhere on the path"
        )
    if name.partition(".")[0] in resolution.interpreter.stdlib_names:
        return f"`{name}` belongs to the standard library"
    parent = name.rpartition(".")[0]
    if any(module.name == parent for module in resolution.modules):
        return f"`{parent}` is in the bundle, but nothing that the driver reaches imports `{name}`"
    return f"nothing that the driver reaches imports `{name}`"


def _driver(resolution: Resolution) -> str:
    if not isinstance(resolution.target, ModuleTarget):
        return "__main__"
    name = resolution.target.name
    package = f"{name}.__main__"
    return package if any(module.name == package for module in resolution.modules) else name


def _is_owned(resolution: Resolution, name: str) -> bool:
    return any(name in distribution.modules for distribution in resolution.distributions)
