"""Collects what modules do to the import system as they load, and warns if it cannot be evaluated."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH112

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import Warning
from raybundle.resolve.evaluate.loading import Loaded, loaded
from raybundle.resolve.evaluate.parsing import parse
from raybundle.resolve.evaluate.path_values import Scope
from raybundle.resolve.find.finder import Finder, FirstParty, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from raybundle.resolve.evaluate.edits import Edit
    from raybundle.resolve.facts import Facts
    from raybundle.resolve.start import Start
    from raybundle.resolve.walk.reached import Closure

    _Step = tuple[int, str, Edit | None]

_IGNORE = "`# raybundle: ignore` at this line"


@dataclass(frozen=True, slots=True)
class Rewired:
    """How the modules of one walk change the import system. The next walk takes it into account."""

    edits: tuple[Edit, ...] = ()
    """Edits of `sys.path` outside of the driver, in the order in which the modules load."""
    packages: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Packages that change their `__path__`, with the entry of `sys.path` and the directory of each place."""
    aliases: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    """Names in `sys.modules`: the module that each means, and whether it is that module or an object of
    it."""


@dataclass(slots=True)
class Rewiring:
    """Reads the modules of one walk after another."""

    start: Start
    """The driver. Its own edits of `sys.path` are already part of the path."""
    project: Path
    cwd: str
    """The directory in which the driver runs."""
    facts_of: Callable[[str], Facts]
    source_of: Callable[[str], bytes]
    version: tuple[int, ...]
    """Of the target's Python."""
    _known: dict[tuple[str, str, frozenset[str]], Loaded] = field(default_factory=dict)
    _adders: dict[str, frozenset[str]] = field(default_factory=dict)
    """By module, what it imports that puts on `sys.path` what it is given."""

    def of(self, closure: Closure, finder: Finder) -> Rewired:
        """Returns what the modules of `closure` do. `finder` knows their names."""
        self._adders = self._imported_adders(closure)
        found = {name: self._loaded(name, each) for name, each in _sources(closure)}
        packages = {
            name: inside for name, each in found.items() if (inside := self._places(name, each, finder)[0])
        }
        for name, directory in (other for each in found.values() for other in each.others):
            package = finder.find(name)
            if isinstance(package, FirstParty) and package.is_package:
                own = (package.entry, os.path.dirname(package.file))  # noqa: PTH120 - as above
                places = (*packages.get(name, (own,)), (package.entry, os.path.realpath(directory)))
                packages[name] = tuple(dict.fromkeys(places))
        return Rewired(
            (*self._edits(closure, found), *self._of_children(closure, found)),
            packages,
            {
                alias: _meant(name, target, finder)
                for name, each in found.items()
                for alias, target in each.aliases
            },
        )

    def followed(self, closure: Closure) -> list[str]:
        """Returns the paths whose links were resolved, and the directories that were added."""
        edits = [self._loaded(name, each).edits for name, each in _sources(closure)]
        given = [edit for name, each in _sources(closure) for edit in self._loaded(name, each).of_children]
        given += [edit for each in edits for edit in each.edits]
        return [*(path for each in edits for path in each.followed), *(edit.directory for edit in given)]

    def warnings(self, closure: Closure, finder: Finder) -> Iterator[Warning]:
        """Yields a warning for each change that only the running program knows."""
        followed = {name for each in _sources(closure) for name in self._loaded(*each).followed}
        for name, each in _sources(closure):
            facts, found = self.facts_of(each.file), self._loaded(name, each)
            understood = self.start.understood if name == self.start.name else found.edits.lines
            understood = understood.union(*(lines for adder, lines in found.adders if adder in followed))
            for line in (line for line in facts.path_edits if line not in understood):
                yield from self._of_path_edit(each.file, line, found, finder)
            for line in sorted(set(found.doubtful) & set(facts.rewires)):
                hint = (
                    f"name the files of the modules that it adds in `include`; then end this with {_IGNORE}"
                )
                yield Warning("cannot evaluate this change of `__path__`", Path(each.file), line, hint)
            for place in self._places(name, found, finder)[1]:
                text = f"`__path__` of `{name}` has {place}, which is outside of its root"
                hint = "move the directory into the root of the package, or end this with "
                line = min(facts.rewires)
                yield Warning(text, Path(each.file), line, hint + _IGNORE)

    def _of_path_edit(self, file: str, line: int, found: Loaded, finder: Finder) -> Iterator[Warning]:
        """Yields a warning unless everything that the line may add is on the path or does not exist."""
        possible = {os.path.realpath(each) for number, each in found.edits.possible if number == line}
        new = sorted(each for each in possible if each not in finder.path and os.path.isdir(each))
        if new:
            roots = " and ".join(f"`{os.path.relpath(each, self.project)}`" for each in new)
            text = f"only the run knows whether `sys.path` gets {' and '.join(new)}"
            hint = f"add {roots} to `roots` in [tool.raybundle], or end this with {_IGNORE}"
            yield Warning(text, Path(file), line, hint)
        elif not possible:
            hint = (
                "if it adds a directory of this project, add that to `roots` in [tool.raybundle]; then, or "
                f"if it adds none, end this with {_IGNORE}"
            )
            yield Warning("cannot evaluate this change of `sys.path`", Path(file), line, hint)

    def _loaded(self, name: str, found: FirstParty) -> Loaded:
        adders = self._adders.get(name, frozenset())
        key = (name, found.file, adders)
        if key not in self._known:
            facts = self.facts_of(found.file)
            changes = facts.path_edits or facts.rewires or adders
            self._known[key] = self._read(name, found, adders) if changes else Loaded()
        return self._known[key]

    def _imported_adders(self, closure: Closure) -> dict[str, frozenset[str]]:
        """Returns the names in each module of functions that put on `sys.path` what they are given."""
        sources = dict(_sources(closure))
        given = {
            name: frozenset(adder for adder, _ in self._loaded(name, each).adders)
            for name, each in sources.items()
            if self.facts_of(each.file).path_edits
        }
        found: dict[str, frozenset[str]] = {}
        queue = [name for name, adders in given.items() if adders]
        while queue:
            module = queue.pop()
            names = given.get(module, frozenset()) | found.get(module, frozenset())
            for importer in {each.importer for each in closure.edges if each.imported == module}:
                new = names - found.get(importer, frozenset())
                if importer in sources and new and self._mentions(sources[importer], new):
                    found[importer] = found.get(importer, frozenset()) | new
                    queue.append(importer)
        return found

    def _mentions(self, found: FirstParty, names: Iterable[str]) -> bool:
        source = self.source_of(found.file)
        return any(each.encode() in source for each in names)

    def _read(self, name: str, found: FirstParty, adders: frozenset[str]) -> Loaded:
        tree = parse(self.source_of(found.file), found.file)
        own_name = "__main__" if name == self.start.name else name
        scope = Scope(self.cwd, {"__file__": found.file, "__name__": own_name}, version=self.version)
        return loaded(tree, scope, is_package=found.is_package, adders=adders)

    def _edits(self, closure: Closure, found: Mapping[str, Loaded]) -> Iterator[Edit]:
        """Yields the edits in the order in which modules load: an import comes before the lines below it."""
        steps: dict[str, list[_Step]] = defaultdict(list)
        for edge in closure.edges:
            steps[edge.importer].append((edge.line, edge.imported, None))
        for name, each in found.items():
            own = self.facts_of(_file(closure, name)).path_edits  # others have an `ignore` comment
            counted = own if name != self.start.name else ()
            edits = (edit for edit in each.edits.edits if edit.given or edit.line in counted)
            steps[name] += [(edit.line, "", edit) for edit in edits]
        seen: set[str] = set()
        for first in (self.start.name, *sorted(found)):
            stack: list[Iterator[_Step]] = [iter([(0, first, None)])]
            while stack:
                step = next(stack[-1], None)
                if step is None:
                    stack.pop()
                elif step[2] is not None:
                    yield step[2]
                elif step[1] not in seen:
                    seen.add(step[1])
                    stack.append(iter(sorted(steps[step[1]], key=lambda each: each[:2])))

    def _of_children(self, closure: Closure, found: Mapping[str, Loaded]) -> Iterator[Edit]:
        """Yields the directories of the project in which child processes look for modules."""
        for name, each in sorted(found.items()):
            counted = self.facts_of(_file(closure, name)).rewires if each.of_children else ()
            for edit in each.of_children:
                is_own = _is_below(os.path.realpath(edit.directory), str(self.project))
                if is_own and edit.line in counted and os.path.isdir(edit.directory):
                    yield edit

    def _places(
        self, name: str, found: Loaded, finder: Finder
    ) -> tuple[tuple[tuple[str, str], ...], list[str]]:
        """Returns entry and directory of each place of a package, and the places outside of its root."""
        package = finder.find(name)
        if not isinstance(package, FirstParty) or (found.own_path is None and not found.doubtful):
            return (), []
        project, own = str(self.project), os.path.dirname(package.file)  # noqa: PTH120 - as above
        root = project if _is_below(package.entry, project) else package.entry
        named = found.own_path or (own,)
        inside = finder.directories.list(own).directories if found.doubtful else ()  # perhaps one of these
        named = (*named, *(f"{own}/{each}" for each in sorted(inside)))
        places = [each if each == own else os.path.realpath(each) for each in named]
        outside = [each for each in places if not _is_below(each, root) and os.path.isdir(each)]
        return tuple((package.entry, each) for each in places if each not in outside), outside


def _sources(closure: Closure) -> Iterator[tuple[str, FirstParty]]:
    for name, each in sorted(closure.reached.items()):
        if isinstance(each.found, FirstParty) and each.sha256 is not None:
            yield name, each.found


def _file(closure: Closure, name: str) -> str:
    found = closure.reached[name].found
    return found.file if isinstance(found, FirstParty) else ""


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(f"{directory.rstrip('/')}/")


def _meant(module: str, target: str, finder: Finder) -> tuple[str, bool]:
    """Returns what an entry of `sys.modules` means: `module` if its value is not a module."""
    is_module = bool(target) and not (
        isinstance(finder.find(target), NotFound) and finder.stands_for(target) is None
    )
    return (target, True) if is_module else (module, False)
