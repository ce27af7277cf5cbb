"""Holds the outcome of the walk: everything that the driver can reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.errors import BundleError
    from raybundle.model import Edge, Opened, Unknown, Warning
    from raybundle.resolve.find.finder import FirstParty, Namespace

PROVIDED_BY_CLUSTER = frozenset({"ray", "psutil", "colorama"})
"""Top-level names that need not be installed where the bundle is built: Ray, and the content of
`ray/thirdparty_files` in its wheel, which `import ray` puts first on the path."""


@dataclass(frozen=True, slots=True)
class Reached:
    """A first-party module, as the finder found it."""

    name: str
    found: FirstParty | Namespace
    sha256: str | None = None


class Program(NamedTuple):
    """A program that a command in a reached source starts."""

    name: str
    may_be_absent: bool
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Closure:
    """Everything that the driver can reach."""

    driver: str
    reached: dict[str, Reached]
    third_party: dict[str, str]
    """The file of each imported name."""
    edges: tuple[Edge, ...]
    misses: tuple[Edge, ...]
    """Imports that resolve nowhere."""
    warnings: tuple[Warning, ...]
    unknown: tuple[Unknown, ...]
    opened: tuple[Opened, ...]
    """Calls that read files by names that are not known."""
    unparsed: Mapping[str, BundleError]
    """Modules whose source is not Python."""
    installs: frozenset[str]
    """Distributions that a runtime_env in a source installs, normalised."""
    distributions: frozenset[str] = frozenset()
    """Distributions that are used, if they are installed, without an import of their modules."""
    programs: tuple[Program, ...] = ()
    settled: frozenset[tuple[str, int]] = frozenset()
    """File and line of imports of unknown names that calls decide, all of which are followed."""
