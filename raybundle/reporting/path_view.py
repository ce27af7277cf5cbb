"""The view that answers where Python looks for modules, as planned and as processes on the nodes say."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from raybundle.formats.amounts import counted
from raybundle.pipeline.viewing.wording import NAMES, answer_of, by_processes, columns_of, rows_of, who
from raybundle.reporting.markup import code, empty, section, table, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.pipeline.viewing.values import PathView
    from raybundle.reporting.facts import Facts, Here

LISTED = 200
"""Rows of a table; `path --json` and `show --json` have all."""
_QUESTION = "Where does Python look for modules?"
_NONE = "&ndash;"


def path_view(facts: Facts) -> str:
    """Returns where Python looks for modules, here and on each node."""
    if facts.view is not None:
        parts = [measured(facts.view)]
        answer = f"{text(_sentence(answer_of(facts.view)))}."
    else:
        parts, answer = [_planned(facts)], _answer(facts)
    if facts.seen is not None:
        parts.append(seen_by(facts.seen))
    if facts.here is not None:
        parts += _beside_the_path(facts.here)
    return section("path", _QUESTION, answer, "".join(parts))


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}"


def _answer(facts: Facts) -> str:
    """Returns what holds without asking nodes: what a run had seen, or what the boot sets."""
    entries = counted(len(facts.manifest.path), "entry", "entries")
    path = f"{entries}, the same in the driver and in each worker"
    if facts.seen is None:
        return f"{path}, under Python {facts.manifest.python.minor}. Nothing else on a node is importable."
    outside = {(each["module"], each["file"]) for each in facts.seen["outside"]}
    if not outside:
        return f"{path}. All modules of the run came from them."
    came = f"{counted(len(outside), 'module')} came from elsewhere"
    return f'{path}. <b class="removed">{came}</b>: see below.'


def _planned(facts: Facts) -> str:
    here = facts.here
    heads = [">#", "entry", "on each node, set by the boot", *(["here, when it was planned"] if here else [])]
    rows = [
        [
            str(number),
            code(entry),
            text(_on_nodes(entry, facts)),
            *([_lines(here.places.get(entry, ()))] if here else []),
        ]
        for number, entry in enumerate(map(str, facts.manifest.path), 1)
    ]
    note = f'<p class="legend">{code("--nodes")} asks every node what its processes really have.</p>'
    return table(heads, rows, "path") + (note if facts.seen is None else "")


def _on_nodes(entry: str, facts: Facts) -> str:
    kind, _, rest = entry.partition(":")
    match kind:
        case "project":
            return "the project" if rest in ("", ".") else f"{rest} of the project"
        case "root":
            number, _, below = rest.partition(":")
            return f"source root {number}{f', {below}' if below else ''}"
        case "layers":
            return f"{counted(len(facts.manifest.layers), 'distribution')} of the bundle"
        case "stdlib":
            return "the node's standard library"
        case "ray":
            return "Ray and what Ray requires, nothing else that is installed"
        case _:
            return ""


def measured(view: PathView) -> str:
    """Returns the paths of all processes side by side, then what differs and what shapes them."""
    columns = columns_of(view)
    titles = [text(title) for title, _ in columns]
    rows = []
    for number, (origin, cells) in enumerate(rows_of([path for _, path in columns]), 1):
        shown = [_lines(places) for places in cells]
        rows.append([str(number), code(origin), *shown])
    parts = [table([">#", "entry", *titles], rows, "measured")] if rows else [empty(view.fault or "")]
    if failing := [
        [_lines(names), text(who(processes))]
        for each in (view.failing, view.failing_outside)
        for processes, names in by_processes(each)
    ]:
        parts.append("<h3>Modules that cannot be imported</h3>" + table(["module", "in"], failing[:LISTED]))
    if silent := [[text(f"{NAMES[one.kind]} on {one.where}"), text(one.fault or "")] for one in view.silent]:
        parts.append("<h3>Processes that did not answer</h3>" + table(["process", "why"], silent[:LISTED]))
    if conflicts := [
        [code(each.name), code(each.here), code(version) if version else "not installed", _listed(processes)]
        for each in view.conflicts
        for version, processes in each.there.items()
    ]:
        heads = ["distribution", "here", "there", "in"]
        parts.append("<h3>Distributions that differ from here</h3>" + table(heads, conflicts[:LISTED]))
    if shaping := list(_shaping(view)):
        sets = "Without a bundle, these would shape imports on the nodes"
        parts.append(f"<h3>{sets}</h3>" + table(["source", "what", "on"], shaping[:LISTED]))
    return "".join(parts)


def _shaping(view: PathView) -> Iterator[list[str]]:
    nodes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for each in view.shaping:
        nodes[each.source, each.what].append(each.where)
    every = {each.where for each in view.shaping}
    for (source, what), places in sorted(nodes.items()):
        where = "all nodes" if len(places) == len(every) else _listed(places)
        yield [text(source), code(what), where]


def seen_by(seen: Mapping[str, Any]) -> str:
    """Returns on which nodes a run ran, and what its processes imported from outside the bundle."""
    rows = [
        [
            code(each["node"]),
            text(", ".join(each["python"])),
            text(" ".join(filter(None, (each["platform"], each["libc"])))),
            text(", ".join(counted(number, *_ROLES[role]) for role, number in each["processes"].items())),
        ]
        for each in seen["nodes"]
    ]
    parts = ["<h3>Where the run was</h3>" + table(["node", "Python", "platform", "processes"], rows[:LISTED])]
    if outside := [
        [code(each["module"]), code(each["file"]), text(f"a {each['process']} on {each['node']}")]
        for each in seen["outside"]
    ]:
        heads = ["module", "file", "in"]
        parts.append("<h3>Imported from outside the bundle</h3>" + table(heads, outside[:LISTED]))
    return "".join(parts)


_ROLES = {
    "driver": ("driver", "drivers"),
    "worker": ("worker", "workers"),
    "child": ("child", "children"),
}


def _beside_the_path(here: Here) -> Iterator[str]:
    if here.unused:
        yield f"<h3>On the path here, without anything of the bundle</h3>{_items(here.unused)}"
    if here.shadowed:
        rows = [
            [code(each.name), code(str(each.file)), _lines(map(str, each.others))] for each in here.shadowed
        ]
        yield (
            "<h3>Modules that the path has more than once</h3>"
            + table(["module", "Python imports", "and not"], rows)
        )


def _items(values: tuple[str, ...]) -> str:
    return f"<ul>{''.join(f'<li>{code(each)}</li>' for each in values)}</ul>"


def _lines(values: Iterable[str]) -> str:
    return "<br>".join(code(each) for each in values) or _NONE


def _listed(values: Iterable[str]) -> str:
    return text(", ".join(dict.fromkeys(values)))
