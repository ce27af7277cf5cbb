"""Finds the file that Python would import for a name, by Python's rules on directory listings."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118, PTH119, PTH120, PTH206

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from os.path import join
from typing import TYPE_CHECKING

from raybundle.cache.identity import read_noted
from raybundle.dotted import with_ancestors
from raybundle.errors import BundleError, RefusedFileError
from raybundle.resolve.find.directories import Directories
from raybundle.resolve.find.ray_names import RAY_NAMES, RAY_TRIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.model import Interpreter


@dataclass(frozen=True, slots=True)
class FirstParty:
    """A module under a root."""

    entry: str
    """The entry of the path where it was found."""
    file: str
    is_package: bool
    is_extension: bool = False
    shadowed: tuple[str, ...] = ()
    """Other files that could be this module, which comes first."""

    @property
    def is_source(self) -> bool:
        """Whether `file` is Python's source."""
        return not self.is_extension and not self.file.endswith(".pyc")


@dataclass(frozen=True, slots=True)
class Namespace:
    """A package without `__init__` (PEP 420), over one or more entries of the path."""

    portions: tuple[tuple[str, str], ...]
    """Entry of the path and directory under it, in path order."""
    first_party: bool = True
    """At least one portion is under a root."""


@dataclass(frozen=True, slots=True)
class StandardLibrary:
    """Comes with Python."""


@dataclass(frozen=True, slots=True)
class ThirdParty:
    """A module in site-packages. For a submodule without a file, the file is that of the nearest parent."""

    entry: str
    file: str
    is_package: bool


@dataclass(frozen=True, slots=True)
class NotFound:
    """Nowhere on the path."""


Found = FirstParty | Namespace | StandardLibrary | ThirdParty | NotFound


@dataclass(frozen=True, slots=True)
class _File:
    path: str
    suffix: str
    is_package: bool = False


@dataclass(slots=True)
class Finder:
    """Answers for one path and one interpreter. Every answer is kept."""

    path: tuple[str, ...]
    interpreter: Interpreter
    directories: Directories = field(default_factory=Directories)
    added: Mapping[str, str] = field(default_factory=dict)
    """Entries of `path` that Python itself would not have, and the source that declares each a root.

    They come last: what Python finds without them does not change.
    """
    packages: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """Entry of the path and directory of each place of a package that changes its `__path__`."""
    aliases: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    """What names that code puts into `sys.modules` mean, and whether they are that module itself."""
    _found: dict[str, Found] = field(default_factory=dict)
    _extends: dict[str, bool] = field(default_factory=dict)
    _stdlib: frozenset[str] = field(init=False)
    _site: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._stdlib = frozenset(self.interpreter.stdlib)
        self._site = frozenset(self.interpreter.site)

    def find(self, name: str) -> Found:
        """Returns where `name` (absolute, dotted) comes from."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._find(name)
        return found

    def submodules(self, name: str) -> Iterator[str]:
        """Yields the names of the modules and packages directly under package `name`, sorted."""
        names = set()
        places = self.packages.get(name)
        for directory in [each for _, each in places] if places else directories_of(self.find(name)):
            names |= self._members(directory)
        yield from sorted(f"{name}.{each}" for each in names)

    def stands_for(self, name: str) -> str | None:
        """Returns the module that `name` means because code puts it or its package into `sys.modules`."""
        seen, other = {name}, self._alias(name) if self.aliases else None
        while other is not None and other not in seen:
            if not isinstance(self.find(other), NotFound):
                return other
            seen.add(other)
            other = self._alias(other)
        return None

    def _alias(self, name: str) -> str | None:
        for ancestor in reversed([*with_ancestors(name)]):
            if ancestor in self.aliases:
                target, is_module = self.aliases[ancestor]
                return target + name[len(ancestor) :] if is_module else target
        return None

    def portions(self, name: str) -> tuple[tuple[str, str], ...]:
        """Returns entry and directory of each further place of a first-party package."""
        found = self.find(name)
        if not isinstance(found, FirstParty):
            return ()
        own, places = os.path.dirname(found.file), list(self.packages.get(name, ()))
        if found.is_package and self._extends_its_path(found.file):
            places += [(each, join(each, *name.split("."))) for each in self.path]
        return tuple((entry, each) for entry, each in places if each != own and self.is_first_party(entry))

    def is_first_party(self, entry: str) -> bool:
        """Returns whether `entry` of the path is neither the standard library nor site-packages."""
        return entry not in self._stdlib and entry not in self._site

    @property
    def shadowable(self) -> frozenset[str]:
        """Names of the standard library that a file earlier on the path hides."""
        return self.interpreter.stdlib_names - self.interpreter.builtin_names

    def _find(self, name: str) -> Found:
        parent, _, tail = name.rpartition(".")
        if not parent:
            return self._find_top(name)
        found = self.find(parent)
        match found:
            case StandardLibrary() | NotFound():
                return found
            case ThirdParty(file=file, is_package=True) if self._extends_its_path(file):
                other = self._on_the_whole_path(parent, name)
                return self._find_third_party(found, tail) if isinstance(other, NotFound) else other
            case ThirdParty():
                return self._find_third_party(found, tail)
            case FirstParty(entry=entry, file=file, is_package=is_package):
                places = self.packages.get(parent) or ([(entry, os.path.dirname(file))] if is_package else [])
                own = self._or_editable(name, self._search(places, name))
                if isinstance(own, FirstParty) and parent in self.packages:
                    return replace(own, shadowed=())  # the package itself decides which comes first
                if isinstance(own, NotFound) and is_package and self._extends_its_path(file):
                    return self._on_the_whole_path(parent, name)
                return own
            case Namespace(portions=portions):
                return self._or_editable(name, self._search(portions, name))

    def _on_the_whole_path(self, package: str, name: str) -> Found:
        """Finds a module of a package that `pkgutil` or `pkg_resources` extends to the whole path."""
        return self._search([(each, join(each, *package.split("."))) for each in self.path], name)

    def _find_top(self, name: str) -> Found:
        if name in self.interpreter.builtin_names or name == "__main__":
            return StandardLibrary()  # in `sys.modules` before the path is searched
        own = [(each, each) for each in self.path if each not in self.added]
        found = self._or_editable(name, self._search(own, name))
        if isinstance(found, NotFound) and name in self.interpreter.stdlib_names:
            return StandardLibrary()  # on another platform
        if name == "distutils" and isinstance(found, NotFound):
            hack = self.find("_distutils_hack")  # setuptools makes it a name of a package of its own
            return self.find("setuptools._distutils") if isinstance(hack, ThirdParty) else found
        return self._or_added(name, found) if self.added else found

    def _or_added(self, name: str, found: Found) -> Found:
        """Searches the added roots for what is missing, and for further portions of a namespace.

        A folder without Python is not a portion: jobs write `wandb/` and `data/` into a project.
        """
        match found:
            case NotFound() if name not in RAY_NAMES | RAY_TRIES:  # Ray brings them, installed here or not
                return self._search([(each, each) for each in self.added if self._holds(each, name)], name)
            case Namespace(portions=portions):
                more = [each for each in self.added if self._holds(each, name)]
                more = [each for each in more if self._in_directory(each, name) is None]
                return self._namespace((*portions, *((each, join(each, name)) for each in more)))
            case _:
                return found

    def _holds(self, entry: str, name: str) -> bool:
        if self._in_directory(entry, name):
            return True
        inside = name in self.directories.list(entry).directories
        return inside and holds_modules(join(entry, name), self.directories)

    def is_added(self, name: str) -> bool:
        """Returns whether only an added root has the module `name`."""
        found = self.find(name)
        return isinstance(found, FirstParty) and found.entry in self.added

    def in_added(self, name: str) -> str | None:
        """Returns the file of an added root that `name` would be if Python did not find it elsewhere."""
        found = (self._in_directory(each, name) for each in self.added)
        return next((each.path for each in found if each), None)

    def _find_third_party(self, parent: ThirdParty, tail: str) -> ThirdParty:
        """Finds a submodule. Its package may create one without a file (`six.moves`); then that is taken."""
        if parent.is_package:
            found = self._in_directory(os.path.dirname(parent.file), tail)
            if found:
                return ThirdParty(parent.entry, found.path, found.is_package)
        return ThirdParty(parent.entry, parent.file, is_package=False)

    def _search(self, places: Iterable[tuple[str, str]], name: str) -> Found:
        places, tail = tuple(places), name.rpartition(".")[2]
        portions = []
        for position, (entry, directory) in enumerate(places):
            found = self._in_directory(directory, tail)
            if found:
                return self._module(name, entry, found, places[position:])
            if tail in self.directories.list(directory).directories:
                portions.append((entry, join(directory, tail)))
        return self._namespace(tuple(portions))

    def _module(self, name: str, entry: str, found: _File, places: tuple[tuple[str, str], ...]) -> Found:
        if entry in self._stdlib:
            return StandardLibrary()
        if entry in self._site:
            linked = self._linked(name, found, places[0][1])
            return linked or ThirdParty(entry, found.path, found.is_package)
        return FirstParty(
            entry,
            found.path,
            found.is_package,
            is_extension=found.suffix not in {".py", ".pyc"},
            shadowed=tuple(self._alternatives(found, places, name.rpartition(".")[2])),
        )

    def _linked(self, name: str, found: _File, directory: str) -> FirstParty | None:
        """Returns the source that a link in site-packages leads to (`flit install --symlink`, `ln -s`).

        Installers that keep files elsewhere (conda, uv) link them one by one, or into other site-packages.
        A linked module is source only if an editable install says so.
        """
        place = os.path.dirname(found.path) if found.is_package else found.path
        if os.path.basename(place) not in self.directories.list(directory).links:
            return None
        real = os.path.realpath(place)
        owned = any(real.startswith(f"{project}{os.sep}") for project, _ in self.interpreter.projects)
        if not owned and (not found.is_package or "-packages/" in real):
            return None
        location = real if found.is_package else real.removesuffix(found.suffix)
        file = os.path.join(real, "__init__" + found.suffix) if found.is_package else real
        is_extension = found.suffix not in {".py", ".pyc"}
        return FirstParty(_entry_of(name, location), file, found.is_package, is_extension)

    def _namespace(self, portions: tuple[tuple[str, str], ...]) -> Found:
        if not portions:
            return NotFound()
        if all(entry in self._stdlib for entry, _ in portions):
            return StandardLibrary()
        return Namespace(portions, any(self.is_first_party(entry) for entry, _ in portions))

    def _in_directory(self, directory: str, tail: str) -> _File | None:
        """Decides as `importlib.machinery.FileFinder` does: package, then module by suffix order."""
        listing = self.directories.list(directory)
        if tail in listing.directories:
            inside = self.directories.list(join(directory, tail)).files
            for suffix in self.interpreter.suffixes:
                if "__init__" + suffix in inside:
                    return _File(join(directory, tail, "__init__" + suffix), suffix, is_package=True)
        for suffix in self.interpreter.suffixes:
            if tail + suffix in listing.files:
                return _File(join(directory, tail + suffix), suffix)
        return None

    def _alternatives(self, found: _File, places: Iterable[tuple[str, str]], tail: str) -> Iterator[str]:
        for position, (_, directory) in enumerate(places):
            if position:
                other = self._in_directory(directory, tail)
                if other is None or (other.is_package and self._extends_its_path(found.path)):
                    continue
                if os.path.realpath(other.path) != os.path.realpath(found.path):
                    yield other.path  # otherwise a link leads to it
            elif found.is_package and tail + ".py" in self.directories.list(directory).files:
                yield join(directory, tail + ".py")

    def _members(self, directory: str) -> set[str]:
        listing = self.directories.list(directory)
        names = {
            file.removesuffix(suffix)
            for file in listing.files
            for suffix in self.interpreter.suffixes
            if file.endswith(suffix)
        }
        names |= {each for each in listing.directories if self._in_directory(directory, each)}
        return {each for each in names if each and "." not in each and each != "__init__"}

    def _or_editable(self, name: str, found: Found) -> Found:
        """Searches editable installs as Python does: their namespaces with the path, then their finders."""
        if not isinstance(found, (NotFound, Namespace)):
            return found
        locations = [location for known, location in self.interpreter.namespaces if known == name]
        there = [each for each in locations if self._is_directory(each)]
        portions = found.portions if isinstance(found, Namespace) else ()
        portions = tuple(dict.fromkeys([*portions, *((_entry_of(name, each), each) for each in there)]))
        if locations or portions:
            return Namespace(portions) if locations else found
        return self._mapped(name)

    def _extends_its_path(self, file: str) -> bool:
        """Returns whether a package searches the whole path for modules, by `pkgutil` or `pkg_resources`."""
        extends = self._extends.get(file)
        if extends is None:
            try:
                source = read_noted(file, self.directories.read)
            except RefusedFileError:
                source = b""
            extends = self._extends[file] = b"extend_path" in source or b"declare_namespace" in source
        return extends

    def _is_directory(self, location: str) -> bool:
        directory, base = os.path.split(location)
        return base in self.directories.list(directory).directories

    def _mapped(self, name: str) -> Found:
        for known, location in self.interpreter.editables:
            if known == name:
                directory, base = os.path.split(location)
                file = self._in_directory(directory, base)
                if file:
                    is_extension = file.suffix not in {".py", ".pyc"}
                    return FirstParty(_entry_of(name, location), file.path, file.is_package, is_extension)
        parent = name.rpartition(".")[0]  # setuptools' finder also finds what is in a mapped directory
        locations = [location for known, location in self.interpreter.editables if known == parent]
        return self._search([(_entry_of(parent, each), each) for each in locations], name)


def holds_modules(directory: str, directories: Directories, depth: int = 2) -> bool:
    """Returns whether `directory` has Python code, at most `depth` importable folders down."""
    listing = directories.list(directory)
    if any(name.endswith((".py", ".so", ".pyd")) for name in listing.files):
        return True
    names = sorted(each for each in listing.directories if each.isidentifier() and each != "__pycache__")
    return depth > 0 and any(holds_modules(join(directory, each), directories, depth - 1) for each in names)


def directories_of(found: Found) -> tuple[str, ...]:
    """Returns the directories that Python searches for the submodules of a first-party package."""
    match found:
        case FirstParty(file=file, is_package=True):
            return (os.path.dirname(file),)
        case Namespace(portions=portions):
            return tuple(directory for _, directory in portions)
        case _:
            return ()


def _entry_of(name: str, location: str) -> str:
    """Returns the directory that would have to be on the path for `name` to be found at `location`.

    Raises:
        BundleError: the editable install maps `name` to a directory of another name.
    """
    depth = name.count(".") + 1
    if location.split(os.sep)[-depth:] != name.split("."):
        raise BundleError(
            f"editable package `{name}` is in a directory of another name: {location}",
            hint="name the directory as the package, or install the package without --editable",
        )
    for _ in range(depth):
        location = os.path.dirname(location)
    return location
