"""Explains why each distribution is needed: who imports, requires or declares it, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from raybundle.model import FOUND_BY

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Distribution, Edge, Resolution

Why = Literal["imported", "declared", "traced", "required", "imported-by"]

_SUREST = {rule: position for position, rule in enumerate(FOUND_BY)}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a distribution is needed."""

    why: Why
    file: Path | None = None
    """The place in first-party code; None if there is none, or if `include` declares it."""
    line: int | None = None
    by: str = ""
    """The distribution that needs it."""
    module: str = ""
    """The module of `by` that imports it."""


def reasons_of(resolution: Resolution) -> dict[str, Reason]:
    """Returns by name why each distribution is needed; of several places the surest, then the first."""
    owners = {module: each.name for each in resolution.distributions for module in each.modules}
    best: dict[str, Edge] = {}
    for edge in resolution.edges:
        name = owners.get(edge.imported)
        if name is not None and (name not in best or _rank(edge) < _rank(best[name])):
            best[name] = edge
    return {each.name: _reason(each, best.get(each.name)) for each in resolution.distributions}


def _rank(edge: Edge) -> tuple[bool, int, str, int]:
    return (edge.optional, _SUREST[edge.rule], str(edge.file), edge.line)


def _reason(distribution: Distribution, edge: Edge | None) -> Reason:
    if edge is None:
        if not distribution.required_by:
            return Reason("declared")
        why: Why = "imported-by" if distribution.imported_by else "required"
        return Reason(why, None, None, distribution.required_by, distribution.imported_by)
    match FOUND_BY[edge.rule]:
        case "declared" if edge.rule == "include":
            return Reason("declared")
        case "declared":
            return Reason("declared", edge.file, edge.line)
        case "traced":
            return Reason("traced", edge.file, edge.line)
        case _:
            return Reason("imported", edge.file, edge.line)


def requiring(distribution: Distribution, resolution: Resolution) -> tuple[Distribution, ...]:
    """Returns the distributions that lead to one that the job does not import itself."""
    known = {each.name: each for each in resolution.distributions}
    found: list[Distribution] = []
    while (name := distribution.required_by.partition("[")[0]) in known and not distribution.modules:
        distribution = known[name]
        if distribution in found:
            break
        found.append(distribution)
    return tuple(found)


def traced_edges(resolution: Resolution) -> list[Edge]:
    """Returns the imports, known only from runs, of modules that nothing else reaches."""
    names = {module.name for module in resolution.modules if module.found_by == "traced"}
    return [edge for edge in resolution.edges if edge.rule == "trace" and edge.imported in names]
