"""Holds which distributions are asked for, which are needed, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.model import Distribution


@dataclass(frozen=True, slots=True)
class Wanted:
    """What asks for distributions."""

    third_party: Mapping[str, str]
    """Imported name and the file that it comes from."""
    optional: frozenset[str] = frozenset()
    """Names among them that are imported only where their absence is caught."""
    declared: tuple[str, ...] = ()
    """Installed distributions that `include` names, normalised."""
    dependencies: Literal["bundle", "cluster"] = "bundle"
    cluster_provides: tuple[str, ...] = ()
    """Normalised."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """A distribution that would travel, in a version that Ray does not take."""

    name: str
    version: str
    requirement: str
    """Of Ray, such as `protobuf>=3.20.3`."""
    ray: str
    """The version of Ray that requires it."""


@dataclass(frozen=True, slots=True)
class Unmet:
    """What a distribution that travels requires, and the environment has not."""

    by: str
    requirement: str
    """Such as `numpy>=2`, without where it may be had."""
    version: str
    """That is installed instead; empty if none is."""


@dataclass(frozen=True, slots=True)
class Needed:
    """The distributions that a bundle needs, and what is wrong with them."""

    distributions: tuple[Distribution, ...] = ()
    optional: tuple[Distribution, ...] = ()
    """Installed and not taken, though one of the others can use them."""
    mentioned: tuple[str, ...] = ()
    """Installed ones, by name, of which a module is imported in an inner block of what the job reaches."""
    unowned: tuple[str, ...] = ()
    """Imported names whose files no installed distribution lists."""
    unrecorded: tuple[str, ...] = ()
    """Distributions that would travel if it were known which files they have."""
    editable: tuple[tuple[str, str], ...] = ()
    """Distributions that are installed as editable and which others require: both names."""
    unfit: tuple[Unfit, ...] = ()
    unmet: tuple[Unmet, ...] = ()
    exposed: tuple[tuple[str, str], ...] = ()
    """Distributions whose metadata has credentials, and what they require with them: both names."""
