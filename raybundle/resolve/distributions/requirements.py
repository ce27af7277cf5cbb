"""Follows what installed distributions require, with the markers of the target."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from raybundle.formats.credentials import has_credentials
from raybundle.resolve.distributions.installed import normalised_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from packaging.requirements import Requirement

    from raybundle.resolve.distributions.installed import InstalledDistributions

_NOT_FOR_JOBS = frozenset(
    {
        *("ci", "dev", "develop", "development", "doc", "docs", "lint", "mypy", "pre-commit", "publish"),
        *("release", "test", "testing", "tests", "type", "typing"),
    }
)
"""Extras that only developers of a project install."""
_PARTS = 3
"""Extras that another one may have. One with more of them, such as `all`, says nothing about their use."""


class Need(NamedTuple):
    """Why a distribution is needed although first-party code does not import it."""

    by: str = ""
    """The distribution that needs it, such as `pandas` or `ray[data]`; empty if none does."""
    module: str = ""
    """The module of `by` that imports it at its top level; empty if metadata requires it."""


@dataclass(slots=True)
class Requirements:
    """The requirements of installed distributions; each METADATA is read once."""

    installed: InstalledDistributions
    environment: Mapping[str, str]
    _parsed: dict[str, list[Requirement]] = field(default_factory=dict)

    def closed(
        self,
        wanted: Iterable[tuple[str, str, Need]],
        links: Mapping[str, Iterable[tuple[str, str]]],
        stops: frozenset[str],
    ) -> dict[str, Need]:
        """Returns the installed distributions among `wanted`, and all that they need, nearest first.

        Args:
            wanted: name, extra and reason of each.
            links: by distribution, what its modules import at their top level: distribution and module.
            stops: distributions that are returned but not followed.
        """
        needs: dict[str, Need] = {}
        seen: set[tuple[str, str]] = set()
        queue = list(wanted)
        for name, extra, need in queue:  # it grows
            if (name, extra) in seen or name not in self.installed.by_name:
                continue
            seen.add((name, extra))
            needs.setdefault(name, need)
            if name not in stops:
                queue += [(other, inner, Need(name)) for other, inner in self.of(name, extra)]
                queue += [(other, "", Need(name, module)) for other, module in links.get(name, ())]
        return needs

    def of(self, name: str, extra: str) -> Iterator[tuple[str, str]]:
        """Yields the names and extras that an installed distribution requires with `extra`."""
        environment = {**self.environment, "extra": extra}
        for requirement in self._all(name):
            if requirement.marker is None or requirement.marker.evaluate(environment):
                yield from ((normalised_name(requirement.name), each) for each in ("", *requirement.extras))

    def unmet(self, name: str) -> Iterator[tuple[str, str, str]]:
        """Yields the unmet requirements: name, requirement, and the installed version or an empty text."""
        environment = {**self.environment, "extra": ""}
        for requirement in self._all(name):
            other = normalised_name(requirement.name)
            found = self.installed.by_name.get(other)
            if requirement.marker is not None and not requirement.marker.evaluate(environment):
                continue
            if found is None:
                yield other, f"{other}{requirement.specifier}", ""
            elif not found.is_editable and not fits(requirement, found.version):
                yield other, f"{other}{requirement.specifier}", found.version

    def exposed(self, name: str) -> Iterator[str]:
        """Yields the names that a distribution requires by a URL with credentials."""
        for requirement in self._all(name):
            if requirement.url and has_credentials(requirement.url):
                yield normalised_name(requirement.name)

    def _all(self, name: str) -> list[Requirement]:
        if name not in self._parsed:
            self._parsed[name] = list(parsed(self.installed.by_name[name].requires()))
        return self._parsed[name]

    def optional(self, name: str) -> Iterator[tuple[str, str]]:
        """Yields the names that a distribution requires with an extra that a job may want, and the extra.

        An extra may be made of others of the same distribution: `parquet` of `pandas[pyarrow]`.
        """
        direct = list(self._by_extra(name))
        parts = [(extra, inner) for other, extra, inner in direct if other == name]
        wide = {extra for extra, inner in parts if len(inner) > _PARTS}
        for other, extra, _ in direct:
            if other != name:
                yield other, extra
                yield from ((other, outer) for outer, inner in parts if extra in inner and outer not in wide)

    def _by_extra(self, name: str) -> Iterator[tuple[str, str, frozenset[str]]]:
        """Yields each requirement of an extra: its name, the extra, and the extras that it has itself."""
        for requirement in self._all(name):
            marker = requirement.marker
            for extra in _extras_in(str(marker or "")):
                wanted = _NOT_FOR_JOBS.isdisjoint(extra.split("-"))
                if wanted and marker and marker.evaluate({**self.environment, "extra": extra}):
                    yield normalised_name(requirement.name), extra, frozenset(requirement.extras)
                    break


def _extras_in(marker: str) -> list[str]:
    return [part.partition('"')[0] for part in marker.split('extra == "')[1:]]


def parsed(lines: Iterable[str]) -> Iterator[Requirement]:
    """Yields the requirements; lines that break PEP 508 are skipped, as old distributions have some."""
    return (each for each in map(_parsed, lines) if each is not None)


def _parsed(line: str) -> Requirement | None:
    from packaging.requirements import (  # noqa: PLC0415 - 30 ms, and only where nothing is cached
        InvalidRequirement,
        Requirement,
    )

    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def fits(requirement: Requirement, version: str) -> bool:
    """Returns whether a version satisfies a requirement; one that breaks PEP 440 always does."""
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - as the requirement

    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True
