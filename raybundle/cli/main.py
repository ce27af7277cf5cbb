"""Runs one command and turns its outcome into an exit code."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from raybundle.cli.interrupts import Terminated
from raybundle.cli.output.console import Console
from raybundle.cli.parser import parse
from raybundle.errors import RaybundleError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import FrameType

INTERRUPTED = 130
"""Exit code after SIGINT; after SIGTERM it is 143, as in a shell."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code.

    Args:
        argv: the words after the program's name; those of this process if None.
    """
    arguments = parse(sys.argv[1:] if argv is None else argv)
    console = Console(quiet=arguments.quiet, json_mode=arguments.json, color=not arguments.no_color)
    signal.signal(signal.SIGTERM, _terminated)
    try:
        return _run(arguments.command, arguments, console)
    except RaybundleError as error:
        console.error(error)
        return error.exit_code
    except OSError as error:
        if error.filename is not None:
            raise
        console.warn(f"cannot write the output: {error.strerror}")
        return RaybundleError.exit_code
    except Terminated:
        return INTERRUPTED + signal.SIGTERM - signal.SIGINT
    except KeyboardInterrupt:
        return INTERRUPTED


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _run(command: str, arguments: argparse.Namespace, console: Console) -> int:
    from raybundle.cli.commands import bundles, clusters, jobs, plan, submit, trace

    files = (
        *(plan.COMMANDS, trace.COMMANDS, bundles.COMMANDS),
        *(submit.COMMANDS, jobs.COMMANDS, clusters.COMMANDS),
    )
    commands = {name: run for file in files for name, run in file.items()}
    return commands[command](arguments, console)
