"""Decides what an import in a source means on one path: for the walk, and for looking ahead of it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from raybundle.dotted import absolute
from raybundle.errors import BundleError
from raybundle.resolve.facts import (
    Attributes,
    DistributionName,
    DjangoApp,
    LazyStub,
    OfEachApp,
    ProgramName,
    Statement,
)
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from raybundle.resolve.facts import Facts, Import
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.widen import Guesser

_TIME_ZONES = "tzdata"
"""What `zoneinfo` reads on a node whose system has no time zones."""
_REEXPORTS = 5
"""Modules that may pass on an import, one to the next."""


class Imported(NamedTuple):
    """Python imports the module and the packages around it. If it is missing, the import fails."""

    name: str


class Member(NamedTuple):
    """A submodule that exists, of a package that is imported as well."""

    name: str


class Nowhere(NamedTuple):
    """Python finds no such module."""

    name: str


class Undecided(NamedTuple):
    """Only the running program knows what is imported."""

    text: str


class DistributionUse(NamedTuple):
    """A distribution is used without an import of its modules, if it is installed."""

    name: str


class ProgramRun(NamedTuple):
    """A child process runs a program."""

    name: str
    may_be_absent: bool


class InApps(NamedTuple):
    """A module of this name is imported in each app of Django that has one."""

    name: str


class App(NamedTuple):
    """An app of Django: a module that its package has."""

    name: str


Meaning = Imported | Member | Nowhere | Undecided | DistributionUse | ProgramRun | InApps | App


@dataclass(frozen=True, slots=True)
class Meanings:
    """Answers on one path."""

    finder: Finder
    guesser: Guesser
    facts_of: Callable[[str], Facts]
    """Returns the facts of a file, or empty facts if it must not be read now."""
    rules_off: Collection[str] = ()
    """Rules that are switched off."""
    passed_on: dict[str, dict[str, str]] = field(default_factory=dict)
    """What `_passed_on` has returned, by module."""

    def of(  # noqa: C901 - one case per form
        self, each: Import, package: str | None, file: str
    ) -> Iterator[Meaning]:
        """Yields what `each` means in `file`, whose relative imports start from `package`."""
        form = each.form
        if form.rule in self.rules_off:
            return
        base = absolute(form.name, package)
        match form:
            case Statement():
                yield from self._of_statement(form, base)
            case Attributes(chain=chain):
                yield from self._of_attributes(base, chain)
            case DistributionName(name):
                yield DistributionUse(name)
            case ProgramName(name, may_be_absent):
                yield ProgramRun(name, may_be_absent)
            case OfEachApp(name):
                yield InApps(name)
            case _ if base is None:
                yield Undecided(f"{form.rule} {form.name}")
            case LazyStub():
                yield from self._of_stub(f"{file}i", package)
            case _:
                for name in self.guesser.guess(form, base):
                    yield Imported(name)
                if isinstance(form, DjangoApp):
                    yield from map(App, self.guesser.app_package(base))

    def _of_statement(self, form: Statement, base: str | None) -> Iterator[Meaning]:
        if base is None:
            name = form.name + (form.members[0] if form.name.endswith(".") and form.members else "")
            if name != ".":  # a module outside of packages has no package of its own
                yield Nowhere(name)
            return
        if base.partition(".")[0] == "zoneinfo":
            yield DistributionUse(_TIME_ZONES)
        if form.rule == "pickle":
            yield Imported(self._of_pickle(base))
            return
        yield Imported(base)
        for name in filter(None, (base, self.finder.stands_for(base))):
            yield from self._of_members(name, form.members)

    def _of_pickle(self, name: str) -> str:
        """Returns the module; its library if it has none of this name, which is for the library to settle."""
        top = name.partition(".")[0]
        lacks = isinstance(self.finder.find(name), NotFound)
        return top if lacks and isinstance(self.finder.find(top), ThirdParty) else name

    def _of_members(self, base: str, members: tuple[str, ...]) -> Iterator[Meaning]:
        """Yields the members that are submodules. A namespace package has nothing else."""
        found = self.finder.find(base)
        if members == ("*",) and isinstance(found, (FirstParty, Namespace)):
            members = tuple(sorted(self._exports(base, set())))
        for name in (f"{base}.{each}" for each in members):
            match found, self.finder.find(name):
                case ThirdParty(file=own), ThirdParty(file=other) if own != other:
                    yield Member(name)  # its requirements are needed too
                case Namespace(), NotFound() | StandardLibrary():
                    yield Nowhere(name)
                case FirstParty() | Namespace(), FirstParty() | Namespace() | ThirdParty():
                    yield Member(name)
                case _:
                    continue

    def _exports(self, module: str, seen: set[str]) -> set[str]:
        """Returns the names in `__all__` and its parts. A computed one may name submodules."""
        found = self.finder.find(module)
        if module in seen or not isinstance(found, FirstParty) or not found.is_source:
            return set()
        seen.add(module)
        exports = self.facts_of(found.file).exports
        names = set(exports.names)
        for each in exports.modules:
            names |= self._exports(absolute(each, package_of(module, found)) or "", seen)
        if exports.is_computed:
            below = {name.rpartition(".")[2] for name in self.finder.submodules(module)}
            mentions = self.guesser.mentions
            names |= {name for name in below if exports.is_listed or mentions(found.file, name)}
        return names

    def _of_attributes(self, base: str | None, chain: tuple[str, ...]) -> Iterator[Meaning]:
        """Yields the submodules in a chain of attributes, up to the first other attribute.

        A library may import its modules when they are first used, as `ray.data` is.
        """
        name = base and (self.finder.stands_for(base) or self._imported_as(base) or base)
        start = self.finder.find(name) if name else NotFound()
        for each in chain if isinstance(start, (FirstParty, Namespace, ThirdParty)) else ():
            name = self._imported_as(f"{name}.{each}") or f"{name}.{each}"
            match self.finder.find(name):
                case FirstParty() | Namespace(first_party=True):
                    yield Imported(name)
                case ThirdParty():
                    yield Member(name)
                case Namespace():
                    continue
                case _:
                    return

    def _imported_as(self, name: str, depth: int = _REEXPORTS) -> str | None:
        """Returns the third-party module that a first-party module imports under the name of an attribute."""
        module, _, attribute = name.rpartition(".")
        other = self._passed_on(module).get(attribute) if module and depth else None
        if other is None or isinstance(self.finder.find(other), ThirdParty):
            return other
        return self._imported_as(other, depth - 1)

    def _passed_on(self, module: str) -> dict[str, str]:
        """Returns what import statements of a first-party module bind, by attribute."""
        known = self.passed_on.get(module)
        if known is None:
            known = self.passed_on[module] = {}
            found = self.finder.find(module)
            if isinstance(found, FirstParty) and found.is_source:
                with suppress(BundleError):  # the walk says that it is not Python
                    known.update(_bindings(self.facts_of(found.file), package_of(module, found)))
        return known

    def _of_stub(self, stub: str, package: str | None) -> Iterator[Meaning]:
        directory, _, name = stub.rpartition("/")
        if name in self.finder.directories.list(directory).files:
            for each in self.facts_of(stub).imports:
                if each.form.rule == "import":
                    yield from self.of(each, package, stub)


def _bindings(facts: Facts, package: str | None) -> Iterator[tuple[str, str]]:
    yield from ((name, absolute(other, package) or "") for name, other in facts.renames)
    for each in facts.imports:
        match each.form:
            case Statement(name=name, members=(), rule="import"):
                top = name.partition(".")[0]
                yield top, top
            case Statement(name=name, members=members, rule="import"):
                base = absolute(name, package)
                yield from ((member, f"{base}.{member}") for member in members if base)
            case _:
                continue


def package_of(name: str, found: FirstParty) -> str | None:
    """Returns the package that relative imports of a module start from. A script has none."""
    if name == "__main__":
        return None
    return name if found.is_package else name.rpartition(".")[0]
