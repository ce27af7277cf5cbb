"""`report`: a bundle as a page for a browser."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cli.job import connecting_of
from raybundle.cli.request import environment_of, request_in, settings_in, settings_of
from raybundle.errors import UsageError
from raybundle.formats.amounts import size_text
from raybundle.pipeline.viewing.story import view_stored, view_target
from raybundle.reporting.report import Report, Wanted, report_stored, report_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console


def report(arguments: argparse.Namespace, console: Console) -> int:
    """Writes the page and prints its name."""
    made = _made(arguments, console)
    if console.json_mode:
        console.document({"file": str(made.file), "bytes": made.bytes, "bundle": made.bundle})
        return 0
    console.note(f"{size_text(made.bytes)}, and needs no network: open it in a browser")
    console.data(str(made.file))
    return 0


def _made(arguments: argparse.Namespace, console: Console) -> Report:
    words = list(arguments.words)
    if len(words) != 1 and not arguments.pasted:
        raise UsageError(f"`report` takes one target or bundle, and has also {', '.join(words[1:])}")
    wanted = Wanted(Path(arguments.output), arguments.against, os.environ)
    if not (arguments.module_target or arguments.pasted or _is_file(words[0])):
        settings = settings_of(arguments)
        if arguments.nodes:
            connecting = connecting_of(arguments, settings, console)
            wanted = replace(wanted, view=view_stored(words[0], connecting, console, None))
        return report_stored(words[0], wanted, settings, console)
    module = ["-m"] if arguments.module_target else []
    arguments.rest = ["--", *words] if arguments.pasted else [*module, *words]
    environment = environment_of(arguments)
    request = request_in(arguments, environment, console)
    strict = arguments.strict
    if arguments.nodes:
        connecting = connecting_of(arguments, request.settings, console)
        view = view_target(request, environment, connecting, console, None, strict=strict)
        wanted = replace(wanted, view=view)
    return report_target(request, wanted, partial(settings_in, arguments), console, strict=strict)


def _is_file(word: str) -> bool:
    return Path(word).exists() or word.endswith((".py", ".ipynb"))


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {"report": report}
