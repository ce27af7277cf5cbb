"""Puts what `path` found into words, and paths side by side: for a terminal and for a page."""

from __future__ import annotations

from collections import defaultdict
from difflib import SequenceMatcher
from itertools import groupby
from typing import TYPE_CHECKING

from raybundle.formats.amounts import counted
from raybundle.formats.lists import first_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raybundle.pipeline.viewing.values import Entry, PathView, Process

SHOWN = 6
"""Nodes, files and variables that a line names; `--json` has all."""
NAMES = {
    "driver": "driver",
    "task": "tasks",
    "actor": "actors",
    "outside driver": "ray.init driver",
    "outside task": "tasks of a ray.init driver",
}
"""Kinds of processes; the last two belong to a driver that was not started by the Jobs API."""


def answer_of(view: PathView) -> str:
    """Returns in one line what is imported, and whether the paths are as they should be."""
    if view.fault is not None:
        return f"no process could be asked: {view.fault}"
    asked = {name for each in view.answered for name in each.modules or {}}
    failing = len(view.failing)
    what = "plain Ray" if view.plain else "the bundle"
    imports = f"{what} imports {len(asked) - failing} of {counted(len(asked), 'module')} in every process"
    if not asked:
        imports = f"{counted(len(view.answered), 'process', 'processes')} answered"
    if view.plain:
        paths = len(view.groups)
        return f"{imports}; {'the same path' if paths == 1 else counted(paths, 'different path')}"
    if view.astray:
        return f"{imports}; the path is not the one that the boot sets in {who(view.astray)}"
    return f"{imports}; {who(view.answered)} have the path that the boot sets"


def by_processes(failing: Mapping[str, tuple[Process, ...]]) -> list[tuple[tuple[Process, ...], list[str]]]:
    """Returns the modules that the same processes cannot import."""
    found: dict[tuple[int, ...], tuple[tuple[Process, ...], list[str]]] = {}
    for name, processes in failing.items():
        found.setdefault(tuple(map(id, processes)), (processes, []))[1].append(name)
    return list(found.values())


def who(processes: Iterable[Process]) -> str:
    """Returns processes in words: kinds, and the nodes that they run on."""
    by_kind: dict[str, list[str]] = defaultdict(list)
    for each in processes:
        by_kind[each.kind].append(each.where)
    by_nodes: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for kind, nodes in by_kind.items():
        by_nodes[tuple(nodes)].append(NAMES[kind])
    return "; ".join(f"{', '.join(kinds)} on {first_of(nodes, SHOWN)}" for nodes, kinds in by_nodes.items())


def columns_of(view: PathView) -> list[tuple[str, tuple[Entry, ...]]]:
    """Returns paths with their titles: here, the boot's if another was found, and each that was found."""
    found = [("here", view.here)] if view.here else []
    if view.boot and (view.astray or not view.answered):
        found.append(("boot", view.boot))
    return [*found, *((who(group), group[0].path) for group in view.groups)]


def rows_of(paths: Sequence[Sequence[Entry]]) -> list[tuple[str, list[list[str]]]]:
    """Returns kinds of entries in an order that fits all paths, with the places of each in each path."""
    short = [
        [(origin, [each.path for each in run]) for origin, run in groupby(path, lambda each: each.origin)]
        for path in paths
    ]
    order: list[str] = []
    for runs in short:
        keys = [origin for origin, _ in runs]
        merged: list[str] = []
        for _, a, b, c, d in SequenceMatcher(None, order, keys, autojunk=False).get_opcodes():
            merged += [*order[a:b], *(key for key in keys[c:d] if key not in order[a:b])]
        order = list(dict.fromkeys(merged))
    cells = [dict(reversed(runs)) for runs in short]
    return [(origin, [path.get(origin, []) for path in cells]) for origin in order]
