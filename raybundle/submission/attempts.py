"""Submits a job, follows it to its end, and submits it again as often as the user allows."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

from raybundle.cluster.stopping import Limits
from raybundle.errors import (
    ClusterError,
    JobError,
    JobFailedError,
    JobLostError,
    JobStartError,
    JobStartTimeoutError,
    StoreError,
)
from raybundle.publish.runs.records import record_event
from raybundle.submission.submit import attach, find_existing, prepare_run, submit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.model import Warning
    from raybundle.planning import Listener, Timings
    from raybundle.publish.runs.run import Run
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store
    from raybundle.submission.deliver import Cluster
    from raybundle.submission.options import JobOptions
    from raybundle.submission.recording.origin import Origin
    from raybundle.submission.submit import Submission
    from raybundle.submission.wait import Ended

RETRIED = (JobFailedError, JobStartError)
"""Ends after which `--retries` submits a job again.

Not a job that was stopped, by a person or by a limit. Not one that the cluster forgot: how it ended is
unknown.
"""

SHOWN = 0.05
"""Seconds of the shortest stage that the last line names."""


def _nothing() -> None: ...


@dataclass(frozen=True, slots=True)
class Order:
    """A stored bundle and its cluster: what a job, and each retry of it, is submitted from."""

    stored: Stored
    store: Store
    cluster: Cluster
    options: JobOptions
    timings: Timings
    files: int
    bytes: int
    warnings: tuple[Warning, ...]
    project: Path | None = None
    """What the bundle was made of, if that is on this machine."""
    sites: tuple[str, ...] = ()
    """The site-packages directories that its distributions are from."""
    origin: Origin | None = None
    """The commit and the lock that it was made of, if it was made here."""
    accepted: Callable[[], None] = _nothing
    """Is called when the cluster has accepted a job of it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a job ended, and what the cluster said last, if it still knew the job."""

    submission: Submission
    status: str
    exit_code: int
    error: JobError | None = None
    info: JobInfo | None = None
    tries: tuple[str, ...] = ()
    """Ids of all attempts, this one last."""


def _unguarded(_client: JobsClient, _submission_id: str) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Watch:
    """How a job is followed."""

    write: Callable[[bytes], None]
    """Takes its log in pieces, byte for byte."""
    listener: Listener
    limits: Limits = field(default_factory=Limits)
    retries: int = 0
    own_code: bool = False
    """The exit code is the driver's instead of 20."""
    waits: bool = True
    guard: Callable[[JobsClient, str], AbstractContextManager[None]] = _unguarded
    """Surrounds each attempt, from its submission to its end."""


def follow_order(order: Order, watch: Watch, first: Submission | None = None) -> Outcome:
    """Returns how the last attempt of a job ended.

    Args:
        order: what to submit.
        watch: how to follow it.
        first: the first attempt, if it is already submitted.

    Raises:
        UsageError, ClusterError, StoreError: the job cannot be submitted or followed.
    """
    tries: list[str] = []
    while True:
        outcome = _attempt(order, tries, watch) if first is None else _watched(order, first, watch)
        tries.append(outcome.submission.run.id)
        if not _is_retried(outcome) or len(tries) > watch.retries:
            return replace(outcome, tries=tuple(tries))
        if outcome.error is not None:
            watch.listener.error(outcome.error)
        watch.listener.note(f"retry {len(tries)} of {watch.retries}")
        first = None


def submit_order(order: Order, listener: Listener) -> Submission:
    """Returns the first attempt of a job, once the cluster accepted it.

    Raises:
        UsageError, ClusterError, StoreError: as `submit` raises them.
    """
    run, existing = _next_run(order, order.options)
    return _submission(order, order.options, run, existing, listener)


def _attempt(order: Order, tries: Sequence[str], watch: Watch) -> Outcome:
    options = _as_retry(order.options, tries)
    run, existing = _next_run(order, options)
    with watch.guard(order.cluster.client, run.id):
        submission = _submission(order, options, run, existing, watch.listener)
        return _wait(order, submission, watch) if watch.waits else _accepted(submission)


def _watched(order: Order, submission: Submission, watch: Watch) -> Outcome:
    with watch.guard(order.cluster.client, submission.run.id):
        return _wait(order, submission, watch)


def _next_run(order: Order, options: JobOptions) -> tuple[Run, JobInfo | None]:
    """Returns the run that is about to start, and the job of the cluster that it would repeat."""
    files = (each.path for each in order.stored.manifest.files)
    origin = None if order.origin is None else order.origin.facts(files)
    run = prepare_run(order.stored, order.cluster, options, origin)
    return run, find_existing(run, order.stored, order.cluster, options)


def _as_retry(options: JobOptions, tries: Sequence[str]) -> JobOptions:
    """Returns the options of the next attempt: a new id, and metadata that names earlier attempts."""
    if not tries:
        return options
    chain = {
        "raybundle.attempt": str(len(tries) + 1),
        "raybundle.first": tries[0],
        "raybundle.retry_of": tries[-1],
    }
    return replace(
        options,
        submission_id=f"{tries[0]}-retry{len(tries)}",
        metadata={**options.metadata, **chain},
    )


def _submission(
    order: Order, options: JobOptions, run: Run, existing: JobInfo | None, listener: Listener
) -> Submission:
    before = order.timings.seconds.get("submit", 0.0)
    with order.timings.stage("submit"):
        if existing is None:
            submission = submit(run, order.stored, order.store, order.cluster, options)
        else:
            submission = attach(existing, run, order.stored, order.store, order.cluster)
    if submission.existing is None:
        spent = order.timings.seconds
        # A retry repeats nothing of the stages before.
        again = {} if options is order.options else {"submit": spent["submit"] - before}
        _note_accepted(submission, again or spent)
        order.accepted()
    attached, address = submission.existing is not None, order.cluster.client.address
    listener.event("accepted", submission_id=run.id, attached=attached, address=address)
    if not attached:
        listener.note(f"Job '{run.id}' submitted successfully")
    else:
        listener.note(f"job '{run.id}' is there already, with this bundle and these arguments")
    return replace(submission, project=order.project, sites=order.sites)


def _note_accepted(submission: Submission, seconds: Mapping[str, float]) -> None:
    timings = {name: round(spent, 3) for name, spent in seconds.items()}
    with suppress(StoreError):  # the job runs, and its end will say so again
        record_event(submission.store, submission.run, "accepted", {"timings": timings})


def _wait(order: Order, submission: Submission, watch: Watch) -> Outcome:
    # The job is on its way: what follows it is loaded while it waits for a node.
    from raybundle.submission.wait import wait  # noqa: PLC0415 - as said

    try:
        running = partial(watch.listener.event, "running", submission_id=submission.run.id)
        with _log(order, submission, watch) as take:
            ended = wait(submission, take, watch.limits, own_code=watch.own_code, running=running)
    except JobLostError as error:
        return Outcome(submission, "LOST", error.exit_code, error)
    except JobError as error:  # it met a limit, and has not stopped
        return Outcome(submission, _last_status(order, submission, error), error.exit_code, error)
    for note in ended.notes:
        watch.listener.warn(note)
    order.timings.seconds.update(queue=ended.queue, run=ended.run)
    watch.listener.note(_took(order, ended))
    return Outcome(submission, ended.info.status, ended.code, ended.error, ended.info)


def _last_status(order: Order, submission: Submission, error: JobError) -> str:
    """Returns the status of a job that met a limit; the one before if the cluster is lost by now."""
    with suppress(ClusterError, JobLostError):
        return order.cluster.client.info(submission.run.id).status
    return "PENDING" if isinstance(error, JobStartTimeoutError) else "RUNNING"


def _log(
    order: Order, submission: Submission, watch: Watch
) -> AbstractContextManager[Callable[[bytes], None]]:
    """Returns what takes the log while the job is followed, and keeps it in the store if the user asks."""
    if not order.options.saves_log:
        return nullcontext(watch.write)
    from raybundle.submission.recording.kept_log import keeping_log  # noqa: PLC0415 - few keep it

    return keeping_log(order.store, submission.run, watch.write, watch.listener.warn)


def _took(order: Order, ended: Ended) -> str:
    """Returns how long a job took, stage by stage, and where Ray's dashboard shows it."""
    info, seconds = ended.info, order.timings.seconds
    stages = ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.items() if spent >= SHOWN)
    page = f"{order.cluster.client.address}/#/jobs/{quote(info.submission_id)}"
    total, word = sum(seconds.values()), "in" if info.status == "SUCCEEDED" else "after"
    return f"job {info.submission_id} {info.status} {word} {total:.1f} s ({stages}) · {page}"


def _accepted(submission: Submission) -> Outcome:
    """Returns what is known about a job that is not waited for."""
    existing = submission.existing
    return Outcome(submission, "PENDING" if existing is None else existing.status, 0, info=existing)


def _is_retried(outcome: Outcome) -> bool:
    return isinstance(outcome.error, RETRIED) and not isinstance(outcome.error, JobStartTimeoutError)
