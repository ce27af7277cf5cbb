"""Holds what runs of a target imported and opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybundle.model import Warning


LOCK = "raybundle-trace.json"
"""The file beside pyproject.toml with what traced runs have shown, committed with the code."""
DRIVER = "__main__"
"""Stands for the target, even if it is run with `-m`."""


@dataclass(frozen=True, slots=True)
class TracedModule:
    """A module that a run imported."""

    name: str
    file: str
    """Absolute, or as in the lock file: `project/…`, or `root/…` under another root."""
    importer: str = DRIVER
    line: int = 1
    importer_sha256: str | None = None
    """Hex, of the importer's source when the lock file was written. None for a run of this command."""
    located: bool = True
    """The module was found by its name on the path, not loaded by the name of a file."""


@dataclass(frozen=True, slots=True)
class TracedFile:
    """A file that a run opened for reading, or ran as code that is not a module."""

    file: str
    importer: str = DRIVER
    line: int = 1


@dataclass(frozen=True, slots=True)
class TracedDistribution:
    """A distribution whose metadata a run has read."""

    name: str
    """Normalised (PEP 503)."""
    importer: str = DRIVER
    line: int = 1


@dataclass(frozen=True, slots=True)
class Traced:
    """What one run has shown, or several together."""

    modules: tuple[TracedModule, ...] = ()
    files: tuple[TracedFile, ...] = ()
    warnings: tuple[Warning, ...] = ()
    succeeded: bool = False
    """A run of this command ended with exit code 0."""
    without: frozenset[tuple[str, str]] = frozenset()
    """Importer and name of imports that resolve nowhere, and that recorded runs did without."""
    distributions: tuple[TracedDistribution, ...] = ()

    def joined(self, newer: Traced) -> Traced:
        """Returns both. The newer wins."""
        modules = {each.name: each for each in (*self.modules, *newer.modules)}
        files = {each.file: each for each in (*self.files, *newer.files)}
        asked = {each.name: each for each in (*self.distributions, *newer.distributions)}
        return Traced(
            tuple(modules.values()),
            tuple(files.values()),
            tuple(dict.fromkeys([*self.warnings, *newer.warnings])),
            self.succeeded or newer.succeeded,
            self.without | newer.without,
            tuple(asked.values()),
        )

    def continued(self, newer: Traced) -> Traced:
        """Returns both. If an importer ran again, its earlier imports count as current."""
        ran = {DRIVER, *(each.name for each in newer.modules)}
        modules = (
            replace(each, importer_sha256=None) if each.importer in ran else each for each in self.modules
        )
        return replace(self, modules=tuple(modules)).joined(newer)
