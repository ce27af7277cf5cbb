"""Decides what an import in a source means on one path: for the walk, and for looking ahead of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from raybundle.dotted import absolute
from raybundle.resolve.facts import Attributes, DistributionName, LazyStub, Statement
from raybundle.resolve.find.finder import FirstParty, Namespace, NotFound, StandardLibrary, ThirdParty

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from raybundle.resolve.facts import Facts, Import
    from raybundle.resolve.find.finder import Finder
    from raybundle.resolve.walk.widen import Guesser

_TIME_ZONES = "tzdata"
"""What `zoneinfo` reads on a node whose system has no time zones."""


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


Meaning = Imported | Member | Nowhere | Undecided | DistributionUse


@dataclass(frozen=True, slots=True)
class Meanings:
    """Answers on one path."""

    finder: Finder
    guesser: Guesser
    facts_of: Callable[[str], Facts]
    """Returns the facts of a file, or empty facts if it must not be read now."""
    rules_off: Collection[str] = ()
    """Rules that are switched off."""

    def of(self, each: Import, package: str | None, file: str) -> Iterator[Meaning]:
        """Yield what `each` means in `file`, whose relative imports start from `package`."""
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
            case _ if base is None:
                yield Undecided(f"{form.rule} {form.name}")
            case LazyStub():
                yield from self._of_stub(f"{file}i", package)
            case _:
                for name in self.guesser.guess(form, base):
                    yield Imported(name)

    def _of_statement(self, form: Statement, base: str | None) -> Iterator[Meaning]:
        if base is None:
            name = form.name + (form.members[0] if form.name.endswith(".") and form.members else "")
            if name != ".":  # a module outside of packages has no package of its own
                yield Nowhere(name)
            return
        if base.partition(".")[0] == "zoneinfo":
            yield DistributionUse(_TIME_ZONES)
        yield Imported(base)
        for name in filter(None, (base, self.finder.stands_for(base))):
            yield from self._of_members(name, form.members)

    def _of_members(self, base: str, members: tuple[str, ...]) -> Iterator[Meaning]:
        """Yield the members that are submodules. A namespace package has nothing else."""
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
        """Return the names in `__all__` and its parts. A computed one may name any submodule."""
        found = self.finder.find(module)
        if module in seen or not isinstance(found, FirstParty) or not found.is_source:
            return set()
        seen.add(module)
        exports = self.facts_of(found.file).exports
        names = set(exports.names)
        for each in exports.modules:
            names |= self._exports(absolute(each, package_of(module, found)) or "", seen)
        if exports.is_computed:
            below = (name.rpartition(".")[2] for name in self.finder.submodules(module))
            names |= {name for name in below if self.guesser.mentions(found.file, name)}
        return names

    def _of_attributes(self, base: str | None, chain: tuple[str, ...]) -> Iterator[Meaning]:
        """Yield the submodules in a chain of attributes, up to the first other attribute.

        A library may import its modules when they are first used, as `ray.data` is.
        """
        name = base and (self.finder.stands_for(base) or base)
        start = self.finder.find(name) if name else NotFound()
        for each in chain if isinstance(start, (FirstParty, Namespace, ThirdParty)) else ():
            name = f"{name}.{each}"
            match self.finder.find(name):
                case FirstParty() | Namespace(first_party=True):
                    yield Imported(name)
                case ThirdParty():
                    yield Member(name)
                case Namespace():
                    continue
                case _:
                    return

    def _of_stub(self, stub: str, package: str | None) -> Iterator[Meaning]:
        directory, _, name = stub.rpartition("/")
        if name in self.finder.directories.list(directory).files:
            for each in self.facts_of(stub).imports:
                if each.form.rule == "import":
                    yield from self.of(each, package, stub)


def package_of(name: str, found: FirstParty) -> str | None:
    """Return the package that relative imports of a module start from. A script has none."""
    if name == "__main__":
        return None
    return name if found.is_package else name.rpartition(".")[0]
