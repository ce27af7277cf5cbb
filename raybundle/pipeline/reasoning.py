"""The story of `why`, told once for the command line and the library.

request → prepare → resolution → subject → chain, or the nearest reason for its absence
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.explain.absence import explain_absence
from raybundle.explain.chains import shortest_chain_to, ways_to
from raybundle.explain.evidence import gather, name_under, owner_of
from raybundle.explain.reasons import requiring
from raybundle.explain.subject import Subject, absent_file, identify
from raybundle.planning import resolve_as_is
from raybundle.request import prepare
from raybundle.resolve.find.finder import FirstParty
from raybundle.resolve.resolve import finder_of

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.explain.absence import Absence
    from raybundle.explain.chains import Chain, Ways
    from raybundle.model import Distribution, Resolution
    from raybundle.request import Prepared, Request


@dataclass(frozen=True, slots=True, repr=False)
class Why:
    """Why something is in a bundle, or the nearest reason why it is not."""

    subject: Subject
    resolution: Resolution
    chain: Chain = ()
    """The shortest chain of imports from the driver, an edge for each; empty if it is not in the bundle."""
    users: tuple[Distribution, ...] = ()
    """Distributions that need the subject, if that is a distribution."""
    absence: Absence | None = None
    """Why it is not in the bundle, and what brings it in; None if it is in."""

    def __repr__(self) -> str:
        return f"Why({self.subject.word!r}, included={self.included}, chain={len(self.chain)})"

    @property
    def included(self) -> bool:
        """Whether the subject is in the bundle."""
        return self.absence is None

    @property
    def names(self) -> frozenset[str]:
        """The modules in which the chains end."""
        return self.subject.names or frozenset(map(str, self.users[-1].modules if self.users else ()))

    def ways(self) -> Ways:
        """Returns all chains of imports, as far as they can be listed."""
        return ways_to(self.resolution, self.names)


def explain(request: Request, word: str) -> Why:
    """Returns why `word` is in the bundle of a request, or why it is not.

    Args:
        request: what the bundle is made of.
        word: a module, a prefix such as `pkg.*`, a file or a distribution.

    Raises:
        BundleError: the target cannot be resolved.
    """
    prepared = prepare(request)
    resolution = resolve_as_is(prepared)
    file = _file(word, request)
    subject = _whole(identify(resolution, word, file), resolution, request)
    if subject.kind == "absent":
        return Why(subject, resolution, absence=_absence(subject, file, resolution, prepared))
    users = requiring(subject.distribution, resolution) if subject.distribution else ()
    found = Why(subject, resolution, users=users)
    return replace(found, chain=shortest_chain_to(resolution, found.names))


def _whole(subject: Subject, resolution: Resolution, request: Request) -> Subject:
    """Returns the distribution that brings a module which nothing imports, if there is one."""
    if subject.kind != "absent" or not subject.word.replace(".", "").isidentifier():
        return subject
    finder = finder_of(resolution, request.settings.items("roots"), request.cwd)
    owner = owner_of(finder.find(subject.word), finder)
    taken = next((each for each in resolution.distributions if owner and each.name == owner.name), None)
    if taken is None:
        return subject
    return Subject(subject.word, "third-party", frozenset(map(str, taken.modules)), None, taken)


def _file(word: str, request: Request) -> Path | None:
    """Returns the file that a word names, from the current directory or from the project."""
    for base in (request.cwd, request.project):
        file = base / word
        if file.is_file():
            return file.parent.resolve() / file.name
    return None


def _absence(subject: Subject, file: Path | None, resolution: Resolution, prepared: Prepared) -> Absence:
    request = prepared.request
    finder = finder_of(resolution, request.settings.items("roots"), request.cwd)
    unrestricted = _unrestricted(prepared)
    name = subject.word.rstrip("*").rstrip(".")
    if file is not None:
        _, name = name_under(str(file), finder) or ("", "")
        found = finder.find(name) if name and file.suffix == ".py" else None
        if found is None or (isinstance(found, FirstParty) and found.file != str(file)):
            return absent_file(resolution, file, finder, unrestricted)
    chain = shortest_chain_to(unrestricted, {name}) if unrestricted else ()
    return explain_absence(resolution, name, gather(resolution, name, finder, chain))


def _unrestricted(prepared: Prepared) -> Resolution | None:
    """Returns the resolution with all rules and no `exclude`; None if the settings have neither."""
    request, settings = prepared.request, prepared.request.settings
    if not settings.switched_off("rules") and not settings.items("exclude"):
        return None
    found = {key: value for key, value in settings.found.items() if key not in {"rules", "exclude"}}
    without = replace(request, settings=replace(settings, found=found))
    try:
        return resolve_as_is(replace(prepared, request=without))
    except BundleError:  # the files left out cannot travel at all
        return None
