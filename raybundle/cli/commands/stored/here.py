"""`run --here`: a bundle of the store on this machine, without a cluster."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from raybundle.cli.job import job_options
from raybundle.cli.parser import command_parsers
from raybundle.cli.request import settings_of
from raybundle.errors import UsageError
from raybundle.pipeline.here import run_here
from raybundle.resolve.driver.project import parse_directory

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from raybundle.cli.output.console import Console

HEEDED = (
    *("store", "profile", "address", "json", "quiet", "no_color", "env", "secret", "cwd", "here", "help"),
    *("require_signature", "trusted_keys"),
)
"""Options of `run` that count without a cluster; `address` may be configured."""


def run_on_this_machine(
    arguments: argparse.Namespace, console: Console, ref: str, words: Sequence[str]
) -> int:
    """Runs a bundle, or Python on its path, and returns the exit code of the program."""
    _refuse_unheeded(arguments)
    prompt = words[:1] == ["--"]
    if prompt and words[1:2] != ["python"]:
        raise UsageError(
            "after `--`, `run --here` takes `python` and its arguments",
            hint=f"`raybundle run --here {ref} -- python` gives a prompt on the path of the bundle",
        )
    settings = settings_of(arguments)
    options = job_options(arguments, settings, () if prompt else words, parse_directory(arguments.cwd or ""))
    output = sys.stderr.buffer if console.json_mode else None
    own = words[2:] if prompt else None
    digest, code = run_here(ref, options, settings, os.environ, console, words=own, output=output)
    if console.json_mode:
        console.document({"bundle": digest, "exit_code": code})
    return code


def _refuse_unheeded(arguments: argparse.Namespace) -> None:
    """Refuses options of a job on a cluster: they would have no effect."""
    actions = command_parsers()["run"]._actions  # noqa: SLF001 - argparse does not say elsewhere
    given = [
        each.option_strings[0]
        for each in actions
        if each.dest not in HEEDED and getattr(arguments, each.dest, each.default) != each.default
    ]
    if given:
        raise UsageError(f"{', '.join(given)}: no job is submitted with --here", hint="leave it out")
