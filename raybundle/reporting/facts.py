"""What a report shows, whether it comes from a plan, from a bundle of the store or from a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.bundle.values import Manifest
    from raybundle.model import Digest, Shadowed, Warning
    from raybundle.pipeline.changes import Changes
    from raybundle.pipeline.viewing.values import PathView


@dataclass(frozen=True, slots=True)
class Before:
    """The version that a bundle is compared with."""

    name: str
    changes: Changes | None
    fault: str | None = None
    """Why there is nothing to compare with, if `changes` is None."""


@dataclass(frozen=True, slots=True)
class Here:
    """What only the machine knows on which a bundle was planned."""

    project: str
    places: Mapping[str, tuple[str, ...]]
    """Directories of each entry of the symbolic path."""
    unused: tuple[str, ...]
    """Entries of the interpreter's path that have nothing of the bundle."""
    shadowed: tuple[Shadowed, ...]
    warnings: tuple[Warning, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a run, in seconds from its beginning."""

    name: str
    start: float
    seconds: float
    note: str = ""
    inner: bool = False
    """It is a part of others: of a node, or of a task."""

    @property
    def end(self) -> float:
        """Seconds from the beginning of the run to the end of the stage."""
        return self.start + self.seconds


@dataclass(frozen=True, slots=True)
class Timeline:
    """Where the time went."""

    title: str
    stages: tuple[Stage, ...]
    outcome: str = ""
    """The status of the job; empty if no job was submitted."""
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What one report shows."""

    title: str
    digest: Digest
    manifest: Manifest
    graph: Mapping[str, Any]
    """As `graph_document` returns it: modules, edges, distributions."""
    bytes: int
    """Of all files, with the distributions that travel."""
    before: Before | None = None
    here: Here | None = None
    """None for a bundle of the store."""
    timeline: Timeline | None = None
    view: PathView | None = None
    """What processes on the nodes import from; None if they were not asked."""
    seen: Mapping[str, Any] | None = None
    """What the boot saw on the nodes of a run: `nodes` and `outside` (submission/recording/observed.py)."""
