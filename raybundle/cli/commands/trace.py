"""`trace`: runs a target here, and records what it really imported and opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.output.documents import traced_document, traced_edges, warning_document
from raybundle.cli.output.overview import trace_line
from raybundle.cli.request import read_request
from raybundle.errors import BundleError
from raybundle.planning import observe_target, recorded, resolve_with
from raybundle.request import Tracing, prepare

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.model import Resolution

_USAGE = 2
"""Exit code of Python, argparse and click for a wrong command line."""


def trace_target(arguments: argparse.Namespace, console: Console) -> int:
    """Runs a target as Python does, and writes what it imported into the lock file of its project."""
    from raybundle.resolve.trace import lock
    from raybundle.resolve.traced import LOCK

    request = read_request(arguments, console)
    entries = lock.read_entries(request.project)
    prepared = prepare(request)
    known = recorded(prepared) if arguments.keep else None
    seen, code = observe_target(prepared, Tracing(request.arguments, as_main=True))
    resolution = resolve_with(prepared, seen if known is None else known.continued(seen))
    console.warnings(resolution.warnings)
    if arguments.strict and resolution.warnings:
        raise BundleError(f"{len(resolution.warnings)} warnings, and --strict makes them errors")
    key = lock.target_key(request.target, request.project)
    entry = lock.make_entry(seen, resolution)
    if code != 0:
        _refuse_useless(code, resolution, empty=lock.is_empty(entry))
    entries[key] = lock.joined(entries.get(key) if arguments.keep else None, entry)
    written = lock.write_lock(request.project, entries)
    if console.json_mode:
        console.document(
            {
                "target": key,
                "lock": str(request.project / LOCK),
                "written": written,
                "exit_code": code,
                "modules": len(entries[key]["modules"]),
                "files": sorted(entries[key]["files"]),
                "traced": traced_document(resolution),
                "warnings": [warning_document(warning) for warning in resolution.warnings],
            }
        )
    else:
        _print(f"{LOCK}: {key}", resolution, console)
    return 0


def _refuse_useless(code: int, resolution: Resolution, *, empty: bool) -> None:
    """Refuses to record a failed run that has shown nothing."""
    from raybundle.resolve.traced import LOCK

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


def _print(what: str, resolution: Resolution, console: Console) -> None:
    console.data(f"{what}: {trace_line(resolution)}")
    for edge in traced_edges(resolution):
        console.data(f"  {edge.imported} (imported at {edge.file}:{edge.line})")


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"trace": trace_target}
