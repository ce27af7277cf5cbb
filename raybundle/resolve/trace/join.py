"""Joins what runs of a target have shown with what its statements show."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH113, PTH117, PTH118, PTH119, PTH122

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.exhaustive import assert_never
from raybundle.model import ModuleName, Warning
from raybundle.resolve.files.data_files import Candidate
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty
from raybundle.resolve.traced import DRIVER, LOCK, Traced, TracedFile, TracedModule
from raybundle.resolve.walk.reached import PROVIDED_BY_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.reached import Closure

_RUNS_FILE = re.compile(r"\b(spec_from_file_location|run_path|SourceFileLoader|load_source|exec)\(")
_AGAIN = f"`raybundle trace` writes {LOCK} anew"


@dataclass(frozen=True, slots=True)
class Usable:
    """What was traced and the path of the driver still has. The driver has its own name here."""

    names: frozenset[str] = frozenset()
    """The names of all traced modules."""
    modules: tuple[TracedModule, ...] = ()
    files: tuple[Candidate, ...] = ()
    warnings: tuple[Warning, ...] = ()
    project: str = ""
    runners: frozenset[str] = frozenset()
    """Modules that ran a file as code without a name."""
    succeeded: bool = False
    without: frozenset[tuple[str, str]] = frozenset()
    """As in `Traced`, with the driver's own name."""

    def did_without(self, importer: str, name: str) -> bool:
        """Returns whether a run succeeded without an import that resolves nowhere."""
        return (importer, name) in self.without or (self.succeeded and name not in self.names)


def find_usable(traced: Traced | None, finder: Finder, driver: str, project: Path) -> Usable:
    """Returns what of `traced` can be found, and a warning for each difference."""
    if traced is None:
        return Usable()
    sorting = _Sorting(finder, str(project))
    for module in sorted(traced.modules, key=lambda each: each.name):
        named = replace(module, importer=driver) if module.importer == DRIVER else module
        sorting.add_module(named)
    for file in sorted(traced.files, key=lambda each: each.file):
        sorting.add_file(file)
    return Usable(
        frozenset(each.name for each in traced.modules),
        tuple(sorting.modules),
        tuple(sorting.files),
        (*traced.warnings, *sorting.warnings),
        str(project),
        frozenset(
            driver if each.importer == DRIVER else each.importer
            for each in traced.files
            if each.file.endswith(".py")
        ),
        traced.succeeded,
        frozenset((driver if importer == DRIVER else importer, name) for importer, name in traced.without),
    )


class _Sorting:
    def __init__(self, finder: Finder, project: str) -> None:
        self.finder = finder
        self.project = project
        self.entries = [entry for entry in finder.path if finder.is_first_party(entry)]
        self.modules: list[TracedModule] = []
        self.files: list[Candidate] = []
        self.warnings: list[Warning] = []

    def add_module(self, module: TracedModule) -> None:
        if module.name == DRIVER:
            return
        match self.finder.find(module.name):
            case FirstParty(file=file):
                self.modules.append(module)
                self._compare(module, file)
            case ThirdParty():
                # The first module of a distribution is enough; a namespace package has no owner.
                if not isinstance(self.finder.find(module.name.rpartition(".")[0] or "-"), ThirdParty):
                    self.modules.append(module)
            case NotFound():
                if module.name.partition(".")[0] not in PROVIDED_BY_CLUSTER:
                    self._without_root(module)
            case Namespace() | StandardLibrary():
                return
            case other:
                assert_never(other)

    def add_file(self, traced: TracedFile) -> None:
        file = self.locate(traced.file)
        if file is None:
            text = f"{traced.file} was opened while traced, and is gone"
            self.warnings.append(Warning(text, None, None, _AGAIN))
        else:
            self._take(file, f"opened by {traced.importer}:{traced.line} while traced")

    def _compare(self, module: TracedModule, chosen: str) -> None:
        loaded = self.locate(module.file)
        if loaded is not None and os.path.realpath(loaded) == os.path.realpath(chosen):
            return
        if module.importer_sha256 is None and loaded is None:
            return  # the run itself removed it
        other = loaded or module.file
        text = f"`{module.name}` was loaded from {other} while traced, and the job takes {chosen}"
        hint = "declare the directory that comes first in `roots` of [tool.raybundle], or trace again"
        self.warnings.append(Warning(text, Path(chosen), None, hint))
        if loaded is not None:
            self._take(loaded, f"loaded as {module.name} while traced")

    def _without_root(self, module: TracedModule) -> None:
        """Handles a module that the path does not have: gone, loaded by its file, or from a longer path."""
        file = self.locate(module.file)
        if file is None:
            text = f"`{module.name}` was imported while traced, and is gone: it is left out"
            self.warnings.append(Warning(text, None, None, _AGAIN))
            return
        self._take(file, f"loaded as {module.name} by {module.importer}:{module.line} while traced")
        directory = _root_of(module.name, file)
        if directory is not None and module.located:
            text = f"`{module.name}` was loaded from {file}, and {directory} is not a root"
            hint = f"add `{os.path.relpath(directory, self.project)}` to `roots` in [tool.raybundle]"
            self.warnings.append(Warning(text, Path(file), None, hint))

    def _take(self, file: str, reason: str) -> None:
        entry = next((each for each in (self.project, *self.entries) if file.startswith(f"{each}/")), None)
        if entry is not None and not {".git", "__pycache__"} & set(file.split("/")):
            self.files.append(Candidate(file, entry, reason))

    def locate(self, file: str) -> str | None:
        """Returns where a file of the record is, or None if it is nowhere."""
        if os.path.isabs(file):
            return file if os.path.isfile(file) else None
        kind, _, inside = file.partition("/")
        places = [self.project] if kind == "project" else self.entries
        found = (os.path.join(place, inside) for place in places)
        return next((each for each in found if os.path.isfile(each)), None)


def _root_of(name: str, file: str) -> str | None:
    """Returns the directory that must be on the path for `name` to be `file`, or None."""
    stem = os.path.splitext(file)[0].removesuffix("/__init__")
    tail = "/" + name.replace(".", "/")
    return stem.removesuffix(tail) if stem.endswith(tail) else None


def settle_by_runs(closure: Closure, shown: Usable) -> Iterator[Warning]:
    """Yields the warnings of `closure` that no run has settled, then those about the runs."""
    outdated = {each for each in shown.modules if _is_outdated(each, closure)}
    places = {(each.importer, each.line) for each in shown.modules if each not in outdated}
    known = {
        (each.file, each.line): each.text
        for each in closure.unknown
        if (each.importer, each.line) in places
        or (each.importer in shown.runners and _RUNS_FILE.search(each.text))
    }
    for warning in closure.warnings:
        text = known.get((warning.file or Path(), warning.line or 0))
        if text is None or f"`{text}`" not in warning.text:
            yield warning
    yield from shown.warnings
    yield from _stale({each.importer for each in outdated if _only_traced(each, closure)}, closure)


def _only_traced(module: TracedModule, closure: Closure) -> bool:
    return all(edge.rule == "trace" for edge in closure.edges if edge.imported == module.name)


def _is_outdated(module: TracedModule, closure: Closure) -> bool:
    importer = closure.reached.get(module.importer)
    known = module.importer_sha256
    return known is not None and importer is not None and importer.sha256 not in (None, known)


def _stale(importers: set[str], closure: Closure) -> Iterator[Warning]:
    for name in sorted(importers):
        found = closure.reached[name].found
        if isinstance(found, FirstParty):
            text = f"{LOCK} is stale: {os.path.basename(found.file)} has changed since"
            hint = "run `raybundle trace --continue TARGET`: it adds what is imported now"
            yield Warning(text, Path(found.file), None, hint)


def find_data(shown: Usable, closure: Closure, data: Iterable[Candidate]) -> list[Candidate]:
    """Returns the files that runs opened, if they are in the project or a root and are not modules."""
    found = [each.found for each in closure.reached.values()]
    roots = {each.entry for each in found if isinstance(each, FirstParty)}
    taken = {each.file for each in found if isinstance(each, FirstParty)} | {each.file for each in data}
    return [
        each
        for each in shown.files
        if each.file not in taken and (each.entry in roots or each.entry == shown.project)
    ]


def list_not_imported(shown: Usable, closure: Closure) -> tuple[ModuleName, ...]:
    """Returns the modules that statements reach and no run imported, by name."""
    return tuple(
        ModuleName(name)
        for name, reached in sorted(closure.reached.items())
        if name not in shown.names and name != closure.driver and isinstance(reached.found, FirstParty)
    )
