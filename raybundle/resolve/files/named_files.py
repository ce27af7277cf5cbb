"""Finds the files that reached sources, and arguments of the job, name by their paths."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH111, PTH112, PTH113, PTH116, PTH118, PTH119, PTH120

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import NAMED, TRACKED, Warning
from raybundle.resolve.facts import ENVIRONMENT_FILE
from raybundle.resolve.files.data_files import (
    SIZE_LIMIT,
    Candidate,
    fault_of,
    is_code,
    is_extension,
    leads_back,
    leads_out,
    path_expression,
    without_excluded,
)
from raybundle.resolve.files.secret_names import secret_fault
from raybundle.resolve.find.finder import FirstParty
from raybundle.resolve.scan.strings import is_config, is_shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from raybundle.resolve.facts import Facts, Named
    from raybundle.resolve.files.ground import Ground
    from raybundle.resolve.walk.reached import Closure

MOST_FILES, MOST_BYTES = 1000, 100 * 1024 * 1024
"""Of a directory that is named: more than that travels only by `include`."""
MOST_TRACKED = 500 * 1024 * 1024
"""Bytes of what git tracks: as much as a `working_dir` of Ray may have (packaging.py of its runtime_env)."""
MOST_SEEN = 20_000
"""Files of a directory that are compared with a pattern."""

_OF_SECRETS = ("it holds secrets", "`--secret NAME=file:PATH` gives each to the job; then")
_WILD = re.compile(r"[*?\[]")
_NEVER = frozenset({"__pycache__", "node_modules"})
_HISTORY = re.compile(r"/\.(?:git|hg|svn)(?:/|\Z)")


@dataclass(frozen=True, slots=True)
class NamedFiles:
    """What was found."""

    candidates: tuple[Candidate, ...] = ()
    warnings: tuple[Warning, ...] = ()
    scripts: tuple[Candidate, ...] = ()
    """Python files that a path names: child processes may run them."""
    asked: tuple[str, ...] = ()
    """Files of which size and mode had a say, and that stay behind."""
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
    """Return the files that travel because a path names them; the first place counts for each.

    Args:
        closure: the modules; what lies in a directory that has one of them is code and no data.
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
    taken, scripts = tuple(search.found.values()), tuple(search.scripts.values())
    return NamedFiles(taken, tuple(search.warnings), scripts, tuple(search.asked), tuple(search.outside))


def _folders(modules: Iterable[str]) -> frozenset[str]:
    """Return all directories that have a module in them, at any depth."""
    found: set[str] = set()
    for file in modules:
        directory = os.path.dirname(file)
        while directory not in found:
            found.add(directory)
            directory = os.path.dirname(directory)
    return frozenset(found)


@dataclass(frozen=True, slots=True)
class _Origin:
    """What names a path."""

    text: str
    file: Path | None
    line: int | None

    @property
    def reason(self) -> str:
        return f"{self.text}{NAMED}"

    @property
    def otherwise(self) -> str:
        in_source = self.file is not None and self.file.suffix == ".py"
        return "`# raybundle: ignore`" if in_source else "`exclude` it"


@dataclass(slots=True)
class _Search:
    ground: Ground
    modules: dict[str, str]
    """Entry of the path, by file."""
    code: frozenset[str]
    entered: tuple[str, ...]
    """Directories that the job may change to."""
    found: dict[str, Candidate] = field(default_factory=dict)
    warnings: list[Warning] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    scripts: dict[str, Candidate] = field(default_factory=dict)

    def add_arguments(self, paths: Iterable[str]) -> None:
        """Take what arguments of the job name."""
        origin = _Origin("named by an argument", None, None)
        for path in sorted(paths):
            if path.startswith(f"{self.ground.project}/"):
                self.take(path, self.ground.project, origin, wide=True)
            else:
                self.note_outside(path, origin, wide=True)

    def look_up(self, source: str, named: Named) -> None:
        """Take what one path of a source names."""
        origin = _Origin(f"named at {self._shown(source)}:{named.line}", Path(source), named.line)
        for place in self._places(source, named):
            path = os.path.normpath(os.path.join(place, named.path))
            inside = self._entry_of(path, self.modules[source])
            if inside is None:
                found = named.role == "data" and self.note_outside(path, origin, wide=named.wide)
            else:
                found = self._take_named(path, inside, origin, named)
            if found and place not in self.entered:
                return

    def _take_named(self, path: str, entry: str, origin: _Origin, named: Named) -> bool:
        """Take data, or tell of secrets; return whether there is something."""
        if named.role == "secrets" and self._kind(path, entry) is not None:
            self._warn(path, *_OF_SECRETS, origin)
            return True
        return named.role == "data" and self.take(path, entry, origin, wide=named.wide)

    def _places(self, source: str, named: Named) -> list[str]:
        """Return the directories from which a path may count; the first that has it does."""
        here = os.path.dirname(source)
        if named.place == "start":
            beside = [here] if named.path.startswith("../") else []
            return [*self.entered, self.ground.start, self.ground.project, *beside, self.ground.cwd]
        if named.path == ENVIRONMENT_FILE:
            return [self._nearest_environment(here, self.modules[source])]  # as dotenv does
        return [here]

    def note_outside(self, path: str, origin: _Origin, *, wide: bool) -> bool:
        """Warn of what cannot travel because it is outside the project; return whether it is data."""
        top = os.path.commonpath([path, self.ground.project])
        self.outside.append(path)
        is_data = os.path.isfile(path) and not is_code(path)
        if wide and os.path.isdir(path) and path != top and path not in self.code | self.ground.path:
            listing = self.ground.directories.list(path)
            is_data = bool(listing.files) and not any(map(is_code, listing.files))
        if is_data and not any(each.text.startswith(f"{path} ") for each in self.warnings):
            way = f"`--working-dir {top}` makes that the project's root"
            if top in {"/", os.path.expanduser("~")}:
                way = "copy it into the project"
            fault = secret_fault(path) or ("it is outside the project", f"{way}; else")
            self._warn(path, *fault, origin)
        return is_data

    def follow_configs(self, config_of: Callable[[str], Facts]) -> None:
        """Take what configuration and scripts of shells name, if a path or `include` names them."""
        project, start = self.ground.project, self.ground.start
        for config in (waiting := [*sorted(self.ground.included), *self.found]):
            names = (shell := is_shell(config)) or is_config(os.path.basename(config))
            if not (names and config.startswith(f"{project}/")):
                continue
            for named in config_of(config).named:
                origin = _Origin(f"named at {self._shown(config)}:{named.line}", Path(config), named.line)
                before = len(self.found)
                for place in (*self.entered, start, project, os.path.dirname(config)):
                    path = os.path.normpath(os.path.join(place, named.path))
                    inside = path.startswith(f"{project}/") and (shell or not path.endswith(".py"))
                    if inside and self._take_named(path, project, origin, named):
                        break
                waiting += [*self.found][before:]

    def add_tracked(self, files: Sequence[str]) -> None:
        """Take files that git does not ignore; if they are too many bytes, only the small ones."""
        project, origin = self.ground.project, _Origin(TRACKED, None, None)
        files = [each for each in files if each not in self.found and self._counts(each, project)]
        sizes = dict(_sizes(files))
        taken = list(sizes)
        if sum(sizes.values()) > MOST_TRACKED:
            large = [each for each in sizes if sizes[each] > SIZE_LIMIT]
            taken = [each for each in sizes if sizes[each] <= SIZE_LIMIT]
            self.asked += large
            self._warn_of_tracked(sum(sizes.values()), large)
        for file in taken:
            fault = self._fault(file, project, limit=None)
            if fault is None:
                self.found[file] = Candidate(file, project, TRACKED, named=True)
            else:
                self.asked.append(file)
                self._warn(file, *fault, origin)

    def _warn_of_tracked(self, size: int, large: Sequence[str]) -> None:
        shown = ", ".join(map(self._shown, large[:3])) + (", …" if len(large) > 3 else "")  # noqa: PLR2004
        text = (
            f"{len(large)} files over {SIZE_LIMIT:,} bytes are left out, because all data that git does not "
            f"ignore has {size:,} bytes, more than {MOST_TRACKED:,}: {shown}"
        )
        hint = "`include` them in [tool.raybundle] if the job reads them, `exclude` them if it does not"
        self.warnings.append(Warning(text, None, None, hint))

    def _nearest_environment(self, directory: str, entry: str) -> str:
        """Return the first directory with a `.env`, from `directory` up to the project or the root."""
        project, nearest = self.ground.project, directory
        top = project if f"{directory}/".startswith(f"{project}/") else entry
        while ENVIRONMENT_FILE not in self.ground.directories.list(nearest).files:
            if nearest in {top, os.path.dirname(nearest)}:
                return directory
            nearest = os.path.dirname(nearest)
        return nearest

    def _entry_of(self, path: str, entry: str) -> str | None:
        """Return what a path lies under: the project or the root of its source; else it cannot travel."""
        return next((each for each in (self.ground.project, entry) if path.startswith(f"{each}/")), None)

    def take(self, path: str, entry: str, origin: _Origin, *, wide: bool) -> bool:
        """Take the files that `path` means; return whether there is something."""
        kind = self._kind(path, entry)
        if kind == "file" and (path.endswith(".py") or is_extension(path)):
            self._add_script(path, entry, origin)
        elif kind == "file":
            self._add([path], entry, origin)
        elif kind == "directory" and wide:
            self._directory(path, "", entry, origin)
        elif kind is None and _WILD.search(path[len(entry) :]):
            self._pattern(path, entry, origin, wide=wide)
        return kind is not None

    def _kind(self, path: str, entry: str) -> str | None:
        """Return what is at `path`, by listings from `entry` on: what is not there costs no system call."""
        if path == entry:
            return "directory"
        directory, name = os.path.split(path)
        if directory not in self.ground.directories.known and self._kind(directory, entry) != "directory":
            return None
        listing = self.ground.directories.list(directory)
        return "file" if name in listing.files else "directory" if name in listing.directories else None

    def _pattern(self, path: str, entry: str, origin: _Origin, *, wide: bool) -> None:
        base, pattern = _split(path[len(entry) + 1 :])
        base = f"{entry}/{base}".rstrip("/")
        if self._kind(base, entry) == "directory" and (wide or base != entry):
            self._directory(base, "" if pattern in {"*", "**", "**/*"} else pattern, entry, origin)

    def _directory(self, directory: str, pattern: str, entry: str, origin: _Origin) -> None:
        """Take the data below `directory`, or what of it has the form `pattern`; none of code and of git."""
        deep, sources = not pattern or "**" in pattern, pattern.endswith(".py")
        if deep and not sources and (directory in self.code or directory in self.ground.path):
            return
        if _HISTORY.search(directory, len(entry)) or self._kind(f"{directory}/pyvenv.cfg", entry):
            return
        expression = path_expression(pattern) if pattern else None
        files, size = [], 0
        for number, file in enumerate(self._below(directory, deep=deep or "/" in pattern)):
            matches = expression is None or expression.match(file[len(directory) + 1 :])
            if matches and sources and os.path.basename(file) not in {"setup.py", "noxfile.py"}:
                self._add_script(file, entry, origin)
            elif matches and self._counts(file, entry):
                files.append(file)
                size += os.stat(file).st_size
            if len(files) > MOST_FILES or size > MOST_BYTES or number > MOST_SEEN:
                self.asked += files
                self._warn_of_directory(directory, origin)
                return
        self._add(files, entry, origin)

    def _below(self, directory: str, left_by_links: tuple[str, ...] = (), *, deep: bool) -> Iterator[str]:
        listing = self.ground.directories.list(directory)
        yield from (f"{directory}/{name}" for name in sorted(listing.files) if not name.startswith("."))
        for name in sorted(listing.directories) if deep else ():
            inside = f"{directory}/{name}"
            if name.startswith(".") or name in _NEVER or inside in self.code:
                continue
            links = left_by_links
            if name in listing.links:
                links = (*left_by_links, os.path.realpath(directory))
                if leads_back(inside, links):
                    continue
            yield from self._below(inside, links, deep=True)

    def _add(self, files: Iterable[str], entry: str, origin: _Origin) -> None:
        for file in files:
            if file in self.found or not self._counts(file, entry):
                continue
            fault = self._fault(file, entry)
            if fault is None:
                self.found[file] = Candidate(file, entry, origin.reason, named=True)
            elif file not in self.asked:
                self.asked.append(file)
                self._warn(file, *fault, origin)

    def _add_script(self, file: str, entry: str, origin: _Origin) -> None:
        """Take a Python file that is not a module of the job already."""
        script = Candidate(file, entry, origin.reason, named=True)
        kept = without_excluded([script], Path(self.ground.project), self.ground.exclude)
        if kept and file not in self.modules and file not in self.ground.included:
            self.scripts[file] = script

    def _counts(self, file: str, entry: str) -> bool:
        """Claims that a file is data, and that the settings do not decide about it."""
        if file in self.modules or file in self.ground.included or is_code(file):
            return False
        candidate = Candidate(file, entry, "")
        return bool(without_excluded([candidate], Path(self.ground.project), self.ground.exclude))

    def _fault(self, file: str, entry: str, limit: int | None = SIZE_LIMIT) -> tuple[str, str] | None:
        """Return why a file cannot travel, and what to do."""
        if fault := secret_fault(file[len(entry) + 1 :]):
            return fault
        real = leads_out(file, self.ground.allowed, self.ground.directories)
        if real is not None:
            root = os.path.relpath(os.path.dirname(real), self.ground.project)
            hint = f"copy the file, or add `{root}` to `roots` in [tool.raybundle]; else"
            return f"a symbolic link leads to {real}", hint
        text = fault_of(file, limit)
        if text is None:
            return None
        return text, f'`include = ["{self._shown(file)}"]` in [tool.raybundle] bundles it; else'

    def _warn(self, file: str, fault: str, hint: str, origin: _Origin) -> None:
        text = f"{self._shown(file)} is left out: {fault}"
        self.warnings.append(Warning(text, origin.file, origin.line, f"{hint} {origin.otherwise}"))

    def _warn_of_directory(self, directory: str, origin: _Origin) -> None:
        shown = self._shown(directory)
        text = f"{shown} is left out: it has more than {MOST_FILES:,} files or {MOST_BYTES:,} bytes"
        hint = f'`include = ["{shown}"]` in [tool.raybundle] bundles it; else {origin.otherwise}'
        if all(each.text != text for each in self.warnings):
            self.warnings.append(Warning(text, origin.file, origin.line, hint))

    def _shown(self, path: str) -> str:
        return path.removeprefix(f"{self.ground.project}/")


def _sizes(files: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield the bytes of each file; one that is gone by now is left out."""
    for file in files:
        with suppress(OSError):
            yield file, os.stat(file).st_size


def _split(path: str) -> tuple[str, str]:
    """Return the directory before the first part of a path that is not known, and the rest."""
    parts = path.split("/")
    number = next(number for number, part in enumerate(parts) if _WILD.search(part))
    return "/".join(parts[:number]), "/".join(parts[number:])
