"""Holds what runs of a target imported and opened."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybundle.model import Warning


LOCK = "raybundle-trace.json"
"""Beside pyproject.toml: what traced runs have shown, committed with the code."""
DRIVER = "__main__"
"""Stands for the target, also for one that is run with `-m`."""


@dataclass(frozen=True, slots=True)
class TracedModule:
    """A module that a run imported."""

    name: str
    file: str
    """Absolute, or as the lock file has it: `project/…`, or `root/…` under another root."""
    importer: str = DRIVER
    line: int = 1
    importer_sha256: str | None = None
    """Hex, of the importer's source when the lock file was written; None for a run of now."""
    located: bool = True
    """The module was looked up by its name, on the path; else it was loaded by a file's name."""


@dataclass(frozen=True, slots=True)
class TracedFile:
    """A file that a run opened for reading, or ran as code without a name."""

    file: str
    importer: str = DRIVER
    line: int = 1


@dataclass(frozen=True, slots=True)
class Traced:
    """What one run has shown, or several together."""

    modules: tuple[TracedModule, ...] = ()
    files: tuple[TracedFile, ...] = ()
    warnings: tuple[Warning, ...] = ()
    succeeded: bool = False
    """A run of now ended with exit code 0."""
    without: frozenset[tuple[str, str]] = frozenset()
    """Importer and name of imports that resolve nowhere, without which recorded runs have succeeded."""

    def joined(self, newer: Traced) -> Traced:
        """Return both; what both have is as the newer has it."""
        modules = {each.name: each for each in (*self.modules, *newer.modules)}
        files = {each.file: each for each in (*self.files, *newer.files)}
        return Traced(
            tuple(modules.values()),
            tuple(files.values()),
            tuple(dict.fromkeys([*self.warnings, *newer.warnings])),
            self.succeeded or newer.succeeded,
            self.without | newer.without,
        )

    def continued(self, newer: Traced) -> Traced:
        """Return both; where an importer was run anew, what it imported before counts as of now."""
        ran = {DRIVER, *(each.name for each in newer.modules)}
        modules = (
            replace(each, importer_sha256=None) if each.importer in ran else each for each in self.modules
        )
        return replace(self, modules=tuple(modules)).joined(newer)
