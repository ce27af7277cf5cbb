"""Reads the entry points of installed distributions, and metadata of first-party ones to bundle."""

# Strings, because `sys.path` holds strings and pathlib takes ten times as long.
# ruff: noqa: PTH110, PTH118

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from raybundle.resolve.distributions.installed import DIRECT_URL, ENTRY_POINTS, PLUGINS, InstalledDistribution
from raybundle.resolve.facts import ModuleText
from raybundle.resolve.files.data_files import Candidate
from raybundle.resolve.find.finder import FirstParty

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raybundle.resolve.distributions.installed import EntryPoint
    from raybundle.resolve.facts import Facts
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.reached import Closure

_FILES = ("METADATA", "PKG-INFO", ENTRY_POINTS, DIRECT_URL)
_SCRIPTS = frozenset({"console_scripts", "gui_scripts"})
"""Groups of programs; nothing loads them by their group."""


class Described(NamedTuple):
    """A distribution on the path: a `.dist-info`, or an `.egg-info` in a root."""

    installed: InstalledDistribution
    project: str
    """The project's directory, as written, if the files were not copied; otherwise empty."""


@dataclass(slots=True)
class EntryPoints:
    """The entry points of all installed distributions; read when first needed."""

    finder: Finder
    project: str
    """The project's root."""
    asked: list[str] = field(default_factory=list)
    """Files that were read, or that do not exist."""
    followed: list[str] = field(default_factory=list)
    """Paths whose symbolic links were followed."""
    _described: list[Described] | None = None
    _linked: list[Described] | None = None
    _groups: dict[str, list[EntryPoint]] = field(default_factory=dict)
    _programs: dict[str, tuple[Described, str]] | None = None

    @property
    def described(self) -> list[Described]:
        """Every distribution on the path, in its order."""
        if self._described is None:
            self._described = self._read(_is_described)
        return self._described

    @property
    def linked(self) -> list[Described]:
        """Those whose code may be elsewhere; few are, so that this reads few files."""
        if self._linked is None:
            self._linked = self._read(_may_be_linked)
        return self._linked

    def _read(self, counts: Callable[[str], bool]) -> list[Described]:
        own = [entry for entry in self.finder.path if entry not in self.finder.added]
        found = [each for entry in own for each in _described_in(entry, self.finder, counts)]
        self.followed += [each.project for each in found if each.project]
        self.asked += [f"{each.installed.directory}/{name}" for each in found for name in _FILES]
        return found

    def values(self, group: str, name: str = "") -> Iterator[str]:
        """Yields the values (`pkg.mod:attr`) of a group; for `*`, of all groups except scripts.

        With a `name`, only those of that name count.
        """
        if not self._groups:
            for each in self.described:
                for point in each.installed.entry_points():
                    self._groups.setdefault(point.group, []).append(point)
        groups = [group] if "*" not in group else [each for each in self._groups if each not in _SCRIPTS]
        for point in (point for each in groups for point in self._groups.get(each, ())):
            if name in {"", point.name}:
                yield point.value

    def program(self, name: str) -> tuple[Described, str] | None:
        """Returns the distribution that has a console script of this name, and what the script calls."""
        if self._programs is None:
            self._programs = {}
            for each in self.described:
                for point in each.installed.entry_points():
                    if point.group in _SCRIPTS:
                        self._programs.setdefault(point.name, (each, point.value))
        return self._programs.get(name)

    def of_libraries(self, closure: Closure, facts_of: Callable[[str], Facts]) -> list[str]:
        """Returns the modules of the project that a library may load as plugins.

        A group belongs to a library whose name it begins with, such as `sqlalchemy.dialects`. A group that
        begins with the name of a package of the project counts if a reached source names it: the source may
        pass it to a library. Some libraries import all that a namespace has, which is called
        `LIBRARY_plugins` (hydra).
        """
        libraries = {name.partition(".")[0] for name in closure.third_party}
        packages = {name.partition(".")[0] for name in closure.reached}
        points = [point for each, _ in _own(self, closure) for point in each.installed.entry_points()]
        own = {each.group for each in points if each.group.partition(".")[0] in packages - libraries}
        named = own and own & set(_texts(closure, facts_of))
        plugins = (
            each for each in points if each.group.partition(".")[0] in libraries or each.group in named
        )
        names = {each.value.partition(":")[0].partition("[")[0].strip() for each in plugins}
        for each in libraries:
            names.update(self._below(each + PLUGINS))
        return [name for name in sorted(names) if isinstance(self.finder.find(name), FirstParty)]

    def _below(self, package: str) -> Iterator[str]:
        """Yields a package and its modules, also those of packages in it, as `pkgutil.walk_packages` does."""
        yield package
        for name in self.finder.submodules(package):
            yield from self._below(name)


def _texts(closure: Closure, facts_of: Callable[[str], Facts]) -> Iterator[str]:
    """Yields the strings in reached sources that look like names of modules."""
    found = [each.found for each in closure.reached.values() if isinstance(each.found, FirstParty)]
    for each in found:
        for one in facts_of(each.file).imports if each.is_source else ():
            if isinstance(one.form, ModuleText):
                yield one.form.name


def own_metadata(entry_points: EntryPoints, closure: Closure) -> list[Candidate]:
    """Returns name, version and entry points of the editable installs that have a reached module.

    Here they are in site-packages, which is not bundled; on the nodes they are in the root of the code.
    """
    candidates: list[Candidate] = []
    for each, root in _own(entry_points, closure):
        candidates += _candidates(each.installed, root)
    return candidates


def _own(entry_points: EntryPoints, closure: Closure) -> Iterator[tuple[Described, str]]:
    """Yields each editable install that holds something reached, and the root of its code.

    A job may be in the folder of an install that it does not use, such as an example in a clone.
    """
    finder = entry_points.finder
    reached = [each.found for each in closure.reached.values()]
    entries = dict.fromkeys(each.entry for each in reached if isinstance(each, FirstParty))
    held = [each for each in finder.path if each in entries]
    held += sorted(set(entries).difference(held))
    for each in entry_points.linked:
        project = os.path.realpath(each.project) if each.project else ""
        inside = [entry for entry in held if project and _is_below(entry, project)]
        used = project == entry_points.project or any(
            _is_of_install(entry, project, finder) for entry in inside
        )
        if inside and used:
            yield each, inside[0]


def _is_of_install(entry: str, project: str, finder: Finder) -> bool:
    """Returns whether Python imports from `entry` because of an install, and not because of the job."""
    return entry in {project, *finder.interpreter.path} or entry not in finder.path


def _candidates(installed: InstalledDistribution, root: str) -> Iterator[Candidate]:
    header = dict(reversed(list(installed.header())))
    name, version = header.get("name"), header.get("version")
    base, metadata = installed.directory.name, b""
    if name and version:  # the rest depends on the version of the build backend
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
        if base.endswith(".egg-info"):
            base = f"{name.replace('-', '_')}-{version}.dist-info"
    for file, content in (
        ("METADATA", metadata),
        (ENTRY_POINTS, installed.read(ENTRY_POINTS).replace(b"\r\n", b"\n")),
    ):
        if content:
            yield Candidate(os.path.join(root, base, file), root, f"metadata of {base}", content)


def _is_described(directory: str) -> bool:
    return directory.endswith((".dist-info", ".egg-info"))


def _may_be_linked(directory: str) -> bool:
    return directory.endswith(".egg-info") or (
        directory.endswith(".dist-info") and os.path.exists(f"{directory}/{DIRECT_URL}")
    )


def _described_in(entry: str, finder: Finder, counts: Callable[[str], bool]) -> Iterator[Described]:
    for name in sorted(finder.directories.list(entry).directories):
        if not counts(f"{entry}/{name}"):
            continue
        found = InstalledDistribution.at(Path(entry, name))
        if name.endswith(".dist-info"):
            yield Described(found, found.origin().project)
        elif finder.is_first_party(entry):
            yield Described(found, entry)


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)
