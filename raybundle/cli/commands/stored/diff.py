"""`diff`: what differs between bundles, runs, or a bundle and the working tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.cli.output.diff import diff_document, diff_lines
from raybundle.cli.request import given_of
from raybundle.pipeline.diffing.diff import diff as differing

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console

DIFFERS = 10
"""Exit code with `--exit-code`, as that of `plan`."""


def diff(arguments: argparse.Namespace, console: Console) -> int:
    """Shows what differs."""
    found = differing(arguments.before, arguments.after, given_of(arguments))
    if console.json_mode:
        console.document(diff_document(found))
    else:
        for line in diff_lines(found, stat=arguments.stat):
            console.data(line)
    return DIFFERS if arguments.exit_code and found.differs else 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"diff": diff}
