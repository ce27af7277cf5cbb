"""Finds the files that reached sources, and arguments of the job, name by their paths."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH111, PTH112, PTH113, PTH116, PTH118, PTH119, PTH120

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.formats.pickles import is_text
from raybundle.model import TRACKED, Warning
from raybundle.resolve.facts import ENVIRONMENT_FILE
from raybundle.resolve.files.data_files import (
    SIZE_LIMIT,
    Candidate,
    is_code,
)
from raybundle.resolve.files.named.taking import MOST_BYTES, MOST_FILES, Origin, Taking, parents_of
from raybundle.resolve.files.secret_names import secret_fault
from raybundle.resolve.find.finder import FirstParty
from raybundle.resolve.scan.strings import is_config, is_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from raybundle.resolve.facts import Facts, Named
    from raybundle.resolve.files.named.ground import Ground
    from raybundle.resolve.walk.reached import Closure

MOST_TRACKED = 500 * 1024 * 1024
"""Bytes of what git tracks: as much as a `working_dir` of Ray may have (packaging.py of its runtime_env)."""

_OF_SECRETS = ("it holds secrets", "`--secret NAME=file:PATH` gives each to the job; then")


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """What was found."""

    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[Warning, ...] = ()
    scripts: tuple[Candidate, ...] = ()
    """Python files that a path names: child processes may run them."""
    asked: tuple[str, ...] = ()
    """Files whose size and mode are inputs of the answer, and that stay behind."""
    outside: tuple[str, ...] = ()
    """Paths outside the project that were looked at, also those where nothing is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What may name files, besides `include`."""

    arguments: tuple[str, ...] = ()
    """Absolute paths that the job is given."""
    tracked: tuple[str, ...] = ()
    """Absolute paths of data files that git does not ignore, if all of them are to travel."""
    sources: bool = True
    """Whether the paths in reached sources count."""


def named_files(
    closure: Closure,
    asked: Asked,
    ground: Ground,
    facts_of: Callable[[str], Facts],
    config_of: Callable[[str], Facts],
) -> NamedFiles:
    """Returns the files that travel because a path names them; the first place counts for each.

    Args:
        closure: the modules; what is in a directory that has one of them is code and no data.
        asked: what names files.
        ground: where paths are looked up.
        facts_of: returns what a source says.
        config_of: returns what a configuration file says.
    """
    found = [(each.found, each.sha256) for _, each in sorted(closure.reached.items())]
    sources = [(each, sha256) for each, sha256 in found if isinstance(each, FirstParty)]
    modules = {each.file: each.entry for each, _ in sources}
    named = [
        (source.file, each)
        for source, sha256 in (sources if asked.sources else ())
        for each in (facts_of(source.file).named if sha256 is not None else ())
    ]
    search = _Search(ground, modules, _folders(modules), ground.entered(named))
    search.add_arguments(asked.arguments)
    for file, each in named:
        search.look_up(file, each)
    if asked.sources:
        search.follow_configs(config_of)
    search.add_tracked(asked.tracked)
    search.keep_empty()
    taken, scripts = tuple(search.found.values()), tuple(search.scripts.values())
    return NamedFiles(taken, tuple(search.warnings), scripts, tuple(search.asked), tuple(search.outside))


def _folders(modules: Iterable[str]) -> frozenset[str]:
    """Returns all directories that have a module in them, at any depth."""
    found: set[str] = set()
    for file in modules:
        directory = os.path.dirname(file)
        while directory not in found:
            found.add(directory)
            directory = os.path.dirname(directory)
    return frozenset(found)


@dataclass(slots=True)
class _Search(Taking):
    """Looks up what is named."""

    def add_arguments(self, paths: Iterable[str]) -> None:
        """Takes what arguments of the job name."""
        origin = Origin("named by an argument", None, None)
        for path in sorted(paths):
            if path.endswith("/"):
                self.keep(path.rstrip("/"), self.ground.project, origin)
            elif path.startswith(f"{self.ground.project}/"):
                if self.take(path, self.ground.project, origin, wide=True):
                    self.note_start(path, origin)
            else:
                self.note_outside(path, origin, wide=True)

    def look_up(self, source: str, named: Named) -> None:
        """Takes what one path of a source names."""
        origin = Origin(f"named at {self.shown(source)}:{named.line}", Path(source), named.line)
        for place in self._places(source, named):
            path = os.path.normpath(os.path.join(place, named.path))
            inside = self._entry_of(path, self.modules[source])
            if inside is None:
                found = named.role == "data" and self.note_outside(path, origin, wide=named.wide)
            else:
                found = self._take_named(path, inside, origin, named)
                if found and named.place == "start" and place == self.ground.cwd:
                    self.note_start(path, origin)
            if found and place not in self.entered:
                return

    def _take_named(self, path: str, entry: str, origin: Origin, named: Named) -> bool:
        """Takes data, keeps directories, or tells of secrets; returns whether there is something."""
        if named.role in {"written", "cwd"}:
            return self.keep(path if named.role == "cwd" else os.path.dirname(path), entry, origin)
        if named.role == "secrets" and self.kind(path, entry) is not None:
            self.warn(path, *_OF_SECRETS, origin)
            return True
        return named.role == "data" and self.take(path, entry, origin, wide=named.wide)

    def _places(self, source: str, named: Named) -> list[str]:
        """Returns the directories from which a path may count; the first that has it does."""
        here = os.path.dirname(source)
        if named.place == "start":
            beside = [here] if "/" in named.path else []
            return [*self.entered, self.ground.start, self.ground.project, *beside, self.ground.cwd]
        if named.path == ENVIRONMENT_FILE:
            return [self._nearest_environment(here, self.modules[source])]  # as dotenv does
        return [here]

    def note_start(self, path: str, origin: Origin) -> None:
        """Warns of a path that counts from a directory above the project, in which no job starts."""
        project, cwd = self.ground.project, self.ground.cwd
        if project.startswith(f"{cwd}/") and path in self.found:
            text = f"the job does not find {os.path.relpath(path, cwd)}: it starts in {project}"
            hint = f"`--working-dir {cwd}` makes that the project's root; else {origin.otherwise}"
            warning = Warning(text, origin.file, origin.line, hint)
            self.warnings += [warning] if warning not in self.warnings else []

    def note_outside(self, path: str, origin: Origin, *, wide: bool) -> bool:
        """Warns of what cannot travel because it is outside the project; returns whether it is data."""
        top = os.path.commonpath([path, self.ground.project])
        self.outside.append(path)
        is_data = os.path.isfile(path) and not is_code(path)
        if wide and os.path.isdir(path) and path != top and path not in self.code | self.ground.path:
            listing = self.ground.directories.list(path)
            is_data = bool(listing.files) and not any(map(is_code, listing.files))
        told = {each.text.partition(" is left out")[0] for each in self.warnings}
        if is_data and told.isdisjoint((path, *parents_of(path))):
            way = f"`--working-dir {top}` makes that the project's root"
            if top in {"/", os.path.expanduser("~")}:
                way = "copy it into the project"
            fault = secret_fault(path) or ("it is outside the project", f"{way}; else")
            self.warn(path, *fault, origin)
        return is_data

    def follow_configs(self, config_of: Callable[[str], Facts]) -> None:
        """Takes what configuration, scripts of shells and lists name, if a path or `include` names them."""
        project = self.ground.project
        for config in (waiting := [*sorted(self.ground.included), *self.found]):
            shell = is_program(config)
            is_list = is_text(config) and config not in self.ground.included
            names = shell or is_list or is_config(os.path.basename(config))
            if not (names and config.startswith(f"{project}/")):
                continue
            named, before = config_of(config).named, len(self.found)
            if is_list or sum(each.wide or "." in each.path for each in named) > MOST_FILES:
                self._take_listed(config, named)
                named = ()
            for each in named:
                origin = Origin(f"named at {self.shown(config)}:{each.line}", Path(config), each.line)
                for path in self._meant(config, each.path):
                    inside = path.startswith(f"{project}/") and (
                        shell or not path.endswith(".py") or path.endswith("/**/*.py")
                    )
                    if inside and self._take_named(path, project, origin, each):
                        break
            waiting += [*self.found][before:]

    def _meant(self, config: str, path: str) -> Iterator[str]:
        """Yields what a path in a file may mean: from the start of the job, the project, its directory."""
        here, start, project = os.path.dirname(config), self.ground.start, self.ground.project
        for place in (*self.entered, start, project, here):
            yield os.path.normpath(os.path.join(place, path))

    def _take_listed(self, config: str, named: Iterable[Named]) -> None:
        """Takes the files that a list names: those without a folder only from beside it."""
        project, found = self.ground.project, dict[str, int]()
        for each in named:
            paths = self._meant(config, each.path) if "/" in each.path else ()
            for path in (*paths, os.path.normpath(os.path.join(os.path.dirname(config), each.path))):
                if path.startswith(f"{project}/") and self.kind(path, project) == "file":
                    found.setdefault(path, each.line)
                    break
        found = {path: line for path, line in found.items() if self.counts(path, project)}
        most = len(found) > MOST_FILES or sum(size for _, size in _sizes(found)) > MOST_BYTES
        if most:
            self.asked += found
            self._warn_of_list(config, found)
        for path, line in () if most else found.items():
            self.add([path], project, Origin(f"named at {self.shown(config)}:{line}", Path(config), line))

    def _warn_of_list(self, config: str, paths: Iterable[str]) -> None:
        folders = sorted({self.shown(path).partition("/")[0] for path in paths})
        shown = ", ".join(f'"{each}"' for each in folders)
        text = (
            f"files that {self.shown(config)} names are left out: they are more than {MOST_FILES:,} files or "
            f"{MOST_BYTES:,} bytes"
        )
        hint = f"`include = [{shown}]` in [tool.raybundle] bundles them; else `exclude` them"
        self.warnings.append(Warning(text, Path(config), None, hint))

    def add_tracked(self, files: Sequence[str]) -> None:
        """Takes files that git does not ignore; if they are too many bytes, only the small ones."""
        project, origin = self.ground.project, Origin(TRACKED, None, None)
        files = [each for each in files if each not in self.found and self.counts(each, project)]
        sizes = dict(_sizes(files))
        taken = list(sizes)
        if sum(sizes.values()) > MOST_TRACKED:
            large = [each for each in sizes if sizes[each] > SIZE_LIMIT]
            taken = [each for each in sizes if sizes[each] <= SIZE_LIMIT]
            self.asked += large
            self._warn_of_tracked(sum(sizes.values()), large)
        for file in taken:
            fault = self.fault(file, project, limit=None)
            if fault is None:
                self.found[file] = Candidate(file, project, TRACKED, named=True)
            else:
                self.asked.append(file)
                self.warn(file, *fault, origin)

    def _warn_of_tracked(self, size: int, large: Sequence[str]) -> None:
        shown = ", ".join(map(self.shown, large[:3])) + (", …" if len(large) > 3 else "")  # noqa: PLR2004
        text = (
            f"{len(large)} files over {SIZE_LIMIT:,} bytes are left out, because all data that git does not "
            f"ignore has {size:,} bytes, more than {MOST_TRACKED:,}: {shown}"
        )
        hint = "`include` them in [tool.raybundle] if the job reads them, `exclude` them if it does not"
        self.warnings.append(Warning(text, None, None, hint))

    def _nearest_environment(self, directory: str, entry: str) -> str:
        """Returns the first directory with a `.env`, from `directory` up to the project or the root."""
        project, nearest = self.ground.project, directory
        top = project if f"{directory}/".startswith(f"{project}/") else entry
        while ENVIRONMENT_FILE not in self.ground.directories.list(nearest).files:
            if nearest in {top, os.path.dirname(nearest)}:
                return directory
            nearest = os.path.dirname(nearest)
        return nearest

    def _entry_of(self, path: str, entry: str) -> str | None:
        """Returns what a path is under: the project or the root of its source; else it cannot travel."""
        return next((each for each in (self.ground.project, entry) if path.startswith(f"{each}/")), None)


def _sizes(files: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yields the bytes of each file; one that is gone by now is left out."""
    for file in files:
        with suppress(OSError):
            yield file, os.stat(file).st_size
