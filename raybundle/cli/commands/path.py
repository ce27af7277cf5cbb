"""`path`: what driver, tasks and actors import from, here and on every node."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.job import connecting_of
from raybundle.cli.output.paths import module_lines, view_document, view_lines
from raybundle.cli.output.table import room, wrapped
from raybundle.cli.request import environment_of, request_in, settings_of
from raybundle.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.pipeline.viewing.values import PathView


def path(arguments: argparse.Namespace, console: Console) -> int:
    """Shows the paths; the exit code is 1 if a process imports not all, or is not as it should be."""
    view = _view(arguments, console)
    if console.json_mode:
        console.document(view_document(view))
    else:
        typed = shlex.join(arguments.rest)
        only = arguments.imports
        for line in module_lines(view, only) if only else view_lines(view, typed):
            for part in line.split("\n"):
                for shown in wrapped(part, room()):
                    console.data(shown)
    return 0 if view.ok else 1


def _view(arguments: argparse.Namespace, console: Console) -> PathView:
    from raybundle.pipeline.viewing.story import view_nodes, view_plain, view_stored, view_target

    words, only = arguments.rest, arguments.imports
    named = words and (
        words[0] in ("-m", "--") or Path(words[0]).exists() or words[0].endswith((".py", ".ipynb"))
    )
    if not named:
        if arguments.plain:
            raise UsageError(
                "`--plain` shows what plain Ray does with the directory of a target, and there is none",
                hint="name a script, or `-m` and a module",
            )
        connecting = connecting_of(arguments, settings_of(arguments), console)
        if not words:
            return view_nodes(connecting, only)
        return view_stored(words[0], connecting, console, only)
    environment = environment_of(arguments)
    request = request_in(arguments, environment, console, runs=False)
    connecting = connecting_of(arguments, request.settings, console)
    if arguments.plain:
        return view_plain(request, environment, connecting, only)
    return view_target(request, environment, connecting, console, only, strict=arguments.strict)


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"path": path}
