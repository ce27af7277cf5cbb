"""Sorts imports that resolve nowhere: what stops the job, what may never run, and what is settled."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.graph.eager import EAGER
from raybundle.graph.find import Missing as NotFound
from raybundle.graph.names import with_ancestors
from raybundle.graph.settle import Settling
from raybundle.model import Absent, Missing, Warning

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from raybundle.graph.closure import Closure
    from raybundle.graph.eager import Loading
    from raybundle.graph.find import Finder
    from raybundle.graph.settings import ResolveSettings
    from raybundle.graph.traced import Usable
    from raybundle.model import AbsentKind, Edge, Interpreter, Resolution

_KINDS: tuple[AbsentKind, ...] = ("function", "optional", "guessed")
"""By how surely they run; the first is for `eager.FUNCTION`."""
_WORDS: dict[AbsentKind, str] = {"function": "in functions", "optional": "optional", "guessed": "guessed"}

SHOWN = 7
"""Names in the text of the warning; `--json` has all."""
_STEPS = 3
"""Places of a chain that the text shows."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """The imports that resolve nowhere."""

    missing: tuple[Missing, ...]
    """Run while modules load from the driver."""
    absent: tuple[Absent, ...]
    """May never run."""
    not_found: tuple[Missing, ...]
    """Optional by themselves, or settled."""
    on_nodes: dict[str, list[Edge]]
    """Settled by what the nodes have: by name in `cluster-provides`."""


def sort_misses(
    closure: Closure, loading: Loading, finder: Finder, settings: ResolveSettings, shown: Usable
) -> Unresolved:
    """Return the imports of `closure` that resolve nowhere, by what follows from each."""
    missing, not_found = [], []
    groups: defaultdict[tuple[int, str], list[Edge]] = defaultdict(list)
    labels = {miss.imported: _label(miss.imported, finder) for miss in closure.misses}
    settling = Settling(settings, shown, set(labels.values()), closure.installs)
    for miss in closure.misses:
        label, sureness = labels[miss.imported], loading.of(miss)
        if settling.is_on_nodes(miss, label):
            continue
        if settling.settles(miss, label, sureness) or miss.optional:
            not_found.append(miss)
        elif sureness == EAGER or miss.rule == "comment":
            missing.append(miss)
        else:
            groups[sureness, label].append(miss)
    absent = tuple(_group(name, kind, groups[kind, name], loading) for kind, name in sorted(groups))
    return Unresolved(_in_order(missing), absent, _in_order(not_found), settling.on_nodes)


def _label(name: str, finder: Finder) -> str:
    """Return the highest package that is not there."""
    return next((each for each in with_ancestors(name) if isinstance(finder.find(each), NotFound)), name)


def _group(name: str, sureness: int, misses: list[Edge], loading: Loading) -> Absent:
    chain = min(map(loading.chain, misses), key=_by_length)
    places = {(each.file, each.line) for each in misses}
    files, lines = tuple(each.file for each in chain), tuple(str(each.line) for each in chain)
    names = tuple(sorted({each.imported for each in misses}))
    return Absent(name, _KINDS[sureness - 1], len(places), files, lines, names)


def _by_length(chain: tuple[Edge, ...]) -> tuple[int, list[tuple[str, int]]]:
    return len(chain), [(str(each.file), each.line) for each in chain]


def _in_order(misses: Iterable[Edge]) -> tuple[Missing, ...]:
    found = {Missing(each.imported, each.importer, each.file, each.line) for each in misses}
    return tuple(sorted(found, key=lambda each: (str(each.file), each.line, each.name, each.importer)))


def with_warning(resolution: Resolution, hint: str = "", hinted: Collection[str] = ()) -> Resolution:
    """Return a resolution with one warning about all imports that resolve nowhere and may never run.

    `hint` settles those that are named in `hinted`.
    """
    if not resolution.absent:
        return resolution
    ordered = sorted(resolution.absent, key=lambda each: (_KINDS.index(each.kind), -each.count, each.name))
    lines = [f"{_WORDS[each.kind]}: {_line(each, resolution.project)}" for each in ordered[:SHOWN]]
    if ordered[SHOWN:]:
        lines.append(f"and {len(ordered) - SHOWN} more: {', '.join(_left(ordered[SHOWN:]))}")
    text = "\n  ".join(["imports that resolve nowhere and may never run", *lines])
    left = [each.name for each in ordered if each.name not in hinted]
    hints = [each for each in (hint, hint_of_absent(left) if left else "") if each]
    warning = Warning(text, None, None, "; ".join(hints))
    return replace(resolution, warnings=(*resolution.warnings, warning))


def _line(each: Absent, project: Path) -> str:
    places = [f"{_shown(file, project)}:{line}" for file, line in zip(each.files, each.lines, strict=True)]
    if len(places) > _STEPS:
        places = [places[0], "…", *places[1 - _STEPS :]]
    count = f" ({each.count} places)" if each.count > 1 else ""
    return f"`{each.name}`{count} at {' > '.join(places)}"


def _left(groups: Iterable[Absent]) -> Iterator[str]:
    counts: defaultdict[AbsentKind, int] = defaultdict(int)
    for each in groups:
        counts[each.kind] += 1
    yield from (f"{counts[kind]} {_WORDS[kind]}" for kind in _KINDS if counts[kind])


def hint_of_absent(names: Iterable[str]) -> str:
    """Return what settles imports that may never run."""
    quoted = list(dict.fromkeys(f'"{each}"' for each in names))
    shown = ", ".join([*quoted[:2], *(["…"] if quoted[2:] else [])])
    return (
        f"if the job does without them, `optional = [{shown}]` in [tool.raybundle]; else install them here, "
        "or name what the nodes have in `cluster-provides`"
    )


def hint_of_missing(missing: Missing, interpreter: Interpreter) -> str:
    """Return what settles an import that stops the job, the likeliest first."""
    name = missing.name.partition(".")[0] or missing.name
    return (
        f"add the folder that holds `{name}` to `roots` in [tool.raybundle], or install its distribution "
        f"into the environment of {interpreter.executable}; if the job does without it, put "
        f'`try/except ImportError` around the import, or add `optional = ["{name}"]`; if only the nodes have '
        "it, name its distribution in `cluster-provides`"
    )


def _shown(file: Path, project: Path) -> str:
    return str(file.relative_to(project) if file.is_relative_to(project) else file)
