"""The graph of a bundle as columns of numbers: what the page searches, draws and adds up."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from raybundle.explain.dominators import held_by_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.bundle.values import Manifest
    from raybundle.reporting.facts import Facts

Rows = list[Any]
KINDS = ("script", "module", "package", "namespace", "extension", "installed")
FOUND = ("static", "literal", "prefix", "resource", "traced", "declared")
"""As in `model.FoundBy`, the surest first."""


def columns(facts: Facts) -> dict[str, Any]:
    """Returns what the page's script reads; modules are numbers, and sizes are in bytes.

    `names` has the first-party modules, then the installed ones that they import. An edge is four numbers:
    importer, imported, line, and how it was found times two, plus one if the import is optional.
    """
    graph = facts.graph
    modules: Sequence[Mapping[str, Any]] = graph["modules"]
    numbers = {each["name"]: number for number, each in enumerate(modules)}
    paths = [each.get("path", "") for each in modules]
    sizes = {str(each.path): each.size for each in facts.manifest.files}
    first_party = frozenset(paths)
    driver = driver_of(facts.manifest, numbers)
    edges, places = _edges(graph["edges"], numbers, paths)
    held = _held(driver, edges, [sizes.get(path, 0) for path in paths])
    return {
        "names": list(numbers),
        "kinds": [KINDS.index(each["kind"]) for each in modules],
        "found": [FOUND.index(each["found_by"]) for each in modules],
        "paths": paths,
        "sizes": [sizes.get(path, 0) for path in paths],
        "held": held,
        "driver": driver,
        "edges": edges,
        "places": places,
        "data": [[path, size] for path, size in sizes.items() if path not in first_party],
        "distributions": [_distribution(each, numbers) for each in graph["distributions"]],
    }


def driver_of(manifest: Manifest, numbers: Mapping[str, int]) -> int:
    """Returns the number of the module that runs first; -1 if the graph is not known."""
    target = getattr(manifest.target, "name", "")
    for name in ("__main__", f"{target}.__main__", target):
        if name in numbers:
            return numbers[name]
    return -1


def _edges(
    rows: Sequence[Mapping[str, Any]], numbers: dict[str, int], paths: Sequence[str]
) -> tuple[list[int], dict[int, str]]:
    """Returns four numbers for each import, and the files of those that are not in the importer's own."""
    found: list[int] = []
    places: dict[int, str] = {}
    for index, each in enumerate(rows):
        importer, imported = (numbers.setdefault(each[end], len(numbers)) for end in ("importer", "imported"))
        how = FOUND.index(each["found_by"]) * 2 + bool(each["optional"])
        found += (importer, imported, each["line"], how)
        if each["path"] and (importer >= len(paths) or paths[importer] != each["path"]):
            places[index] = each["path"]
    return found, places


def _held(driver: int, edges: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Returns, for each module, how many modules and bytes the bundle has only because of it."""
    successors: dict[int, set[int]] = defaultdict(set)
    for start in range(0, len(edges), 4):
        successors[edges[start]].add(edges[start + 1])
    weights = {number: (1, size) for number, size in enumerate(sizes)}
    held = held_by_each(driver, successors, weights) if driver >= 0 else {}
    return [held.get(number, (0, 0)) for number in range(len(sizes))]


def _distribution(each: Mapping[str, Any], numbers: Mapping[str, int]) -> dict[str, Any]:
    return {
        "name": each["name"],
        "version": each["version"],
        "by": each["provided_by"],
        "bytes": each.get("bytes", 0),
        "modules": [numbers[name] for name in each["modules"] if name in numbers],
        "needs": each.get("required_by", ""),
    }
