"""`bisect`: which differences turn a bundle or run that works into one that does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from raybundle.cli.job import connecting_of
from raybundle.cli.request import settings_of
from raybundle.errors import UsageError
from raybundle.formats.amounts import counted
from raybundle.pipeline.bisecting.runners import bisect_configured

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console


def bisect(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the differences that matter, and the number of runs."""
    if arguments.at_once < 1:
        raise UsageError("--jobs is 0, and must be at least 1")
    connecting = connecting_of(arguments, settings_of(arguments), console)
    found = bisect_configured(
        arguments.good,
        arguments.bad,
        connecting,
        os.environ,
        console,
        check=arguments.judge,
        at_once=arguments.at_once,
        here=arguments.here,
    )
    if console.json_mode:
        console.document(
            {
                "good": found.good,
                "bad": found.bad,
                "differences": found.total,
                "culprits": [{"kind": each.kind, "name": each.name} for each in found.culprits],
                "runs": found.runs,
                "tried": [each._asdict() for each in found.tried],
            }
        )
        return 0
    for each in found.culprits:
        console.data(f"{each.kind}  {each.text}")
    together = " are bad together" if len(found.culprits) > 1 else " is bad alone"
    of = f"{len(found.culprits)} of {counted(found.total, 'difference')}"
    console.note(f"{of}{together}: found in {counted(found.runs, 'run')} of mixtures")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"bisect": bisect}
