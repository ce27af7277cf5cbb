"""The story of `trace`: a run here, and what it showed, written into the lock file of the project."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.errors import BundleError
from raybundle.explain.reasons import traced_edges
from raybundle.planning import observe_target, recorded, resolve_with
from raybundle.request import Tracing, prepare
from raybundle.resolve.trace import lock
from raybundle.resolve.traced import LOCK

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Resolution
    from raybundle.planning import Listener
    from raybundle.request import Request

_USAGE = 2
"""Exit code of Python, argparse and click for a wrong command line."""


@dataclass(frozen=True, slots=True, repr=False)
class Trace:
    """What a run of a target imported and opened, as the lock file has it now."""

    target: str
    """Its key in the lock file."""
    lock: Path
    written: bool
    """Whether the lock file is another than before."""
    exit_code: int
    """Of the run."""
    modules: tuple[str, ...]
    files: tuple[str, ...]
    resolution: Resolution

    def __repr__(self) -> str:
        counts = f"modules={len(self.modules)}, files={len(self.files)}"
        return f"Trace({self.target!r}, exit_code={self.exit_code}, {counts}, written={self.written})"


def record(request: Request, listener: Listener, *, keep: bool, strict: bool) -> Trace:
    """Runs a target as Python does, and returns what the lock file says of it then.

    Args:
        request: what to run.
        listener: hears the warnings.
        keep: what earlier runs showed is kept.
        strict: warnings are errors.

    Raises:
        BundleError: the run showed nothing, or the target cannot be resolved.
    """
    entries = lock.read_entries(request.project)
    prepared = prepare(request)
    known = recorded(prepared) if keep else None
    seen, code = observe_target(prepared, Tracing(request.arguments, as_main=True))
    resolution = resolve_with(prepared, seen if known is None else known.continued(seen))
    listener.warnings(resolution.warnings)
    if strict and resolution.warnings:
        raise BundleError(f"{len(resolution.warnings)} warnings, and --strict makes them errors")
    key = lock.target_key(request.target, request.project)
    entry = lock.make_entry(seen, resolution)
    if code != 0:
        _refuse_useless(code, resolution, empty=lock.is_empty(entry))
    entries[key] = lock.joined(entries.get(key) if keep else None, entry)
    written = lock.write_lock(request.project, entries)
    now = entries[key]
    modules, files = tuple(now["modules"]), tuple(sorted(now["files"]))
    return Trace(key, request.project / LOCK, written, code, modules, files, resolution)


def _refuse_useless(code: int, resolution: Resolution, *, empty: bool) -> None:
    """Refuses to record a failed run that has shown nothing."""
    if empty:
        raise BundleError(
            f"the target ended with exit code {code} before it imported anything: {LOCK} is as it was",
            hint="what it wrote is above; trace a run that succeeds",
        )
    if code == _USAGE and not traced_edges(resolution):
        raise BundleError(
            f"the target ended with exit code {code}, as for a wrong command line: {LOCK} is as it was",
            hint="what it wrote is above; arguments follow the target: `raybundle trace job.py --epochs 2`",
        )
