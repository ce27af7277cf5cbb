"""Sorts imports that resolve nowhere: what stops the job, what may never run, and what is settled."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.dotted import with_ancestors
from raybundle.model import Absent, Missing, ModuleName, Warning
from raybundle.resolve.distributions.installed import normalised_name
from raybundle.resolve.distributions.known_names import distribution_of, install_text
from raybundle.resolve.find.finder import NotFound
from raybundle.resolve.missing.eager import EAGER
from raybundle.resolve.missing.settled_imports import Settling

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from raybundle.model import AbsentKind, Edge, Interpreter, Resolution
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.missing.eager import Loading
    from raybundle.resolve.settings import ResolveSettings
    from raybundle.resolve.trace.join import Usable
    from raybundle.resolve.walk.reached import Closure

_KINDS: tuple[AbsentKind, ...] = ("function", "optional", "guessed")
"""Ordered by how surely they run, from `eager.FUNCTION` on."""
_WORDS: dict[AbsentKind, str] = {"function": "in functions", "optional": "optional", "guessed": "guessed"}

_DETAILED = 2
"""Names of each kind that the warning shows with their places. `--json` has all."""
_NAMED = 3
"""Further names of each kind that it shows."""
_STEPS = 3
"""Places of a chain that it shows."""
_LISTED = 60
"""Names in a hint. If there are more, the hint says where they are listed."""


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
    """Settled by what the nodes have, by name in `cluster-provides`."""


def sort_misses(
    closure: Closure, loading: Loading, finder: Finder, settings: ResolveSettings, shown: Usable
) -> Unresolved:
    """Returns the imports of `closure` that resolve nowhere, by their consequences."""
    missing, not_found = [], []
    groups: defaultdict[tuple[int, str], list[Edge]] = defaultdict(list)
    labels = {miss.imported: _label(miss.imported, finder) for miss in closure.misses}
    site = finder.interpreter.site
    absent_names = frozenset(map(normalised_name, {*labels.values()}))
    settling = Settling(settings, shown, absent_names, closure.installs, site)
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
    return Unresolved(_in_order(missing, labels), absent, _in_order(not_found, labels), settling.on_nodes)


def _label(name: str, finder: Finder) -> str:
    """Returns the highest package that is absent. A relative import that leads out is returned as it is."""
    if name.startswith("."):
        return name
    return next((each for each in with_ancestors(name) if isinstance(finder.find(each), NotFound)), name)


def _group(name: str, sureness: int, misses: list[Edge], loading: Loading) -> Absent:
    chain = min(map(loading.chain, misses), key=_by_length)
    places = {(each.file, each.line) for each in misses}
    files, lines = tuple(each.file for each in chain), tuple(str(each.line) for each in chain)
    names = tuple(sorted({each.imported for each in misses}))
    return Absent(name, _KINDS[sureness - 1], len(places), files, lines, names)


def _by_length(chain: tuple[Edge, ...]) -> tuple[int, list[tuple[str, int]]]:
    return len(chain), [(str(each.file), each.line) for each in chain]


def _in_order(misses: Iterable[Edge], labels: Mapping[ModuleName, str]) -> tuple[Missing, ...]:
    found = {
        Missing(each.imported, each.importer, each.file, each.line, ModuleName(labels[each.imported]))
        for each in misses
    }
    return tuple(sorted(found, key=lambda each: (str(each.file), each.line, each.name, each.importer)))


def with_warning(resolution: Resolution, hint: str = "", hinted: Collection[str] = ()) -> Resolution:
    """Returns a resolution with one warning about all imports that resolve nowhere and may never run.

    `hint` settles those that are named in `hinted`.
    """
    if not resolution.absent:
        return resolution
    lines = [line for kind in _KINDS for line in _lines(resolution, kind)]
    text = "\n  ".join(["imports that resolve nowhere and may never run", *lines])
    left = [each.name for each in resolution.absent if each.name not in hinted]
    hints = [each for each in (hint, hint_of_absent(left) if left else "") if each]
    warning = Warning(text, None, None, "; ".join(hints))
    return replace(resolution, warnings=(*resolution.warnings, warning))


def _lines(resolution: Resolution, kind: AbsentKind) -> Iterator[str]:
    """Yields the line about imports of one kind, if there are any. The most frequent come first."""
    groups = sorted(
        (each for each in resolution.absent if each.kind == kind), key=lambda each: (-each.count, each.name)
    )
    words = [_detailed(each, resolution.project) for each in groups[:_DETAILED]]
    words += [f"`{each.name}`" for each in groups[_DETAILED : _DETAILED + _NAMED]]
    more = len(groups) - len(words)
    if words:
        yield f"{_WORDS[kind]}: {', '.join(words)}{f' and {more} more' if more else ''}"


def _detailed(each: Absent, project: Path) -> str:
    places = [f"{_shown(file, project)}:{line}" for file, line in zip(each.files, each.lines, strict=True)]
    if len(places) > _STEPS:
        places = [places[0], "…", *places[1 - _STEPS :]]
    count = f"{each.count} places, first " if each.count > 1 else ""
    return f"`{each.name}` ({count}at {' > '.join(places)})"


def hint_of_absent(names: Iterable[str]) -> str:
    """Returns what settles imports that may never run, with the complete setting to paste."""
    known = set(names)
    named = sorted(each for each in known if not each.startswith("."))
    hints = []
    if len(named) > _LISTED:
        hints.append(
            f"write those of the {len(named)} names that the job does without into `optional` in "
            "[tool.raybundle] (`plan --json` lists all in `absent`); install the others here, or name what "
            "the nodes have in `cluster-provides`"
        )
    elif named:
        hints.append(
            f"if the job does without them, `optional = {_listed(named)}` in [tool.raybundle]; else install "
            "them here, or name what the nodes have in `cluster-provides`"
        )
    if len(named) < len(known):
        hints.append("end a relative import that leads out of its package with `# raybundle: ignore`")
    return "; ".join(hints)


def _listed(names: Iterable[str]) -> str:
    return json.dumps(sorted(names), ensure_ascii=False)


def hint_of_missing(missing: Collection[Missing], interpreter: Interpreter) -> str:
    """Returns what settles imports that stop the job, the likeliest first."""
    absent = sorted({each.absent for each in missing if not each.absent.startswith(".")})
    names = absent or [next(iter(missing)).name]
    whole = len(names) <= _LISTED
    optional = f"optional = {_listed(names)}" if whole else "optional"
    given = [each.replace(".", "-") for each in names if each.isascii() and not each.startswith("_")]
    provided = f"cluster-provides = {_listed(given)}" if whole and given else "cluster-provides"
    if len(names) == 1:
        return (
            f"add the folder that holds `{names[0].partition('.')[0]}` to `roots` in [tool.raybundle], or "
            f"install its distribution{install_text(names[0])} into the environment of "
            f"{interpreter.executable}; if the job does "
            f"without it, put `try/except ImportError` around the import, or add `{optional}`; if only the "
            f"nodes have it, add `{provided}`"
        )
    known = [each for each in map(distribution_of, names) if each]
    install = f" (`pip install {' '.join(known)}`)" if known else ""
    return (
        "add the folders that hold those of the project to `roots` in [tool.raybundle], or install the "
        f"distributions of the others{install} into the environment of {interpreter.executable}; if the "
        f"job does without them, put `try/except ImportError` around the imports, or add `{optional}`; if "
        f"only the nodes have them, add `{provided}`"
    )


def _shown(file: Path, project: Path) -> str:
    return str(file.relative_to(project) if file.is_relative_to(project) else file)
