"""`init` and `completion`: files to begin with, and a script for the shell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.templates import look, place

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console

_WRITTEN = {"new": "wrote", "differs": "overwrote", "same": "kept"}


def init(arguments: argparse.Namespace, console: Console) -> int:
    """Writes the files of a template, or shows how they differ from those that are there."""
    files = look(arguments.template, Path(arguments.directory))
    if not arguments.diff:
        place(files, force=arguments.force)
    if console.json_mode:
        done = [{"file": str(each.path), "state": each.state} for each in files]
        console.document({"template": arguments.template, "written": not arguments.diff, "files": done})
        return 0
    for each in files:
        if not arguments.diff:
            console.note(f"{_WRITTEN[each.state]} {each.path}")
        elif text := each.diff():
            console.data(text.removesuffix("\n"))
    return 0


def completion(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the script that completes command lines in a shell."""
    from raybundle.cli.completion import script

    text = script(arguments.shell)
    if console.json_mode:
        console.document({"shell": arguments.shell, "script": text})
    else:
        console.data(text.removesuffix("\n"))
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"init": init, "completion": completion}
