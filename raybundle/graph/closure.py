"""Follows imports from the driver until nothing new is reached; cost follows what is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.graph.exhaustive import assert_never
from raybundle.graph.find import FirstParty, Namespace, StandardLibrary, ThirdParty
from raybundle.graph.find import Missing as NotFound
from raybundle.model import Edge, Missing, ModuleName, Shadowed, Unknown, Warning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.graph.facts import Facts, Import
    from raybundle.graph.find import Finder, Found
    from raybundle.model import Rule

PROVIDED_BY_CLUSTER = frozenset({"ray"})
"""Top-level names that need not be installed where the bundle is built."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A first-party module, as the finder found it."""

    name: str
    found: FirstParty | Namespace
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Closure:
    """Everything that the driver can reach."""

    driver: str
    reached: dict[str, Reached]
    third_party: dict[str, str]
    """Imported name and the file that it comes from."""
    edges: tuple[Edge, ...]
    missing: tuple[Missing, ...]
    warnings: tuple[Warning, ...]
    not_found: tuple[Missing, ...]
    unknown: tuple[Unknown, ...]


@dataclass(frozen=True, slots=True)
class Start:
    """Where the walk begins."""

    name: str
    found: FirstParty
    understood: frozenset[int] = frozenset()
    """Lines whose edits of `sys.path` are already part of the finder's path."""


def follow(start: Start, implied: Iterable[str], finder: Finder, facts_of: Callable[[str], Facts]) -> Closure:
    """Return what `start` reaches; `implied` are first-party modules that Python imports by itself."""
    walk = _Walk(start, finder, facts_of)
    walk.take(start.name, start.found)
    parent = start.name.rpartition(".")[0]
    if parent:
        walk.reach(_Place(start.name, start.found.file, 1, "import"), parent)
    for name in implied:
        walk.reach(_Place(start.name, start.found.file, 1, "include"), name)
    walk.run()
    return Closure(
        start.name,
        walk.reached,
        walk.third_party,
        tuple(walk.sorted_edges()),
        _in_order(walk.missing),
        tuple(sorted(walk.warnings, key=lambda each: (str(each.file), each.line or 0, each.text))),
        _in_order(walk.not_found),
        tuple(sorted(walk.unknown, key=lambda each: (str(each.file), each.line, each.text))),
    )


def _in_order(missing: Iterable[Missing]) -> tuple[Missing, ...]:
    return tuple(sorted(missing, key=lambda each: (str(each.file), each.line, each.name, each.importer)))


def shadowed_in(closure: Closure) -> tuple[Shadowed, ...]:
    """Return the modules of which the path holds more than one, by name."""
    return tuple(
        Shadowed(ModuleName(name), Path(found.file), tuple(map(Path, found.shadowed)))
        for name, reached in sorted(closure.reached.items())
        if isinstance(found := reached.found, FirstParty) and found.shadowed
    )


@dataclass(frozen=True, slots=True)
class _Place:
    importer: str
    file: str
    line: int
    rule: Rule
    optional: bool = False


@dataclass(slots=True)
class _Walk:
    start: Start
    finder: Finder
    facts_of: Callable[[str], Facts]
    reached: dict[str, Reached] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    third_party: dict[str, str] = field(default_factory=dict)
    edges: dict[tuple[str, str, int, Rule, bool], str] = field(default_factory=dict)
    missing: set[Missing] = field(default_factory=set)
    not_found: set[Missing] = field(default_factory=set)
    unknown: set[Unknown] = field(default_factory=set)
    warnings: set[Warning] = field(default_factory=set)
    queue: list[str] = field(default_factory=list)

    def run(self) -> None:
        while self.queue:
            name = self.queue.pop()
            found = self.reached[name].found
            if isinstance(found, FirstParty):
                self._follow(name, found, self.facts[name])

    def take(self, name: str, found: FirstParty | Namespace) -> None:
        """Put a first-party module into the closure, once."""
        if name in self.reached:
            return
        facts = self.facts_of(found.file) if isinstance(found, FirstParty) and _is_source(found) else None
        self.reached[name] = Reached(name, found, facts.sha256 if facts else None)
        if facts is not None:
            self.facts[name] = facts
            self.queue.append(name)
        if isinstance(found, FirstParty):
            self._warn_of(name, found, facts)

    def reach(self, place: _Place, name: str) -> Found:
        """Import `name` and its ancestors as Python would; return where `name` was found."""
        found = self.finder.find(name)
        if isinstance(found, StandardLibrary):
            return found
        for ancestor in _with_ancestors(name):
            part = self.finder.find(ancestor)
            if not isinstance(part, NotFound) and ancestor != place.importer:
                self._record(place, ancestor, part)
        if isinstance(found, NotFound):
            self._miss(place, name)
        return found

    def _record(self, place: _Place, name: str, found: Found) -> None:
        match found:
            case FirstParty():
                self.take(name, found)
            case Namespace(first_party=first_party):
                if not first_party:
                    return
                self.take(name, found)
            case ThirdParty(file=file):
                self.third_party[name] = file
            case StandardLibrary() | NotFound():
                return
            case other:
                assert_never(other)
        self._edge(place, name)

    def _edge(self, place: _Place, name: str) -> None:
        self.edges.setdefault((place.importer, name, place.line, place.rule, place.optional), place.file)

    def sorted_edges(self) -> Iterator[Edge]:
        """Yield the edges by importer, imported and line."""
        files = {file: Path(file) for file in set(self.edges.values())}
        for key in sorted(self.edges):
            importer, imported, line, rule, optional = key
            file = files[self.edges[key]]
            yield Edge(ModuleName(importer), ModuleName(imported), file, line, rule, optional)

    def _miss(self, place: _Place, name: str) -> None:
        if name.partition(".")[0] in PROVIDED_BY_CLUSTER:
            return
        if place.optional:
            self._edge(place, name)
        among = self.not_found if place.optional else self.missing
        among.add(Missing(ModuleName(name), ModuleName(place.importer), Path(place.file), place.line))

    def _follow(self, name: str, found: FirstParty, facts: Facts) -> None:
        package = self._package_of(name, found)
        for each in facts.imports:
            place = _Place(name, found.file, each.line, each.rule, self._is_optional(each, package))
            if each.rule == "prefix":
                self._prefix(place, _absolute(each.name, package, prefix=True))
            elif each.rule == "attribute":
                self._attributes(place, _absolute(each.name, package), each.names)
            else:
                self._import(place, each, package)

    def _package_of(self, name: str, found: FirstParty) -> str | None:
        """The package that relative imports of a module start from; None for a script, which has none."""
        if name == "__main__":
            return None
        return name if found.is_package else name.rpartition(".")[0]

    def _is_optional(self, each: Import, package: str | None) -> bool:
        if each.optional or not each.instead_of:
            return each.optional
        names = (_absolute(name, package) for name in each.instead_of)
        return all(name and not isinstance(self.finder.find(name), NotFound) for name in names)

    def _import(self, place: _Place, each: Import, package: str | None) -> None:
        base = _absolute(each.name, package)
        if base is None:
            self._miss(place, each.name + (each.names[0] if each.name.endswith(".") else ""))
            return
        found = self.reach(place, base)
        if each.names and isinstance(found, (FirstParty, Namespace)):
            self._members(place, base, found, each.names)

    def _members(
        self, place: _Place, base: str, found: FirstParty | Namespace, names: tuple[str, ...]
    ) -> None:
        """`from base import names`: those that are submodules; a namespace package has nothing else."""
        if names == ("*",):
            names = self.facts[base].exports if base in self.facts else ()
        for name in names:
            member = self.finder.find(f"{base}.{name}")
            if not isinstance(member, (NotFound, StandardLibrary)):
                self._record(place, f"{base}.{name}", member)
            elif isinstance(found, Namespace):
                self._miss(place, f"{base}.{name}")

    def _attributes(self, place: _Place, base: str | None, names: tuple[str, ...]) -> None:
        found = self.finder.find(base) if base else NotFound()
        for name in names:
            if base is None or not isinstance(found, (FirstParty, Namespace)):
                return
            base = f"{base}.{name}"
            found = self.finder.find(base)
            if isinstance(found, FirstParty) or (isinstance(found, Namespace) and found.first_party):
                self.reach(place, base)

    def _prefix(self, place: _Place, prefix: str | None) -> None:
        parent, _, start = (prefix or "").rpartition(".")
        found = self.finder.find(parent) if parent else NotFound()
        if isinstance(found, NotFound):
            self._miss(place, parent or "?")
        elif isinstance(found, (FirstParty, Namespace)):
            self.reach(place, parent)
            for name in self.finder.submodules(parent):
                if name.startswith(f"{parent}.{start}"):
                    self.reach(place, name)

    def _warn_of(self, name: str, found: FirstParty, facts: Facts | None) -> None:
        file = Path(found.file)
        for other in found.shadowed:
            self.warnings.add(
                Warning(f"`{name}` is {file}, which hides {other}", file, None, "rename one of them")
            )
        if facts is None:
            if not found.is_extension:
                text = f"`{name}` is byte-code without source: its imports are not known"
                self.warnings.add(Warning(text, file, None, "bundle its source"))
            return
        self.warnings.update(self._unknowns(name, file, facts))

    def _unknowns(self, name: str, file: Path, facts: Facts) -> Iterator[Warning]:
        for each in facts.unknown:
            self.unknown.add(Unknown(ModuleName(name), file, each.line, each.text, each.pattern))
            yield Warning(
                f"cannot know what `{each.text}` imports",
                file,
                each.line,
                "if it names modules of this project, add their files to `include` in [tool.raybundle]",
            )
        understood = self.start.understood if str(file) == self.start.found.file else frozenset()
        for line in facts.path_edits:
            if line not in understood:
                yield Warning(
                    "cannot evaluate this change of `sys.path`",
                    file,
                    line,
                    "declare the directory in `roots` of [tool.raybundle]",
                )


def _is_source(found: FirstParty) -> bool:
    return not found.is_extension and not found.file.endswith(".pyc")


def _with_ancestors(name: str) -> Iterator[str]:
    position = name.find(".")
    while position != -1:
        yield name[:position]
        position = name.find(".", position + 1)
    yield name


def _absolute(name: str, package: str | None, *, prefix: bool = False) -> str | None:
    """Return `name` without leading dots, or None if it points above the top (`importlib._bootstrap`)."""
    if not name.startswith("."):
        return name
    rest = name.lstrip(".")
    parts = package.split(".") if package else []
    kept = len(parts) - (len(name) - len(rest)) + 1
    if kept < 1:
        return None
    return ".".join([*parts[:kept], rest] if rest or prefix else parts[:kept])
