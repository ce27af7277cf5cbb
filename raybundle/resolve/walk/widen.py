"""Guesses which modules a pattern, a walk, a string or a table of names means."""

# Why strings: paths here are the strings that `sys.path` holds; pathlib would cost ten times as much.
# ruff: noqa: PTH118

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.exhaustive import assert_never
from raybundle.resolve.evaluate.name_values import ANY
from raybundle.resolve.facts import (
    DjangoApp,
    EntryPointGroup,
    LazyNames,
    ModuleText,
    PackageWalk,
    Pattern,
)
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, ThirdParty, directories_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from raybundle.resolve.facts import Guess
    from raybundle.resolve.find.finder import Finder

_FILE_SUFFIXES = frozenset(
    [
        *("py", "pyi", "txt", "md", "rst", "log", "csv", "tsv", "json", "yaml", "yml", "toml", "ini", "cfg"),
        *("conf", "env", "lock", "xml", "html", "htm", "css", "js", "sql", "sh", "parquet", "arrow", "avro"),
        *("feather", "npy", "npz", "pkl", "joblib", "h5", "pt", "pth", "onnx", "bin", "db", "sqlite", "gz"),
        *("zip", "tar", "png", "jpg", "jpeg", "svg", "pdf"),
    ]
)
"""Endings that make a dotted string a file name, if no module has that name."""

_APP_MODULES = ("apps", "models")
_APP_PACKAGES = ("migrations", "management.commands", "templatetags")
"""What Django imports of an app: these modules, and all in these packages (`django.core.management`)."""

_DEEPEST = 12
"""Levels of packages that a pattern descends. A link that leads back up would have no end."""


@dataclass(frozen=True, slots=True)
class Guesser:
    """Answers on one path, with modules that exist."""

    finder: Finder
    mentions: Callable[[str, str], bool]
    """Whether the source of a file contains a word."""
    entry_points: Callable[[str, str], Iterable[str]]
    """The values (`pkg.mod:attr`) of a group, or of all groups for `*`; perhaps of one name only."""

    def guess(self, form: Guess, base: str) -> Iterator[str]:
        """Yields the modules that `form` may import. `base` is its absolute name."""
        match form:
            case Pattern(one_level=one_level):
                yield from self._matching(base, deep=not one_level)
            case PackageWalk(deep=deep):
                yield from self._walked(base, deep=deep)
            case LazyNames(names=names):
                yield from self._members(base, names)
            case EntryPointGroup(point=point):
                for value in self.entry_points(base, point):
                    yield from self._named(value, listed=True)
            case DjangoApp(has_admin=has_admin):
                yield from self._app(base, ("admin",) if has_admin else ())
            case ModuleText(is_listed=is_listed):
                yield from self._named(base, listed=is_listed)
            case other:
                assert_never(other)

    def named_by(self, references: Iterable[str]) -> Iterator[str]:
        """Yields the modules that arguments and variables of a job name: a single word may be one."""
        for each in references:
            yield from self._named(each, listed=each.isidentifier())

    def _matching(self, pattern: str, *, deep: bool) -> Iterator[str]:
        start, unknown, _ = pattern.partition(ANY)
        parent = start.rpartition(".")[0]
        if not unknown:
            yield pattern
            return
        yield parent
        part, depth = (".+", _DEEPEST) if deep else (r"[^.]+", pattern.count(".") - parent.count("."))
        expression = re.compile(part.join(map(re.escape, pattern.split(ANY))))
        for name in self._below(parent, depth):
            if expression.fullmatch(name) and isinstance(self.finder.find(name), FirstParty):
                yield name

    def _below(self, package: str, depth: int) -> Iterator[str]:
        """Yields every module under a first-party package, also in namespace packages."""
        if depth == 0:
            return
        for name in sorted({*self.finder.submodules(package), *self._folders(package)}):
            yield name
            if _has_members(self.finder.find(name)) and not self._leads_back(package, name):
                yield from self._below(name, depth - 1)

    def _folders(self, package: str) -> Iterator[str]:
        for directory in directories_of(self.finder.find(package)):
            listing = self.finder.directories.list(directory)
            for each in listing.directories:
                inside = os.path.join(directory, each)
                if not each.isidentifier() or each == "__pycache__":
                    continue
                if any(file.endswith(".py") for file in self.finder.directories.list(inside).files):
                    yield f"{package}.{each}"

    def _walked(self, package: str, *, deep: bool) -> Iterator[str]:
        if not _has_members(self.finder.find(package)):
            return
        for name in self.finder.submodules(package):
            yield name
            if deep and package.count(".") < _DEEPEST and not self._leads_back(package, name):
                yield from self._walked(name, deep=True)

    def _leads_back(self, package: str, name: str) -> bool:
        """Returns whether a package is a link to one around it, which would have no end."""
        tail = name.rpartition(".")[2]
        return any(
            tail in self.finder.directories.list(directory).links
            and f"{directory}/".startswith(f"{os.path.realpath(os.path.join(directory, tail))}/")
            for directory in map(os.path.realpath, directories_of(self.finder.find(package)))
        )

    def _members(self, package: str, candidates: Iterable[str]) -> Iterator[str]:
        for candidate in candidates:
            for name in (f"{package}.{candidate}", candidate if candidate.startswith(f"{package}.") else ""):
                if name and isinstance(self.finder.find(name), FirstParty):
                    yield name

    def _named(self, text: str, *, listed: bool) -> Iterator[str]:
        """Yields the module that a string begins with, if it is first-party or `listed` as a module."""
        dotted, _, attribute = text.replace(" ", "").partition(":")
        parts = dotted.partition("[")[0].split(".")
        found = self.finder.find(parts[0])
        if isinstance(found, NotFound) and "." in attribute:  # `python:pkg.mod.f`
            yield from self._named(attribute, listed=listed)
            return
        if isinstance(found, ThirdParty) and listed:
            yield ".".join(parts)
        if not isinstance(found, (FirstParty, Namespace)):
            return
        known = self._known(parts)
        name, rest = ".".join(parts[:known]), parts[known:]
        module = self.finder.find(name)
        if not isinstance(module, FirstParty):
            if listed and isinstance(self.finder.find(dotted), ThirdParty):
                yield dotted  # distributions share the namespace with the project
            return
        if rest[-1:] and rest[-1] in _FILE_SUFFIXES:
            return
        wanted = rest[0] if rest else attribute.partition(".")[0]
        if known > 1 or listed or not wanted or self.mentions(module.file, wanted):
            yield name

    def _known(self, parts: list[str]) -> int:
        """Returns how many of `parts`, from the start, name a module."""
        known = 1
        while known < len(parts) and isinstance(
            self.finder.find(".".join(parts[: known + 1])), (FirstParty, Namespace)
        ):
            known += 1
        return known

    def _app(self, text: str, admin: tuple[str, ...]) -> Iterator[str]:
        if isinstance(self.finder.find(text.partition(".")[0]), ThirdParty):
            yield text
        for package in self.app_package(text):
            yield self._module_of(text)
            for name in (*_APP_MODULES, *admin):
                if isinstance(self.finder.find(f"{package}.{name}"), FirstParty):
                    yield f"{package}.{name}"
            for name in _APP_PACKAGES:
                if _has_members(self.finder.find(f"{package}.{name}")):
                    yield from (f"{package}.{name}", *self._walked(f"{package}.{name}", deep=False))

    def app_package(self, text: str) -> Iterator[str]:
        """Yields the package of an app that `INSTALLED_APPS` names, if it is first-party."""
        module = self._module_of(text)
        found = self.finder.find(module)
        if isinstance(found, (FirstParty, Namespace)):
            yield module if _has_members(found) else module.rpartition(".")[0]

    def _module_of(self, text: str) -> str:
        parts = text.split(".")
        return ".".join(parts[: self._known(parts)])


def _has_members(found: object) -> bool:
    match found:
        case FirstParty(is_package=True) | Namespace(first_party=True):
            return True
        case _:
            return False
