"""`submit` and `run`: a bundle to the cluster, its log to the terminal, its end to the exit code."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from raybundle.cli.commands.bundles import store_plan
from raybundle.cli.commands.connecting import check_connection, find_cluster
from raybundle.cli.commands.plan import checked_plan
from raybundle.cli.exit_codes import exit_code
from raybundle.cli.interrupts import on_interrupt
from raybundle.cli.output.documents import warning_document
from raybundle.cli.output.log_output import log_output
from raybundle.cli.output.words import size_text
from raybundle.cli.ray_environment import check_hook
from raybundle.cli.request import (
    environment_of,
    job_options,
    limits_of,
    make_request,
    read_command,
    refuse_unheeded,
    settings_of,
    start_of,
)
from raybundle.config import dashboard_address
from raybundle.destination import for_nodes, require_embedded, require_embedded_for, require_embedded_platform
from raybundle.errors import (
    JobError,
    JobFailedError,
    JobLostError,
    JobStartError,
    JobStartTimeoutError,
    UsageError,
)
from raybundle.pipeline import Timings, bytes_of, find_bundle, open_request_store, target_tag
from raybundle.submission.deliver import begin_survey
from raybundle.submission.submission import attach, find_existing, prepare_run, submit, wait

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from raybundle.cli.output.console import Console
    from raybundle.cli.output.log_output import Write
    from raybundle.cluster.jobs import JobInfo
    from raybundle.publish.runs import Run
    from raybundle.store.base import Store
    from raybundle.submission.deliver import Cluster
    from raybundle.submission.submission import Ended, JobOptions, Stored, Submission

RETRIED = (JobFailedError, JobStartError)
"""How a job ended that `--retries` submits again. Not one that was stopped, by somebody or by a limit; and
not one that the cluster forgot: nobody knows how that ended."""


@dataclass(frozen=True, slots=True)
class _Order:
    """All that a submission is made of."""

    stored: Stored
    store: Store
    cluster: Cluster
    timings: Timings
    details: dict[str, Any]
    arguments: argparse.Namespace
    console: Console
    project: Path | None = None
    """What the bundle was made of, where that is here."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a job ended: 0 or an error, and what the cluster said last, where it still knew the job."""

    id: str
    attached: bool
    status: str
    exit_code: int
    error: JobError | None = None
    driver_exit_code: int | None = None


def submit_target(arguments: argparse.Namespace, console: Console) -> int:
    """Resolves, builds, uploads, submits and follows a target."""
    refuse_unheeded(arguments)
    environment = environment_of(arguments)
    command = read_command(arguments, console, environment.project)
    request = make_request(arguments, command, environment)
    options = job_options(arguments, request.settings, command.arguments, environment)
    options = replace(options, cwd=start_of(arguments, request))
    check_connection(arguments, request.settings)
    console.warnings(environment.warnings)
    store = open_request_store(request.settings, os.environ)
    cluster = None
    if dashboard_address(request.settings, os.environ):  # a bundle is made for its nodes
        cluster = begin_survey(find_cluster(arguments, request.settings, console), store)
        request = for_nodes(request, cluster)
        tag = target_tag(request)
        if tag is not None and replace(tag, alike=False) == request.cluster:
            console.note(f"its nodes have {tag}: the bundle is for them")
    else:
        require_embedded(request)
    planned = checked_plan(request, console, strict=arguments.strict)
    check_hook(environment, planned.resolution)
    if cluster is None:
        require_embedded_platform(request, planned.manifest.python)
    stored = store_plan(planned, store, console)
    console.note(
        f"bundle {stored.digest} ({len(planned.files)} files, {size_text(planned.bytes)}, "
        f"{size_text(stored.uploaded_bytes)} new)"
    )
    warnings = (*environment.warnings, *planned.resolution.warnings)
    details = {
        "files": len(planned.files),
        "bytes": planned.bytes,
        "uploaded_bytes": stored.uploaded_bytes,
        "warnings": [warning_document(warning) for warning in warnings],
    }
    if cluster is None:
        executable = planned.resolution.interpreter.executable
        cluster = find_cluster(arguments, request.settings, console, executable)
    order = _Order(stored, store, cluster, planned.timings, details, arguments, console, request.project)
    return _submit(order, options)


def run_bundle(arguments: argparse.Namespace, console: Console) -> int:
    """Submits a bundle of the store and follows its job."""
    if not arguments.rest:
        raise UsageError(
            "no bundle: name a digest or a name", hint="`raybundle build TARGET` prints a digest"
        )
    refuse_unheeded(arguments)
    ref, *job_arguments = arguments.rest[arguments.rest[0] == "--" :] or [""]
    settings = settings_of(arguments)
    options = replace(job_options(arguments, settings, job_arguments), cwd=start_of(arguments))
    check_connection(arguments, settings)
    timings = Timings()
    with timings.stage("resolve"):
        store = open_request_store(settings, os.environ)
        stored = find_bundle(store, ref)
    console.warnings(stored.warnings)
    details: dict[str, Any] = {
        "files": len(stored.manifest.files),
        "bytes": bytes_of(store, stored),
        "uploaded_bytes": 0,
        "warnings": [warning_document(warning) for warning in stored.warnings],
    }
    python = settings.text("python")
    if not dashboard_address(settings, os.environ):
        python = require_embedded_for(stored.manifest.python, python, os.environ)
    cluster = find_cluster(arguments, settings, console, python)
    return _submit(_Order(stored, store, cluster, timings, details, arguments, console), options)


def _submit(order: _Order, options: JobOptions) -> int:
    """Submits, as often as `--retries` allows, and prints the one document of `--json` in the end."""
    attempts: list[str] = []
    with log_output(order.arguments, order.console) as write:
        while True:
            outcome = _attempt(order, _as_retry(options, attempts), write)
            attempts.append(outcome.id)
            if outcome.error is not None:
                order.console.error(outcome.error)
            if not _is_retried(outcome) or len(attempts) > order.arguments.retries:
                break
            order.console.note(f"retry {len(attempts)} of {order.arguments.retries}")
    if order.console.json_mode:
        order.console.document(_document(order, outcome, attempts))
    elif order.arguments.no_wait:
        order.console.data(outcome.id)
    return outcome.exit_code


def _is_retried(outcome: _Outcome) -> bool:
    return isinstance(outcome.error, RETRIED) and not isinstance(outcome.error, JobStartTimeoutError)


def _as_retry(options: JobOptions, attempts: list[str]) -> JobOptions:
    """Returns the options of the next attempt: with an id of its own, and those before it in its metadata."""
    if not attempts:
        return options
    chain = {
        "raybundle.attempt": str(len(attempts) + 1),
        "raybundle.first": attempts[0],
        "raybundle.retry_of": attempts[-1],
    }
    return replace(
        options,
        submission_id=f"{attempts[0]}-retry{len(attempts)}",
        metadata={**(options.metadata or {}), **chain},
    )


def _attempt(order: _Order, options: JobOptions, write: Write) -> _Outcome:
    client, console, arguments = order.cluster.client, order.console, order.arguments
    run = prepare_run(order.stored, order.cluster, options)
    existing = find_existing(run, order.stored, order.cluster, options)
    # From here on the job is ours: an interrupt may stop it.
    with on_interrupt(client, run.id, arguments.on_interrupt, console):
        submission = _submission(order, options, run, existing)
        if arguments.no_wait:
            return _accepted(run.id, submission.existing)
        return _wait(order, submission, write)


def _submission(order: _Order, options: JobOptions, run: Run, existing: JobInfo | None) -> Submission:
    with order.timings.stage("submit"):
        if existing is None:
            submission = submit(run, order.stored, order.store, order.cluster, options)
        else:
            submission = attach(existing, run, order.stored, order.store, order.cluster)
    if submission.existing is None:
        order.console.note(f"Job '{run.id}' submitted successfully")
    else:
        order.console.note(f"job '{run.id}' is there already, with this bundle and these arguments")
    return replace(submission, project=order.project)


def _wait(order: _Order, submission: Submission, write: Write) -> _Outcome:
    run, client, arguments = submission.run, order.cluster.client, order.arguments
    attached = submission.existing is not None

    def code(ended: Ended) -> int:
        return exit_code(ended.info, ended.error, own=arguments.exit_code == "job")

    try:
        ended = wait(submission, write, code, limits_of(arguments))
    except JobLostError as error:
        return _Outcome(run.id, attached, "LOST", error.exit_code, error)
    except JobError as error:  # it met a limit, and has not stopped
        return _Outcome(run.id, attached, client.info(run.id).status, error.exit_code, error)
    for note in ended.notes:
        order.console.warn(note)
    order.timings.seconds.update(queue=ended.queue, run=ended.run)
    info = ended.info
    return _Outcome(run.id, attached, info.status, code(ended), ended.error, info.driver_exit_code)


def _accepted(submission_id: str, existing: JobInfo | None) -> _Outcome:
    """Returns what is known of a job that nobody waits for."""
    if existing is None:
        return _Outcome(submission_id, attached=False, status="PENDING", exit_code=0)
    code = existing.driver_exit_code
    return _Outcome(submission_id, True, existing.status, 0, driver_exit_code=code)  # noqa: FBT003 - attached


def _document(order: _Order, outcome: _Outcome, attempts: list[str]) -> dict[str, Any]:
    return {
        "bundle": order.stored.digest,
        "submission_id": outcome.id,
        "attempts": attempts,
        "attached": outcome.attached,
        "status": outcome.status,
        "exit_code": outcome.exit_code,
        "driver_exit_code": outcome.driver_exit_code,
        "error": None if outcome.error is None else str(outcome.error),
        "address": order.cluster.client.address,
        "store": order.store.url,
        **order.details,
        "timings": order.timings.seconds,
    }


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "submit": submit_target,
    "run": run_bundle,
}
