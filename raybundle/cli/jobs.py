"""`submit`, `run`, `list`, `status`, `logs` and `stop`: jobs on a cluster."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from raybundle.cli.bundles import store_plan
from raybundle.cli.documents import job_document, warning_document
from raybundle.cli.planning import checked_plan, size_text
from raybundle.cli.request import job_options, make_request, parse_target, settings_of
from raybundle.cluster.follow import follow
from raybundle.cluster.jobs import JobsClient
from raybundle.errors import ClusterError, JobFailedError, JobLostError, UsageError
from raybundle.pipeline import Timings, find_bundle, open_request_store
from raybundle.submission import Cluster, prepare_run, submit, wait

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from raybundle.cli.console import Console
    from raybundle.config import Settings
    from raybundle.store.base import Store
    from raybundle.submission import Ended, JobOptions, Stored

STOP_DELAY = 0.2
"""Seconds between two looks at a job that is being stopped."""
STOP_TIMEOUT = 30.0
"""Seconds until a job that was asked to stop counts as not stopping; Ray kills its driver after 3."""


def submit_target(arguments: argparse.Namespace, console: Console) -> int:
    """Resolves, builds, uploads, submits and follows a target."""
    target, job_arguments = parse_target(arguments.rest)
    request = make_request(arguments, target)
    options = job_options(arguments, request.settings, job_arguments)
    planned = checked_plan(request, console, strict=arguments.strict)
    store = open_request_store(request.settings, os.environ)
    stored = store_plan(planned, store)
    console.note(
        f"bundle {stored.digest} ({len(planned.files)} files, {size_text(planned.bytes)}, "
        f"{size_text(stored.uploaded_bytes)} new)"
    )
    details = {
        "files": len(planned.files),
        "bytes": planned.bytes,
        "uploaded_bytes": stored.uploaded_bytes,
        "warnings": [warning_document(warning) for warning in planned.resolution.warnings],
    }
    cluster = find_cluster(request.settings, console, planned.resolution.interpreter.executable)
    return _submit(stored, store, cluster, options, planned.timings, details, arguments, console)


def run_bundle(arguments: argparse.Namespace, console: Console) -> int:
    """Submits a bundle of the store and follows its job."""
    if not arguments.rest:
        raise UsageError(
            "no bundle: name a digest or a name", hint="`raybundle build TARGET` prints a digest"
        )
    ref, *job_arguments = arguments.rest[arguments.rest[0] == "--" :] or [""]
    settings = settings_of(arguments)
    options = job_options(arguments, settings, job_arguments)
    timings = Timings()
    with timings.stage("resolve"):
        store = open_request_store(settings, os.environ)
        stored = find_bundle(store, ref)
    details: dict[str, Any] = {
        "files": len(stored.manifest.files),
        "bytes": sum(file.size for file in stored.manifest.files),
        "uploaded_bytes": 0,
        "warnings": [],
    }
    cluster = find_cluster(settings, console, settings.text("python"))
    return _submit(stored, store, cluster, options, timings, details, arguments, console)


def find_cluster(settings: Settings, console: Console, python: str | None = None) -> Cluster:
    """Returns the cluster of the configured address, else the embedded one, which is started if need be."""
    address = settings.text("address")
    if address is not None:
        return Cluster(JobsClient(address), shares_disk=False)
    from raybundle.cli.clusters import embedded

    return Cluster(JobsClient(embedded(console, python).address), shares_disk=True)


def _submit(  # noqa: PLR0913, PLR0917 - what a job is made of
    stored: Stored,
    store: Store,
    cluster: Cluster,
    options: JobOptions,
    timings: Timings,
    details: dict[str, Any],
    arguments: argparse.Namespace,
    console: Console,
) -> int:
    run = prepare_run(stored, cluster, options)
    with timings.stage("submit"), _stopped_on_interrupt(cluster.client, run.id, console):
        submission = submit(run, stored, store, cluster, options)
    console.note(f"Job '{submission.run.id}' submitted successfully to {cluster.client.address}")
    document = {
        "bundle": stored.digest,
        "submission_id": submission.run.id,
        "status": "PENDING",
        "exit_code": 0,
        "driver_exit_code": None,
        "address": cluster.client.address,
        "store": store.url,
        **details,
        "timings": timings.seconds,
    }
    if arguments.no_wait:
        _finish(document, console, submission.run.id)
        return 0

    def code(ended: Ended) -> int:
        return exit_code(ended, own=arguments.exit_code == "job")

    with _stopped_on_interrupt(cluster.client, run.id, console):
        ended = wait(submission, console.log, code)
    for note in ended.notes:
        console.note(f"warning: {note}")
    timings.seconds.update(queue=ended.queue, run=ended.run)
    if ended.error is not None:
        console.error(ended.error)
    document.update(
        status=ended.info.status, exit_code=code(ended), driver_exit_code=ended.info.driver_exit_code
    )
    if console.json_mode:
        console.document(document)
    return code(ended)


def _finish(document: dict[str, Any], console: Console, submission_id: str) -> None:
    if console.json_mode:
        console.document(document)
    else:
        console.data(submission_id)


@contextmanager
def _stopped_on_interrupt(client: JobsClient, submission_id: str, console: Console) -> Iterator[None]:
    """Stops the job that its block submits or follows when an interrupt ends the block."""
    try:
        yield
    except KeyboardInterrupt:
        client.close()  # the interrupt may have cut an answer short
        console.note(f"interrupted: stopping job {submission_id}")
        try:
            _stop(client, submission_id)
        except JobLostError:
            pass  # the cluster has never heard of it
        except ClusterError as error:
            console.note(f"warning: cannot stop job {submission_id}: {error}")
        raise


def exit_code(ended: Ended, *, own: bool = False) -> int:
    """Returns the exit code of a job that ended; `own` gives the driver's instead of 20."""
    if ended.error is None:
        return 0
    driver = ended.info.driver_exit_code
    if own and driver and isinstance(ended.error, JobFailedError):
        return driver if 0 < driver < 256 else 128 + abs(driver)  # noqa: PLR2004 - a signal is negative
    return ended.error.exit_code


def list_jobs(arguments: argparse.Namespace, console: Console) -> int:
    """Lists the jobs of the cluster, the oldest first."""
    client = _client(arguments)
    jobs = client.list()
    if console.json_mode:
        console.document({"address": client.address, "jobs": [job_document(job) for job in jobs]})
    for job in [] if console.json_mode else jobs:
        console.data(f"{job.submission_id:<32} {job.status:<10} {job.metadata.get('raybundle', '')[:19]}")
    return 0


def status(arguments: argparse.Namespace, console: Console) -> int:
    """Shows a job."""
    info = _client(arguments).info(arguments.id)
    if console.json_mode:
        console.document(job_document(info))
        return 0
    console.data(info.status)
    if info.message:
        console.note(info.message)
    return 0


def logs(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the log of a job, with `--follow` until it ends."""
    client = _client(arguments)
    client.info(arguments.id)
    if arguments.follow:
        follow(client, arguments.id, console.log)
    elif console.json_mode:
        console.document({"submission_id": arguments.id, "logs": client.logs(arguments.id)})
    else:
        console.log(client.logs(arguments.id))
    return 0


def stop(arguments: argparse.Namespace, console: Console) -> int:
    """Stops a job and waits until its status is final."""
    client = _client(arguments)
    client.info(arguments.id)
    final = _stop(client, arguments.id)
    if console.json_mode:
        console.document({"submission_id": arguments.id, "status": final})
    else:
        console.data(final)
    return 0


def _stop(client: JobsClient, submission_id: str) -> str:
    client.stop(submission_id)
    deadline = time.monotonic() + STOP_TIMEOUT
    while True:
        info = client.info(submission_id)
        if info.ended or time.monotonic() > deadline:
            return info.status
        time.sleep(STOP_DELAY)


def _client(arguments: argparse.Namespace) -> JobsClient:
    settings = settings_of(arguments)
    address = settings.text("address")
    if address is not None:
        return JobsClient(address)
    from raybundle.cli.clusters import running_embedded

    return JobsClient(running_embedded().address)


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "submit": submit_target,
    "run": run_bundle,
    "list": list_jobs,
    "status": status,
    "logs": logs,
    "stop": stop,
}
