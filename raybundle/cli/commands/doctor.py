"""`doctor`: can this cluster run this bundle, and what is to be done where it cannot."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.job import connecting_of
from raybundle.cli.output.findings import finding_lines, findings_document
from raybundle.cli.output.table import room
from raybundle.cli.request import read_request, settings_of
from raybundle.pipeline.examining import examine, needs_of_plan, needs_of_stored
from raybundle.pipeline.findings import Needs

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.pipeline.findings import Finding

WATCHED = 5.0
"""Seconds between two examinations with `--watch`."""


def doctor(arguments: argparse.Namespace, console: Console) -> int:
    """Examines cluster, store and nodes; the exit code is 1 if something failed."""
    needs = _needs(arguments, console)
    while True:
        found = list(examine(connecting_of(arguments, settings_of(arguments), console), needs))
        failed = sum(each.state == "failed" for each in found)
        if not console.json_mode:
            _print(found, console)
        if not (failed and arguments.watch):
            break
        time.sleep(WATCHED)
    if console.json_mode:
        console.document(findings_document(found))
    return 1 if failed else 0


def _needs(arguments: argparse.Namespace, console: Console) -> Needs:
    """Returns what a target or a bundle of the store asks of nodes; without words, what any bundle asks."""
    words = arguments.rest
    if not words:
        return Needs()
    if words[0] in ("-m", "--") or Path(words[0]).exists() or words[0].endswith((".py", ".ipynb")):
        from raybundle.planning import checked_plan
        from raybundle.request import prepare

        request = read_request(arguments, console, runs=False)
        return needs_of_plan(checked_plan(prepare(request), console, strict=arguments.strict))
    return needs_of_stored(words[0], settings_of(arguments), os.environ)


def _print(found: list[Finding], console: Console) -> None:
    for line in finding_lines(found, room()):
        console.data(line)


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"doctor": doctor}
