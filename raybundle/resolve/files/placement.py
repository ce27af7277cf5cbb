"""Places what was reached: names roots, gives files their paths in an archive, orders the symbolic path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import DataFile, Module, ModuleName, RootSymbol
from raybundle.resolve.driver.path import archive_path_in, name_roots
from raybundle.resolve.find.finder import FirstParty

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raybundle.model import FoundBy, ModuleKind, Root
    from raybundle.resolve.files.data_files import Candidate
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.reached import Closure, Reached

_STRENGTH: tuple[FoundBy, ...] = ("static", "literal", "resource", "prefix", "declared", "traced")
"""How a module was found, the surest first."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Modules and data with their roots and archive paths."""

    path: tuple[RootSymbol, ...]
    roots: tuple[Root, ...]
    modules: tuple[Module, ...]
    data: tuple[DataFile, ...]


def place(
    closure: Closure, data: Iterable[Candidate], finder: Finder, project: Path, *, layered: bool = False
) -> Placement:
    """Returns everything that travels in its place; the order of discovery leaves no trace.

    Args:
        closure: the modules.
        data: the other files.
        finder: for the path of the driver.
        project: what the bundle is relative to.
        layered: distributions travel too.
    """
    data = list(data)
    entries = _entries(closure, data, finder)
    roots = name_roots(project, entries, finder.added)
    found_by = _found_by(closure)
    modules = [
        _module(each, roots, project, found_by.get(name, "static"))
        for name, each in sorted(closure.reached.items())
    ]
    taken = {module.path for module in modules}
    files = {each.path: each for each in _data_files(data, roots, project) if each.path not in taken}
    return Placement(
        path=_symbolic_path(finder, roots, closure, layered=layered),
        roots=tuple(roots.values()),
        modules=tuple(modules),
        data=tuple(files[path] for path in sorted(files)),
    )


def _entries(closure: Closure, data: Iterable[Candidate], finder: Finder) -> list[str]:
    """Returns the entries that hold something: Python's path, editable finders, added roots."""
    held = {each.found.entry for each in closure.reached.values() if isinstance(each.found, FirstParty)}
    held |= {each.entry for each in data if each.of_package}
    ordered = [entry for entry in finder.path if entry in held]
    own = [entry for entry in ordered if entry not in finder.added]
    return own + sorted(held.difference(ordered)) + ordered[len(own) :]


def _found_by(closure: Closure) -> dict[str, FoundBy]:
    best: dict[str, FoundBy] = {}
    for edge in closure.edges:
        known = best.get(edge.imported)
        if known is None or _STRENGTH.index(edge.found_by) < _STRENGTH.index(known):
            best[edge.imported] = edge.found_by
    return best


def _module(reached: Reached, roots: Mapping[str, Root], project: Path, found_by: FoundBy) -> Module:
    found = reached.found
    name = ModuleName(reached.name)
    if isinstance(found, FirstParty):
        path = archive_path_in(found.file, found.entry, roots, project)
        symbol = roots[found.entry].symbol
        return Module(name, _kind(reached), Path(found.file), symbol, path, found_by, reached.sha256)
    held = next((entry for entry, _ in found.portions if entry in roots), next(iter(roots)))
    return Module(name, "namespace", None, roots[held].symbol, None, found_by)


def _kind(reached: Reached) -> ModuleKind:
    found = reached.found
    if reached.name == "__main__":
        return "script"
    if not isinstance(found, FirstParty):
        return "namespace"
    if found.is_extension:
        return "extension"
    return "package" if found.is_package else "module"


def _data_files(data: Iterable[Candidate], roots: Mapping[str, Root], project: Path) -> Iterable[DataFile]:
    for each in data:
        path = archive_path_in(each.file, each.entry, roots, project)
        yield DataFile(Path(each.file), path, each.reason, each.content)


def _symbolic_path(
    finder: Finder, roots: Mapping[str, Root], closure: Closure, *, layered: bool
) -> tuple[RootSymbol, ...]:
    """Returns the ordered path by symbols; `stdlib` and `layers` stand where Python has them, `ray` last.

    The directory of a script that runs with `-P` is on no path: nothing but the script is in it.
    """
    stdlib, site = frozenset(finder.interpreter.stdlib), frozenset(finder.interpreter.site)
    symbols: list[RootSymbol] = []
    for entry in finder.path:
        if entry in finder.added:
            continue
        if entry in stdlib and finder.directories.list(entry).files:
            symbols.append(RootSymbol("stdlib"))
        elif entry in roots:
            symbols.append(roots[entry].symbol)
        elif layered and entry in site:
            symbols.append(RootSymbol("layers"))
    imported = {
        each.found.entry
        for name, each in closure.reached.items()
        if name != "__main__" and isinstance(each.found, FirstParty)
    }
    symbols += [root.symbol for entry, root in roots.items() if entry in {*imported, *finder.added}]
    if layered and "layers" not in symbols:
        after = symbols.index(RootSymbol("stdlib")) + 1 if "stdlib" in symbols else len(symbols)
        symbols.insert(after, RootSymbol("layers"))  # the driver has removed its site-packages from the path
    return tuple(dict.fromkeys([*symbols, RootSymbol("ray")]))
