"""`submit`, `run` and `rerun`: a bundle to the cluster, its log to the terminal, its end to the exit code."""

from __future__ import annotations

import shlex
from functools import partial
from typing import TYPE_CHECKING, Any

from raybundle.cli.interrupts import on_interrupt
from raybundle.cli.job import connecting_of, job_options, limits_of, refuse_unheeded
from raybundle.cli.output.log_output import log_output
from raybundle.cli.parser import command_parsers, option_names
from raybundle.cli.request import environment_of, request_in, settings_of
from raybundle.errors import UsageError
from raybundle.pipeline.orders import order_bundle, order_target
from raybundle.resolve.driver.project import parse_directory
from raybundle.submission.attempts import Watch, follow_order

USAGE = 2
"""Exit code of argparse and click for an option that they do not know."""

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from raybundle.cli.output.console import Console
    from raybundle.submission.attempts import Order, Outcome
    from raybundle.submission.connecting import Connecting


REQUIRED = "--require-signature"


def submit(arguments: argparse.Namespace, console: Console) -> int:
    """Resolves, builds, uploads, submits and follows a target."""
    refuse_unheeded(arguments)
    environment = environment_of(arguments)
    request = request_in(arguments, environment, console)
    settings, start = request.settings, request.start(arguments.cwd)
    options = job_options(arguments, settings, request.arguments, start, environment)
    connecting = connecting_of(arguments, settings, console)
    order = order_target(request, options, connecting, console, strict=arguments.strict)
    return _follow(order, connecting, arguments, console)


def run(arguments: argparse.Namespace, console: Console) -> int:
    """Submits a bundle of the store and follows its job."""
    if not arguments.rest:
        raise UsageError(
            "no bundle: name a digest or a name", hint="`raybundle build TARGET` prints a digest"
        )
    apart = arguments.rest[0] == "--"
    ref, *words = arguments.rest[apart:] or [""]
    if REQUIRED in words and not apart:
        raise UsageError(
            f"`{REQUIRED}` comes after {ref}, so it would be an argument of the job",
            hint=f"`raybundle run {REQUIRED} {shlex.quote(ref)}` requires a signature; an argument of that "
            "name needs `--` before the bundle",
        )
    if arguments.here or words[:1] == ["--here"]:
        from raybundle.cli.commands.stored.here import run_on_this_machine

        return run_on_this_machine(arguments, console, ref, words if arguments.here else words[1:])
    refuse_unheeded(arguments)
    settings = settings_of(arguments)
    options = job_options(arguments, settings, words, parse_directory(arguments.cwd or ""))
    connecting = connecting_of(arguments, settings, console)
    order = order_bundle(ref, options, connecting, console)
    return _follow(order, connecting, arguments, console)


def rerun(arguments: argparse.Namespace, console: Console) -> int:
    """Submits a past run again and follows its job."""
    from raybundle.pipeline.past.rerunning import Again, order_rerun

    refuse_unheeded(arguments)
    settings = settings_of(arguments)
    words = None if arguments.args is None else tuple(shlex.split(arguments.args))
    options = job_options(arguments, settings, words or (), parse_directory(arguments.cwd or ""))
    again = Again(arguments.run, words, arguments.accept_drift)
    connecting = connecting_of(arguments, settings, console)
    order = order_rerun(again, options, connecting, console)
    return _follow(order, connecting, arguments, console)


def _follow(order: Order, connecting: Connecting, arguments: argparse.Namespace, console: Console) -> int:
    """Submits, as often as `--retries` allows, and prints the one document of `--json` in the end."""
    if arguments.check:
        from raybundle.pipeline.examining import require_fit

        require_fit(connecting, order, console.note)
    with log_output(arguments, console) as write:
        watch = Watch(
            write,
            console,
            limits_of(arguments),
            retries=arguments.retries,
            own_code=arguments.exit_code == "job",
            waits=not arguments.no_wait,
            guard=partial(on_interrupt, choice=arguments.on_interrupt, console=console),
        )
        outcome = follow_order(order, watch)
    if outcome.error is not None:
        outcome.error.hint = outcome.error.hint or _misplaced(order, outcome)
        console.error(outcome.error)
    document = _document(order, outcome)
    console.facts.update(document)
    if console.json_mode:
        console.document(document)
    elif arguments.no_wait:
        console.data(outcome.tries[-1])
    return outcome.exit_code


def _misplaced(order: Order, outcome: Outcome) -> str | None:
    """Returns a hint if the job got an option of raybundle, and ended as programs do that do not know one."""
    if outcome.info is None or outcome.info.driver_exit_code != USAGE:
        return None
    ours = option_names(command_parsers()["submit"])
    for word in order.options.arguments:
        if (name := word.partition("=")[0]) in ours:
            return f"`{name}` comes after the target, so the job received it: put raybundle's options before"
    return None


def _document(order: Order, outcome: Outcome) -> dict[str, Any]:
    return {
        "bundle": order.stored.digest,
        "submission_id": outcome.tries[-1],
        "attempts": list(outcome.tries),
        "attached": outcome.submission.existing is not None,
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "driver_exit_code": None if outcome.info is None else outcome.info.driver_exit_code,
        "error": None if outcome.error is None else str(outcome.error),
        "address": order.cluster.client.address,
        "store": order.store.url,
        "files": order.files,
        "bytes": order.bytes,
        "uploaded_bytes": order.stored.uploaded_bytes,
        "warnings": _warnings(order),
        "timings": order.timings.seconds,
    }


def _warnings(order: Order) -> list[dict[str, Any]]:
    if not order.warnings:
        return []
    from raybundle.cli.output.documents import warning_document

    return [warning_document(warning) for warning in order.warnings]


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "submit": submit,
    "run": run,
    "rerun": rerun,
}
