"""Follows imports from the driver until nothing new is reached; cost follows what is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from os import sep
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.dotted import absolute, with_ancestors
from raybundle.errors import BundleError, RefusedFileError
from raybundle.exhaustive import assert_never
from raybundle.model import ModuleName, Unknown
from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.find.finder import FirstParty, Namespace, StandardLibrary, ThirdParty
from raybundle.resolve.find.finder import Missing as NotFound
from raybundle.resolve.scan.exports import COMPUTED, ELSEWHERE
from raybundle.resolve.scan.tables import STUB
from raybundle.resolve.walk.config_files import ConfigFiles
from raybundle.resolve.walk.edges import Place, directory_of, ordered
from raybundle.resolve.walk.reached import PROVIDED_BY_CLUSTER, Closure, Reached
from raybundle.resolve.walk.warnings import of_module, of_unparsed, unknown_import

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from raybundle.model import Warning
    from raybundle.resolve.facts import Facts, Import
    from raybundle.resolve.find.finder import Finder, Found
    from raybundle.resolve.seen import TracedModule
    from raybundle.resolve.start import Start
    from raybundle.resolve.walk.edges import Row
    from raybundle.resolve.walk.widen import Widening


_METADATA = ("importlib.metadata", "importlib_metadata", "pkg_resources", "stevedore", "pluggy")
"""Modules that read what distributions say of themselves, and find entry points by it."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the walk reads: files by their path, once asked for."""

    facts_of: Callable[[str], Facts]
    config_of: Callable[[str], Facts]
    configs_beside: Callable[[FirstParty], Iterable[str]]
    """The configuration files in the directory of a module, and in those below its package that hold data."""
    widening: Widening
    quotes: Callable[[str, str], bool]
    """Whether the source of a file has a word in quotes."""


def follow(start: Start, finder: Finder, sources: Sources, rules_off: Collection[str] = ()) -> Closure:
    """Return what `start` reaches; `rules_off` are rules that count for nothing."""
    walk = _Walk(start, finder, sources, frozenset(rules_off), ConfigFiles(sources.quotes))
    walk.take(start.name, start.found)
    if start.name in walk.unparsed:
        raise walk.unparsed[start.name]
    parent = start.name.rpartition(".")[0]
    if parent:
        walk.reach(Place(start.name, start.found.file, 1, "import"), parent)
    for name, rule in start.implied:
        if rule not in rules_off:
            walk.reach(Place(start.name, start.found.file, 1, rule, name in start.unsure), name)
    walk.run()
    walk.add(start.traced)
    found = {name: each.found for name, each in walk.reached.items()}
    return Closure(
        start.name,
        walk.reached,
        walk.third_party,
        tuple(ordered(walk.edges, found)),
        tuple(ordered(walk.misses, found)),
        tuple(sorted(walk.warnings, key=lambda each: (str(each.file), each.line or 0, each.text))),
        tuple(sorted(walk.unknown, key=lambda each: (str(each.file), each.line, each.text))),
        walk.consults_metadata,
        walk.unparsed,
        frozenset(name for facts in walk.facts.values() for name in facts.installs),
    )


@dataclass(slots=True)
class _Walk:
    start: Start
    finder: Finder
    sources: Sources
    rules_off: frozenset[str]
    config_files: ConfigFiles
    reached: dict[str, Reached] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    third_party: dict[str, str] = field(default_factory=dict)
    edges: set[Row] = field(default_factory=set)
    misses: set[Row] = field(default_factory=set)
    unknown: set[Unknown] = field(default_factory=set)
    warnings: set[Warning] = field(default_factory=set)
    queue: list[str] = field(default_factory=list)
    configs: dict[str, str] = field(default_factory=dict)
    """Directory by configuration file that was looked into."""
    consults_metadata: bool = False
    unparsed: dict[str, BundleError] = field(default_factory=dict)

    def run(self) -> None:
        for config in self.start.configs:
            self._config(config, self.start.found.file)
        while self.queue:
            name = self.queue.pop()
            found = self.reached[name].found
            if isinstance(found, FirstParty):
                self._follow(name, found, self.facts[name])
                self._configs_beside(name, found)
            if not self.queue:
                for config, beside in self.config_files.read():
                    self._config(config, beside)

    def add(self, traced: Iterable[TracedModule]) -> None:
        """Reach what runs have shown and statements do not; what each leads to before the next."""
        left = list(traced)
        while left := [each for each in left if each.name not in {**self.reached, **self.third_party}]:
            each = next((each for each in left if each.importer in self.reached), left[0])
            importer = self.reached.get(each.importer, self.reached[self.start.name])
            line = each.line if importer.name == each.importer else 1
            if isinstance(importer.found, FirstParty):
                self.reach(Place(importer.name, importer.found.file, line, "trace"), each.name)
            self.run()
            left.remove(each)

    def take(self, name: str, found: FirstParty | Namespace) -> None:
        """Put a first-party module into the closure, once."""
        if name in self.reached:
            return
        facts = self._facts_of(name, found)
        travels = isinstance(found, FirstParty) and _is_source(found)
        self.reached[name] = Reached(name, found, facts.sha256 if facts and travels else None)
        if facts is not None:
            self.facts[name] = facts
            self.queue.append(name)
        if facts is not None and isinstance(found, FirstParty):
            self.config_files.meet(found, facts)
        if isinstance(found, FirstParty):
            self.warnings.update(of_module(name, found, facts))
            if name in self.unparsed and name not in self.start.unsure:
                self.warnings.add(of_unparsed(self.unparsed[name], found.file))
            for each in facts.unknown if facts else ():
                self.unknown.add(
                    Unknown(ModuleName(name), Path(found.file), each.line, each.text, each.pattern)
                )

    def _facts_of(self, name: str, found: FirstParty | Namespace) -> Facts | None:
        """Facts, if there are any; whether a source that cannot be parsed must load is known at the end."""
        source = self._source_of(found) if isinstance(found, FirstParty) else None
        if source is None:
            return None
        try:
            return self.sources.facts_of(source)
        except RefusedFileError:
            raise
        except BundleError as error:
            self.unparsed[name] = error
            return None

    def _source_of(self, found: FirstParty) -> str | None:
        """The file that tells the imports: of an extension the `.py` beside it that it was compiled from."""
        if _is_source(found):
            return found.file
        directory, _, name = found.file.rpartition("/")
        beside = f"{name.partition('.')[0]}.py"
        there = found.is_extension and beside in self.finder.directories.list(directory).files
        return f"{directory}/{beside}" if there else None

    def reach(self, place: Place, name: str) -> Found:
        """Import `name`, and what it stands for in `sys.modules`; return where it was found."""
        other = self.finder.stands_for(name)
        found = self._reach(place, name, may_be_missing=other is not None)
        if other is None:
            return found
        there = self._reach(place, other)
        return there if isinstance(found, NotFound) else found

    def _reach(self, place: Place, name: str, *, may_be_missing: bool = False) -> Found:
        """Import `name` and its ancestors as Python would."""
        found = self.finder.find(name)
        if isinstance(found, StandardLibrary):
            return found
        for ancestor in with_ancestors(name):
            part = self.finder.find(ancestor)
            if not isinstance(part, NotFound) and ancestor != place.importer:
                self._record(place, ancestor, part)
        if isinstance(found, NotFound) and not may_be_missing:
            self._miss(place, name)
        return found

    def _record(self, place: Place, name: str, found: Found) -> None:
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

    def _edge(self, place: Place, name: str) -> None:
        self.edges.add(place.row(name))

    def _miss(self, place: Place, name: str) -> None:
        if name.partition(".")[0] in PROVIDED_BY_CLUSTER:
            return
        if place.optional:
            self._edge(place, name)
        self.misses.add(place.row(name))

    def _configs_beside(self, name: str, found: FirstParty) -> None:
        of_package = found.is_package or "." in name
        for config in self.sources.configs_beside(found):
            if of_package:
                self._config(config, found.file)
            else:
                self.config_files.waiting.setdefault(config, found.file)

    def _config(self, file: str, beside: str) -> None:
        """Follow the names in a configuration file; whoever reads it is known at the end."""
        if file in self.configs or "config-file" in self.rules_off:
            return
        self.configs[file] = beside
        for each in self.sources.config_of(file).imports:
            for name in self.sources.widening.names(each, each.name):
                self.reach(Place(directory_of(beside), file, each.line, "config-file"), name)

    def _follow(self, name: str, found: FirstParty, facts: Facts) -> None:
        package = self._package_of(name, found)
        for each in facts.imports:
            if each.rule in self.rules_off:
                continue
            optional = self._is_optional(name, each, package)
            place = Place(name, found.file, each.line, each.rule, optional, each.deferred)
            match each.rule:
                case "attribute":
                    self._attributes(place, absolute(each.name, package), each.names)
                case "import" | "import-module":
                    self._import(place, each, package)
                case "resource" if package is None and each.name == ".":
                    continue
                case "resource":
                    self._import(place, each, package)
                case _:
                    self._widen(place, each, package)

    def _widen(self, place: Place, each: Import, package: str | None) -> None:
        base = absolute(each.name, package)
        if base is None:
            self._note_unknown(place, f"{each.rule} {each.name}", ANY)
        elif each.names == (STUB,):
            self._stub(place, package)
        else:
            if each.rule == "entry-point":
                self.consults_metadata = True
            for name in self.sources.widening.names(each, base):
                self.reach(place, name)

    def _stub(self, place: Place, package: str | None) -> None:
        """Follow the imports of the type stub beside a file (`lazy_loader.attach_stub`)."""
        directory, _, name = f"{place.file}i".rpartition(sep)
        if name in self.finder.directories.list(directory).files:
            for each in self.sources.facts_of(f"{place.file}i").imports:
                if each.rule == "import":
                    self._import(place, each, package)

    def _note_unknown(self, place: Place, text: str, pattern: str) -> None:
        self.unknown.add(Unknown(ModuleName(place.importer), Path(place.file), place.line, text, pattern))
        self.warnings.add(unknown_import(Path(place.file), place.line, text))

    def _package_of(self, name: str, found: FirstParty) -> str | None:
        """The package that relative imports of a module start from; None for a script, which has none."""
        if name == "__main__":
            return None
        return name if found.is_package else name.rpartition(".")[0]

    def _is_optional(self, importer: str, each: Import, package: str | None) -> bool:
        ways = {"main" if importer == self.start.name else "imported", "packaged" if package else "bare"}
        if importer in self.start.unsure or (each.only and each.only not in ways):
            return True
        if each.optional or not each.instead_of:
            return each.optional
        names = (absolute(name, package) for name in each.instead_of)
        return all(name and not isinstance(self.finder.find(name), NotFound) for name in names)

    def _import(self, place: Place, each: Import, package: str | None) -> None:
        base = absolute(each.name, package)
        if base is None:
            self._miss(place, each.name + (each.names[0] if each.name.endswith(".") else ""))
            return
        if base.startswith(_METADATA) or (base == "importlib" and "metadata" in each.names):
            self.consults_metadata = True
        self.reach(place, base)
        for name in filter(None, (base, self.finder.stands_for(base))):
            found = self.finder.find(name)
            if isinstance(found, ThirdParty):
                self._third_party_members(place, name, found, each.names)
            elif each.names and isinstance(found, (FirstParty, Namespace)):
                self._members(place, name, found, each.names)

    def _third_party_members(
        self, place: Place, base: str, found: ThirdParty, names: tuple[str, ...]
    ) -> None:
        """`from base import names`: what submodules of a distribution need is needed too."""
        for name in names:
            member = self.finder.find(f"{base}.{name}")
            if isinstance(member, ThirdParty) and member.file != found.file:
                self._record(place, f"{base}.{name}", member)

    def _members(
        self, place: Place, base: str, found: FirstParty | Namespace, names: tuple[str, ...]
    ) -> None:
        """`from base import names`: those that are submodules; a namespace package has nothing else."""
        if names == ("*",):
            names = tuple(sorted(self._exports(base, set())))
        for name in names:
            member = self.finder.find(f"{base}.{name}")
            if not isinstance(member, (NotFound, StandardLibrary)):
                self._record(place, f"{base}.{name}", member)
            elif isinstance(found, Namespace):
                self._miss(place, f"{base}.{name}")

    def _exports(self, module: str, seen: set[str]) -> set[str]:
        """Return the names in `__all__` and in those that are part of it; a computed one may name any."""
        found = self.finder.find(module)
        if module in seen or not isinstance(found, FirstParty) or not _is_source(found):
            return set()
        seen.add(module)
        package = self._package_of(module, found)
        names: set[str] = set()
        for each in (self.facts.get(module) or self.sources.facts_of(found.file)).exports:
            if each.startswith(ELSEWHERE):
                names |= self._exports(absolute(each[1:], package) or "", seen)
            elif each == COMPUTED:
                below = (name.rpartition(".")[2] for name in self.finder.submodules(module))
                names |= {name for name in below if self.sources.widening.mentions(found.file, name)}
            else:
                names.add(each)
        return names

    def _attributes(self, place: Place, base: str | None, names: tuple[str, ...]) -> None:
        base = (self.finder.stands_for(base) or base) if base else None
        found = self.finder.find(base) if base else NotFound()
        for name in names:
            if base is None or not isinstance(found, (FirstParty, Namespace)):
                return
            base = f"{base}.{name}"
            found = self.finder.find(base)
            if isinstance(found, FirstParty) or (isinstance(found, Namespace) and found.first_party):
                self.reach(place, base)


def _is_source(found: FirstParty) -> bool:
    return not found.is_extension and not found.file.endswith(".pyc")
