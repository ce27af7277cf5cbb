"""What the configuration declares about the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.resolve.traced import Traced


@dataclass(frozen=True, slots=True)
class ResolveSettings:
    """All relative to the project."""

    roots: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    project: Path | None = None
    """Where the caller knows it; else it is found from the target."""
    rules_off: frozenset[str] = frozenset()
    """Rules (`raybundle.model.Rule`) that are switched off, `data` (the files of packages)
    and `path` (files that sources and arguments name)."""
    traced: Traced | None = None
    """What runs of the target have shown."""
    dependencies: Literal["bundle", "cluster"] = "bundle"
    """Who brings distributions to the nodes where `cluster_provides` says nothing."""
    cluster_provides: tuple[str, ...] = ()
    """Distributions that the cluster has, normalised (PEP 503)."""
    set_up: tuple[str, ...] = ()
    """Distributions that Ray installs on the nodes for the whole job, normalised."""
    arguments: tuple[str, ...] = ()
    """Paths in the arguments of the job, real and absolute, of what is in the project."""
    references: tuple[str, ...] = ()
    """What in the arguments and variables of the job may name a module: `pkg.mod`, `pkg.mod:attr`, `mod`."""
    tracked: tuple[str, ...] = ()
    """Absolute paths of data files that travel because git does not ignore them."""
    optional: tuple[str, ...] = ()
    """Modules, by dotted name, without which the job runs where they resolve nowhere."""

    @property
    def asked(self) -> tuple[str, ...]:
        """The distributions whose metadata runs have read."""
        return tuple(each.name for each in self.traced.distributions) if self.traced else ()
