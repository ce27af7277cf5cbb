"""`list`, `status`, `logs`, `attach`, `stop` and `delete`: any jobs of a cluster."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from raybundle.cli.interrupts import on_interrupt
from raybundle.cli.job import connecting_of, limits_of
from raybundle.cli.output.documents import job_document
from raybundle.cli.output.log_output import log_output
from raybundle.cli.output.table import facts, job_rows
from raybundle.cli.request import settings_of
from raybundle.cluster.follow import follow
from raybundle.cluster.logs import LogReader
from raybundle.cluster.outcome import exit_code, job_error
from raybundle.cluster.stopping import delete_for_good, stop_and_wait
from raybundle.errors import ClusterError, JobLostError, RaybundleError, UsageError
from raybundle.publish.bundles import open_configured
from raybundle.publish.runs.records import find_log
from raybundle.submission.recording.ending import end_attached

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from raybundle.cli.output.console import Console
    from raybundle.cluster.jobs import JobsClient


def _client(arguments: argparse.Namespace, console: Console) -> JobsClient:
    return connecting_of(arguments, settings_of(arguments), console).client()


def list_jobs(arguments: argparse.Namespace, console: Console) -> int:
    """Lists the jobs of the cluster, the oldest first."""
    client = _client(arguments, console)
    since = None if arguments.since is None else (time.time() - arguments.since) * 1000
    jobs = [
        job
        for job in client.list()
        if (arguments.status is None or job.status == arguments.status)
        and (since is None or (job.start_time or 0) >= since)
    ]
    if console.json_mode:
        console.document({"address": client.address, "jobs": [job_document(job) for job in jobs]})
        return 0
    for line in job_rows(jobs):
        console.data(line)
    return 0


def status(arguments: argparse.Namespace, console: Console) -> int:
    """Shows a job; exit code 1 means an unknown job, as scripts around `ray job status` expect."""
    try:
        info = _client(arguments, console).info(arguments.id)
    except JobLostError as error:
        console.error(error)
        return RaybundleError.exit_code
    if console.json_mode:
        console.document(job_document(info))
        return 0
    console.data(info.status)
    _, started, took, command = facts(info)
    console.note(f"{command} · started {started} · took {took}")
    if info.message:
        console.note(info.message)
    return 0


def logs(arguments: argparse.Namespace, console: Console) -> int:
    """Prints the log of a job, with `--follow` until it ends; the exit code does not say how it ended."""
    try:
        client = _client(arguments, console)
        info = client.info(arguments.id)
    except (ClusterError, JobLostError):
        kept = find_log(open_configured(settings_of(arguments), os.environ), arguments.id)
        if kept is None:
            raise
        return _show_kept(kept, arguments, console)
    if console.json_mode and not arguments.follow:
        if arguments.log_file is not None or arguments.timestamps:
            raise UsageError("--log-file and --timestamps: with --json, `logs` shows the log in its document")
        pieces: list[bytes] = []
        fault = LogReader(client, arguments.id, pieces.append, arguments.tail).finish(info)
        if fault is not None:
            raise fault
        text = b"".join(pieces).decode("utf-8", "replace")
        console.document({"submission_id": arguments.id, "logs": text})
        return 0
    with log_output(arguments, console) as write:
        if arguments.follow:
            fault = follow(client, arguments.id, write, last_lines=arguments.tail).lost_log
        else:
            fault = LogReader(client, arguments.id, write, arguments.tail).finish(info)
    if fault is not None:
        raise fault
    if console.json_mode:
        console.document(job_document(client.info(arguments.id)))
    return 0


def _show_kept(log: Iterable[bytes], arguments: argparse.Namespace, console: Console) -> int:
    """Shows the log that the store has of a job that the cluster no longer has."""
    if arguments.tail is not None:
        log = _last_lines(log, arguments.tail)
    if console.json_mode:
        text = b"".join(log).decode("utf-8", "replace")
        console.document({"submission_id": arguments.id, "logs": text})
        return 0
    console.note("the cluster does not have the job: this is the log that the store has")
    with log_output(arguments, console) as write:
        for piece in log:
            write(piece)
    return 0


def _last_lines(pieces: Iterable[bytes], most: int) -> Iterable[bytes]:
    """Returns the last lines of a log, of which no others stay in memory."""
    lines: deque[bytes] = deque(maxlen=most)
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).splitlines(keepends=True)
        lines.extend(whole)
    lines.extend([rest] if rest else [])
    return lines


def attach(arguments: argparse.Namespace, console: Console) -> int:
    """Follows any job of the cluster to its end, and returns how it ended."""
    client = _client(arguments, console)
    with (
        log_output(arguments, console) as write,
        on_interrupt(client, arguments.id, arguments.on_interrupt, console),
    ):
        followed = follow(client, arguments.id, write, limits=limits_of(arguments), last_lines=arguments.tail)
    if followed.lost_log is not None:
        console.warn(f"the log cannot be read to its end: {followed.lost_log}")
    note = end_attached(open_configured(settings_of(arguments), os.environ), client, followed.info)
    if note is not None:
        console.warn(note)
    error = followed.late or job_error(followed.info, followed.log_end)
    if error is not None:
        console.error(error)
    code = exit_code(followed.info, error, own=arguments.exit_code == "job")
    why = None if error is None else str(error)
    document = {**job_document(followed.info), "exit_code": code, "error": why}
    console.facts.update(document, bundle=followed.info.metadata.get("raybundle"))
    if console.json_mode:
        console.document(document)
    return code


def stop(arguments: argparse.Namespace, console: Console) -> int:
    """Stops a job and waits until its status is final."""
    client = _client(arguments, console)
    final = client.info(arguments.id)
    if arguments.no_wait:
        client.stop(arguments.id)
    elif not final.ended:
        final = stop_and_wait(client, arguments.id)
        if not final.ended:
            raise ClusterError(f"job {arguments.id} was asked to stop and is {final.status}")
    if console.json_mode:
        console.document({"submission_id": arguments.id, "status": final.status})
    else:
        console.data(final.status)
    return 0


def delete(arguments: argparse.Namespace, console: Console) -> int:
    """Removes a job that has ended from the cluster's records."""
    delete_for_good(_client(arguments, console), arguments.id)
    if console.json_mode:
        console.document({"submission_id": arguments.id, "deleted": True})
    else:
        console.note(f"Job '{arguments.id}' deleted successfully")
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Console], int]] = {
    "list": list_jobs,
    "status": status,
    "logs": logs,
    "attach": attach,
    "stop": stop,
    "delete": delete,
}
