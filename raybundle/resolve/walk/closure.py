"""Follows imports from the driver until nothing new is reached. The cost depends on what is reached."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.dotted import absolute, with_ancestors
from raybundle.errors import BundleError, RefusedFileError
from raybundle.exhaustive import assert_never
from raybundle.formats.pickles import is_pickle, is_text
from raybundle.model import ModuleName, Opened, Unknown
from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.facts import ModuleText, PackageWalk
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty
from raybundle.resolve.scan.strings import is_program
from raybundle.resolve.walk.config_files import ConfigFiles, may_load_pickles
from raybundle.resolve.walk.edges import Place, directory_of, sort_edges
from raybundle.resolve.walk.loaders import Loaders
from raybundle.resolve.walk.meaning import (
    App,
    DistributionUse,
    Imported,
    InApps,
    Meanings,
    Member,
    Nowhere,
    ProgramRun,
    Undecided,
    package_of,
)
from raybundle.resolve.walk.reached import PROVIDED_BY_CLUSTER, Closure, Program, Reached
from raybundle.resolve.walk.warnings import (
    warn_about_module,
    warn_about_pickle,
    warn_about_unknown,
    warn_about_unparsed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from raybundle.model import Rule, Warning
    from raybundle.resolve.facts import Facts, Guard
    from raybundle.resolve.find.finder import Finder, Found
    from raybundle.resolve.start import Start
    from raybundle.resolve.traced import TracedModule
    from raybundle.resolve.walk.edges import Row
    from raybundle.resolve.walk.loaders import Word
    from raybundle.resolve.walk.meaning import Meaning
    from raybundle.resolve.walk.widen import Guesser


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the walk reads. Files are named by their paths, and read when needed."""

    facts_of: Callable[[str], Facts]
    config_of: Callable[[str], Facts]
    configs_beside: Callable[[FirstParty], Iterable[str]]
    """The configuration files in the directory of a module, and in the data directories of its package."""
    guesser: Guesser
    source_of: Callable[[str], bytes]


def follow(start: Start, finder: Finder, sources: Sources, rules_off: Collection[str] = ()) -> Closure:
    """Returns what `start` reaches without the rules in `rules_off`."""
    meanings = Meanings(finder, sources.guesser, sources.facts_of, rules_off)
    walk = _Walk(start, finder, sources, meanings, ConfigFiles(sources.source_of), Loaders(sources.source_of))
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
        tuple(sort_edges(walk.edges, found)),
        tuple(sort_edges(walk.misses, found)),
        tuple(sorted(walk.warnings, key=lambda each: (str(each.file), each.line or 0, each.text))),
        tuple(sorted(walk.unknown, key=lambda each: (str(each.file), each.line, each.text))),
        tuple(sorted(walk.opened, key=lambda each: (str(each.file), each.line, each.text))),
        walk.unparsed,
        frozenset(name for facts in walk.facts.values() for name in facts.installs),
        frozenset(walk.distributions),
        tuple(sorted(walk.programs)),
        frozenset(walk.loaders.settled()),
    )


@dataclass(slots=True)
class _Walk:
    start: Start
    finder: Finder
    sources: Sources
    meanings: Meanings
    config_files: ConfigFiles
    loaders: Loaders
    reached: dict[str, Reached] = field(default_factory=dict)
    facts: dict[str, Facts] = field(default_factory=dict)
    third_party: dict[str, str] = field(default_factory=dict)
    edges: set[Row] = field(default_factory=set)
    misses: set[Row] = field(default_factory=set)
    unknown: set[Unknown] = field(default_factory=set)
    opened: list[Opened] = field(default_factory=list)
    warnings: set[Warning] = field(default_factory=set)
    queue: list[str] = field(default_factory=list)
    configs: dict[str, str] = field(default_factory=dict)
    """The directory of each configuration file that was read."""
    pickles: dict[str, str] = field(default_factory=dict)
    """A module beside each pickle that nothing names, until a source is reached that may load it."""
    distributions: set[str] = field(default_factory=set)
    programs: set[Program] = field(default_factory=set)
    unparsed: dict[str, BundleError] = field(default_factory=dict)
    apps: set[str] = field(default_factory=set)
    """The packages of Django's apps."""
    in_apps: dict[str, Place] = field(default_factory=dict)
    """Modules that each app is searched for, and by what."""

    def run(self) -> None:
        for config in self.start.configs:
            self._config(config, self.start.found.file)
        self.pickles.update(dict.fromkeys(self.start.pickles, self.start.found.file))
        while self.queue:
            name = self.queue.pop()
            found = self.reached[name].found
            if isinstance(found, FirstParty):
                self._follow(name, found, self.facts[name])
                if self.facts[name].loaders:
                    self._words(self.loaders.own_words(name, found.file, self.facts[name].loaders))
                self._configs_beside(name, found)
            if not self.queue:
                for config, beside in (*self.config_files.read(), *self._loaded_pickles()):
                    self._config(config, beside)
                self._modules_of_apps()
                self._words(self.loaders.words(self.edges))

    def _modules_of_apps(self) -> None:
        for package in sorted(self.apps):
            for name, place in self.in_apps.items():
                if isinstance(self.finder.find(f"{package}.{name}"), FirstParty):
                    self.reach(place, f"{package}.{name}")

    def _words(self, words: Iterable[Word]) -> None:
        """Reaches the modules that calls give to functions which import them, or walk over them."""
        for word in list(words):
            rule: Rule = "walk" if word.walks else "string"
            found = self._given(word) if rule not in self.meanings.rules_off else ()
            for name in found:
                self.reach(Place(word.importer, word.file, word.line, rule), name)
            self.loaders.note(word, is_known=bool(found))

    def _given(self, word: Word) -> list[str]:
        """Returns the first-party modules that a word means: the end of `pkg.mod.Class` names none."""
        if not word.walks:
            guess = self.sources.guesser.guess(ModuleText(word.name, is_listed=True), word.name)
            return [each for each in guess if isinstance(self.finder.find(each), (FirstParty, Namespace))]
        if not isinstance(self.finder.find(word.name), (FirstParty, Namespace)):
            return []
        walk = PackageWalk(word.name, deep=word.walks == "deep")
        return [word.name, *self.sources.guesser.guess(walk, word.name)]

    def add(self, traced: Iterable[TracedModule]) -> None:
        """Reaches the modules that only runs have shown, and all that each imports before the next."""
        left = list(traced)
        while left := [each for each in left if not self._knows(each.name)]:
            each = next((each for each in left if each.importer in self.reached), left[0])
            importer = self.reached.get(each.importer, self.reached[self.start.name])
            line = each.line if importer.name == each.importer else 1
            if isinstance(importer.found, FirstParty):
                self.reach(Place(importer.name, importer.found.file, line, "trace"), each.name)
            self.run()
            left.remove(each)

    def _knows(self, name: str) -> bool:
        return name in self.reached or name in self.third_party

    def take(self, name: str, found: FirstParty | Namespace) -> None:
        """Adds a first-party module, once."""
        if name in self.reached:
            return
        facts = self._facts_of(name, found)
        travels = isinstance(found, FirstParty) and found.is_source
        self.reached[name] = Reached(name, found, facts.sha256 if facts and travels else None)
        if facts is not None:
            self.facts[name] = facts
            self.queue.append(name)
        if facts is not None and isinstance(found, FirstParty):
            self.config_files.meet(found, facts)
        if isinstance(found, FirstParty):
            self.warnings.update(warn_about_module(name, found, facts))
            if name in self.unparsed and name not in self.start.unsure:
                self.warnings.add(warn_about_unparsed(self.unparsed[name], found.file))
            for read in facts.opened if facts else ():
                self.opened.append(Opened(Path(found.file), *read))
            for each in facts.unknown if facts else ():
                self.unknown.add(
                    Unknown(ModuleName(name), Path(found.file), each.line, each.text, each.pattern)
                )

    def _facts_of(self, name: str, found: FirstParty | Namespace) -> Facts | None:
        """Returns facts, if there are any. Whether an unparsed source must load is known at the end."""
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
        """Returns the source: for an extension, the `.py` beside it that it was compiled from."""
        if found.is_source:
            return found.file
        directory, _, name = found.file.rpartition("/")
        beside = f"{name.partition('.')[0]}.py"
        there = found.is_extension and beside in self.finder.directories.list(directory).files
        return f"{directory}/{beside}" if there else None

    def reach(self, place: Place, name: str) -> Found:
        """Imports `name`, and what it means in `sys.modules`. Returns where it was found."""
        other = self.finder.stands_for(name)
        found = self._reach(place, name, may_be_missing=other is not None)
        if other is None:
            return found
        there = self._reach(place, other)
        return there if isinstance(found, NotFound) else found

    def _reach(self, place: Place, name: str, *, may_be_missing: bool = False) -> Found:
        """Imports `name` and its ancestors as Python would."""
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
            if is_pickle(config):
                self.pickles.setdefault(config, found.file)
            elif of_package:
                self._config(config, found.file)
            else:
                self.config_files.waiting.setdefault(config, found.file)

    def _config(self, file: str, beside: str) -> None:
        """Follows the names in a configuration file or a pickle. Its reader is known at the end."""
        rule: Rule = "pickle" if is_pickle(file) or is_text(file) else "config-file"
        if file in self.configs or rule in self.meanings.rules_off:
            return
        self.configs[file] = beside
        facts = self.sources.config_of(file)
        for each in facts.imports:
            place = Place(directory_of(beside), file, each.line, each.form.rule if is_program(file) else rule)
            self._take_all(place, self.meanings.of(each, None, file))
        self.warnings.update(warn_about_pickle(file, each.text) for each in facts.unknown)

    def _loaded_pickles(self) -> Iterator[tuple[str, str]]:
        """Yields the pickles that nothing names if a reached source may load one."""
        if self.pickles and any(map(may_load_pickles, self.facts.values())):
            yield from sorted(self.pickles.items())
            self.pickles.clear()

    def _follow(self, name: str, found: FirstParty, facts: Facts) -> None:
        package = package_of(name, found)
        for each in facts.imports:
            optional = self._is_optional(name, each.guard, package)
            place = Place(name, found.file, each.line, each.form.rule, optional, each.guard.deferred)
            self._take_all(place, self.meanings.of(each, package, found.file))

    def _take_all(self, place: Place, meanings: Iterable[Meaning]) -> None:
        for meaning in meanings:
            match meaning:
                case Imported(name):
                    self.reach(place, name)
                case Member(name):
                    self._record(place, name, self.finder.find(name))
                case Nowhere(name):
                    self._miss(place, name)
                case Undecided(text):
                    self._note_unknown(place, text)
                case DistributionUse(name):
                    self.distributions.add(name)
                case ProgramRun(name, may_be_absent):
                    self.programs.add(Program(name, may_be_absent, place.file, place.line))
                case App(package):
                    self.apps.add(package)
                case InApps(name):
                    self.in_apps.setdefault(name, place)
                case other:
                    assert_never(other)

    def _note_unknown(self, place: Place, text: str) -> None:
        self.unknown.add(Unknown(ModuleName(place.importer), Path(place.file), place.line, text, ANY))
        self.warnings.add(warn_about_unknown(Path(place.file), place.line, text))

    def _is_optional(self, importer: str, guard: Guard, package: str | None) -> bool:
        ways = {
            "main" if importer == self.start.name and not self.start.imported else "imported",
            "packaged" if package else "bare",
        }
        if importer in self.start.unsure or (guard.only and guard.only not in ways):
            return True
        if guard.optional or not guard.instead_of:
            return guard.optional
        names = (absolute(name, package) for name in guard.instead_of)
        return all(name and not isinstance(self.finder.find(name), NotFound) for name in names)
