"""What `path` found, and what follows from it: which imports fail where, and where processes differ."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a path."""

    path: str
    origin: str
    """In the words of a manifest (`project:src`, `stdlib`, `layers`, `ray`), else what put it there."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a process would import for a name."""

    file: str | None
    """None if the import fails; several directories of a namespace package are joined by `:`."""
    entry: str | None
    """The entry of the path that has it; None if another finder does."""
    origin: str | None
    others: tuple[str, ...] = ()
    """Files of the same name under later entries."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process of a job, as it sees itself."""

    kind: str
    """`driver`, `task` or `actor`; with `outside` before it if a driver outside the Jobs API started it."""
    where: str
    """Its node."""
    python: str = ""
    path: tuple[Entry, ...] = ()
    modules: Mapping[str, Found] | None = None
    versions: Mapping[str, str | None] | None = None
    fault: str | None = None
    """Why it did not answer."""

    @property
    def outside(self) -> bool:
        """Whether it belongs to a driver that was not started by the Jobs API."""
        return self.kind.startswith("outside ")

    @property
    def name(self) -> str:
        """Kind and node."""
        return f"{self.kind} on {self.where}"


@dataclass(frozen=True, slots=True)
class Shape:
    """Something of a node that changes what its processes import."""

    where: str
    source: str
    what: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """A distribution that has another version elsewhere, or is not installed there."""

    name: str
    here: str
    there: Mapping[str, tuple[str, ...]]
    """Names of processes by version; an empty version means not installed."""


@dataclass(frozen=True, slots=True)
class PathView:
    """The path here, the one that the boot sets, and those that processes on the nodes have."""

    plain: bool
    """Measured without a bundle, as plain Ray runs the target."""
    here: tuple[Entry, ...]
    boot: tuple[Entry, ...]
    """What the boot will set; places that only a node knows are empty. Empty without a bundle."""
    files: Mapping[str, str]
    """The file of each module here."""
    versions: Mapping[str, str]
    """The version of each distribution here."""
    processes: tuple[Process, ...]
    shaping: tuple[Shape, ...]
    fault: str | None = None
    """Why no process was asked."""

    @property
    def answered(self) -> tuple[Process, ...]:
        """The processes that said what they see."""
        return tuple(each for each in self.processes if each.fault is None)

    @property
    def silent(self) -> tuple[Process, ...]:
        """The others: dead and busy nodes, drivers that did not start."""
        return tuple(each for each in self.processes if each.fault is not None)

    @property
    def failing(self) -> dict[str, tuple[Process, ...]]:
        """The processes of the job that cannot import a module, by its name."""
        return _failing(each for each in self.answered if not each.outside)

    @property
    def failing_outside(self) -> dict[str, tuple[Process, ...]]:
        """The same of a driver outside the Jobs API."""
        return _failing(each for each in self.answered if each.outside)

    @property
    def astray(self) -> tuple[Process, ...]:
        """The processes of a bundle whose path is not what the boot sets, or not that of the driver."""
        if not self.boot or not self.answered:
            return ()
        first = [entry.path for entry in self.answered[0].path]
        wanted = origins(self.boot)
        return tuple(
            each
            for each in self.answered
            if origins(each.path) != wanted or [entry.path for entry in each.path] != first
        )

    @property
    def ok(self) -> bool:
        """Whether every process answered, imports every module, and has the path that it should have."""
        silent = any(not each.outside for each in self.silent)
        return not (self.fault or silent or self.failing or self.astray)

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """The distributions of other versions, by name."""
        found = []
        for name, here in sorted(self.versions.items()):
            there: dict[str, list[str]] = defaultdict(list)
            for each in self.answered:
                version = (each.versions or {}).get(name, here)
                if version != here:
                    there[version or ""].append(each.name)
            if there:
                found.append(Conflict(name, here, {key: tuple(value) for key, value in there.items()}))
        return tuple(found)

    @property
    def groups(self) -> tuple[tuple[Process, ...], ...]:
        """The processes that answered, those with the same path together."""
        by_path: dict[tuple[Entry, ...], list[Process]] = defaultdict(list)
        for each in self.answered:
            by_path[each.path].append(each)
        return tuple(map(tuple, by_path.values()))


def _failing(processes: Iterable[Process]) -> dict[str, tuple[Process, ...]]:
    found: dict[str, list[Process]] = defaultdict(list)
    for each in processes:
        for name, seen in (each.modules or {}).items():
            if seen.file is None:
                found[name].append(each)
    return {name: tuple(found[name]) for name in sorted(found)}


def origins(path: Iterable[Entry]) -> list[str]:
    """Returns what the entries of a path are, in order; neighbours of one kind count once."""
    return [origin for origin, _ in groupby(entry.origin for entry in path)]
