"""`trace`: runs a target here, and records what it really imported and opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.output.documents import traced_document, warning_document
from raybundle.cli.output.overview import trace_line
from raybundle.cli.request import read_request
from raybundle.explain.reasons import traced_edges

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.model import Resolution


def trace_target(arguments: argparse.Namespace, console: Console) -> int:
    """Runs a target as Python does, and writes what it imported into the lock file of its project."""
    from raybundle.pipeline.tracing import record

    request = read_request(arguments, console)
    found = record(request, console, keep=arguments.keep, strict=arguments.strict)
    resolution = found.resolution
    if console.json_mode:
        console.document(
            {
                "target": found.target,
                "lock": str(found.lock),
                "written": found.written,
                "exit_code": found.exit_code,
                "modules": len(found.modules),
                "files": list(found.files),
                "traced": traced_document(resolution),
                "warnings": [warning_document(warning) for warning in resolution.warnings],
            }
        )
    else:
        _print(f"{found.lock.name}: {found.target}", resolution, console)
    return 0


def _print(what: str, resolution: Resolution, console: Console) -> None:
    console.data(f"{what}: {trace_line(resolution)}")
    for edge in traced_edges(resolution):
        console.data(f"  {edge.imported} (imported at {edge.file}:{edge.line})")


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"trace": trace_target}
