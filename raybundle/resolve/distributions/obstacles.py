"""Reports what keeps distributions out of a bundle: no owner, no RECORD, a version that Ray rejects."""

from __future__ import annotations

from collections import defaultdict
from difflib import get_close_matches
from typing import TYPE_CHECKING

from raybundle.errors import UsageError
from raybundle.formats.lists import first_of
from raybundle.model import Distribution, Warning
from raybundle.resolve.distributions.installed import InstalledDistributions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

    from raybundle.model import Edge, Interpreter
    from raybundle.resolve.distributions.values import Needed, Unfit, Unmet, Wanted

_SIMILAR = 0.8
"""The lowest `difflib.SequenceMatcher.ratio` at which one name may be a misspelling of another."""
_SHOWN = 5
"""Requirements that one warning lists."""


def with_provided(
    needed: Iterable[Distribution], on_nodes: Mapping[str, list[Edge]]
) -> tuple[Distribution, ...]:
    """Returns the needed distributions and those that only the nodes have, sorted by name."""
    found = {each.name: each for each in needed}
    for name, edges in on_nodes.items():
        modules = tuple(sorted({each.imported for each in edges}))
        found.setdefault(name, Distribution(name, "", "cluster", 0, modules))
    return tuple(found[name] for name in sorted(found))


def refuse_misnamed(
    wanted: Wanted, needed: Needed, on_nodes: Collection[str], interpreter: Interpreter
) -> None:
    """Refuses names in `cluster-provides` that look like a misspelling of a needed distribution.

    Raises:
        UsageError: there is such a name; the hint has the likely one.
    """
    names = {each.name for each in needed.distributions}.union(on_nodes)
    if names.issuperset(wanted.cluster_provides):
        return
    owners = {str(name): each.name for each in needed.distributions for name in each.modules}
    for name in wanted.cluster_provides:
        close = get_close_matches(name, sorted(each.name for each in needed.distributions), 1, _SIMILAR)
        meant = owners.get(name.replace("-", "_")) or (close[0] if close else None)
        if name not in names and meant and name not in InstalledDistributions(interpreter.site).by_name:
            raise UsageError(
                f"`{name}` in `cluster-provides` is not a distribution that this job needs",
                hint=f"did you mean `{meant}`?",
            )


def find_obstacles(
    wanted: Wanted, needed: Needed, edges: Iterable[Edge], interpreter: Interpreter
) -> tuple[tuple[Warning, ...], tuple[Warning, ...]]:
    """Returns the warnings, and the obstacles that stop the build."""
    places: Mapping[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        if edge.imported in wanted.third_party:
            places[edge.imported].append(edge)
    warnings: list[Warning] = []
    obstacles: list[Warning] = []
    travelling = {each.name: each for each in needed.distributions if each.provided_by == "bundle"}
    for name in _outermost(needed.unowned):
        harmless = wanted.dependencies == "cluster" or name in wanted.optional
        (warnings if harmless else obstacles).append(_unowned(name, places[name]))
    for name in needed.unrecorded:
        each = travelling.get(name)
        if each is None:
            warnings.append(_left_out(name))
        else:
            obstacles.append(_unrecorded(each, places, interpreter))
    warnings += [_editable(name, by) for name, by in needed.editable]
    warnings += [_exposed(name, other) for name, other in needed.exposed]
    if needed.unmet and not interpreter.installed_differ:  # otherwise it comes from an index, if it exists
        warnings.append(_unmet(needed.unmet))
    obstacles += map(_unfit, needed.unfit)
    return tuple(warnings), tuple(obstacles)


def _outermost(names: Iterable[str]) -> Iterator[str]:
    known = set(names)
    return (name for name in sorted(known) if name.rpartition(".")[0] not in known)


def _unowned(name: str, places: list[Edge]) -> Warning:
    file, line = _first(places)
    hint = (
        "install it with a tool that writes RECORD, such as pip or uv, or put it under a root of the project"
    )
    text = f"`{name}` belongs to no installed distribution"
    return Warning(text, file, line, hint)


def _left_out(name: str) -> Warning:
    text = f"{name} is left out: it was installed without RECORD, so its files are not known"
    return Warning(text, None, None, f"install it with pip or uv, or name `{name}` in `cluster-provides`")


def _unrecorded(each: Distribution, places: Mapping[str, list[Edge]], interpreter: Interpreter) -> Warning:
    file, line = _first([edge for module in each.modules for edge in places[module]])
    by = f", which {each.required_by} needs," if each.required_by else ""
    text = f"{each.name} {each.version}{by} was installed without RECORD: its files are not known"
    hint = (
        f"install it with pip or uv into an environment of its own (now: {interpreter.executable}), or name "
        f"`{each.name}` in `cluster-provides`"
    )
    return Warning(text, file, line, hint)


def _first(edges: Iterable[Edge]) -> tuple[Path, int] | tuple[None, None]:
    ordered = sorted(edges, key=lambda edge: (edge.optional, str(edge.file), edge.line))
    return (ordered[0].file, ordered[0].line) if ordered else (None, None)


def _editable(name: str, by: str) -> Warning:
    text = (
        f"{name}, which {by} requires, is editable: the bundle has only what first-party code imports of it"
    )
    return Warning(text, None, None, f"install {name} as a wheel if {by} imports it")


def _exposed(name: str, other: str) -> Warning:
    text = f"METADATA of {name} is bundled, and has credentials in the URL of its requirement {other}"
    hint = f"revoke them, and build {name} with a requirement that has none"
    return Warning(text, None, None, hint)


def _unmet(unmet: Iterable[Unmet]) -> Warning:
    """Returns one warning for all: an environment made with `--no-deps` has many."""
    has = [
        f"{each.by} requires {each.requirement} ({f'{each.version} is' if each.version else 'not'} installed)"
        for each in unmet
    ]
    text = f"the environment, and so the bundle, lacks requirements: {first_of(has, _SHOWN)}"
    return Warning(text, None, None, "install them where the bundle is built, if the job needs them")


def _unfit(each: Unfit) -> Warning:
    text = f"{each.name} {each.version} cannot be bundled: Ray {each.ray} requires {each.requirement}"
    hint = (
        f"install {each.requirement} where the bundle is built, or name `{each.name}` in `cluster-provides`; "
        "where Ray is installed beside it, only that Ray's requirements count"
    )
    return Warning(text, None, None, hint)
