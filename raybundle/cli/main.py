"""Runs one command and turns its outcome into an exit code."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.output.console import Console
from raybundle.cli.parser import parse, suspects
from raybundle.cli.services.detect import service_of
from raybundle.cli.services.service import dotenv
from raybundle.errors import RaybundleError, Terminated, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from types import FrameType

INTERRUPTED = 130
"""Exit code after SIGINT; after SIGTERM it is 143, as in a shell."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code.

    Args:
        argv: the words after the program's name; those of this process if None.
    """
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
    except UsageError as error:
        Console(quiet=False, json_mode=False, color=True).error(error)
        return error.exit_code
    console = _console(arguments)
    signal.signal(signal.SIGTERM, _terminated)
    console.mask()
    code = _code(arguments, console)
    if arguments.command in _REPORTED:
        code = _report(arguments, console, code)
    return code


def _console(arguments: argparse.Namespace) -> Console:
    kind = Console
    if getattr(arguments, "form", "text") == "ndjson":
        from raybundle.cli.output.events import EventConsole

        kind = EventConsole
    return kind(
        quiet=arguments.quiet,
        json_mode=arguments.json,
        color=not arguments.no_color,
        service=service_of(os.environ),
    )


def _code(arguments: argparse.Namespace, console: Console) -> int:
    """Runs a command and returns its exit code."""
    try:
        if found := suspects(arguments):
            raise UsageError(
                f"{', '.join(found)} looks like a secret",
                hint="remove it: the value is sent, stored or shown",
            )
        return _run(arguments.command, arguments, console)
    except RaybundleError as error:
        console.error(error)
        console.facts["error"] = str(error)
        return error.exit_code
    except OSError as error:
        return _unusable(error, console)
    except KeyboardInterrupt as interrupt:
        more = signal.SIGTERM - signal.SIGINT if isinstance(interrupt, Terminated) else 0
        console.event("interrupted", exit_code=INTERRUPTED + more)
        return INTERRUPTED + more


def _unusable(error: OSError, console: Console) -> int:
    """Tells which file or output cannot be used, and returns the exit code."""
    if error.filename is None:
        console.warn(f"cannot write the output: {error.strerror}")
    else:
        console.error(RaybundleError(f"cannot use {error.filename}: {error.strerror}"))
    return RaybundleError.exit_code


_REPORTED = ("submit", "run", "rerun", "build", "attach")
"""Commands whose end a CI service learns."""


def _report(arguments: argparse.Namespace, console: Console, code: int) -> int:
    """Hands on how a command ended, and returns its exit code; or that of a file that cannot be written."""
    facts = {**console.facts, "exit_code": code}
    try:
        console.service.finish(facts)
        if file := getattr(arguments, "dotenv", None):
            Path(file).write_text(dotenv(facts), "utf-8")
    except OSError as error:
        return code or _unusable(error, console)
    return code


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


_FILES = {
    "plan": ("plan", "why"),
    "trace": ("trace",),
    "bundles": ("build", "show", "export"),
    "stored.bisect": ("bisect",),
    "stored.diff": ("diff",),
    "stored.contents": ("pull", "verify", "check", "store"),
    "stored.patch": ("patch",),
    "stored.signing": ("sign",),
    "stored.gc": ("gc",),
    "catalogue": ("bundles", "tag", "runs"),
    "submit": ("submit", "run", "rerun"),
    "jobs": ("list", "status", "logs", "attach", "stop", "delete"),
    "clusters": ("local", "config", "node"),
    "doctor": ("doctor",),
    "init": ("init", "completion"),
    "report": ("report",),
    "serve": ("serve",),
    "path": ("path",),
}
"""The commands of each file: a command loads only its own."""


def _run(command: str, arguments: argparse.Namespace, console: Console) -> int:
    file = next(file for file, commands in _FILES.items() if command in commands)
    run: Callable[[argparse.Namespace, Console], int] = import_module(
        f"raybundle.cli.commands.{file}"
    ).COMMANDS[command]
    return run(arguments, console)
