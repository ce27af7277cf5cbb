"""From a bundle in a store to a job that ended: deliver it, record, submit, follow, record again."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from raybundle.cluster.follow import Limits, follow
from raybundle.cluster.left_files import hint_of_left_file
from raybundle.cluster.outcome import boot_line, could_not_start, job_error
from raybundle.cluster.runtime_env import render_entrypoint, render_runtime_env
from raybundle.errors import (
    ClusterError,
    ClusterUnreachableError,
    JobFailedError,
    JobLostError,
    JobStartError,
    StoreError,
    UsageError,
)
from raybundle.outage import Outage
from raybundle.publish.runs import new_run, record_end, record_start
from raybundle.submission.deliver import Archives, deliver, find_damage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from raybundle.bundle.values import Manifest
    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.errors import JobError
    from raybundle.model import Digest, Warning
    from raybundle.publish.runs import Run
    from raybundle.store.base import Store
    from raybundle.submission.deliver import Cluster


IfExists = Literal["attach", "fail", "new"]
LABELS_SINCE = (2, 54)
"""The Ray whose Jobs API takes label selectors."""
SUBMIT_PATIENCE = 30.0
"""Seconds for which a submission that got no answer is sent again, unless the cluster knows the job."""
SUBMIT_DELAY = 1.0
"""Seconds between two tries."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A bundle in a store, as a submission needs it."""

    digest: Digest
    manifest: Manifest
    archive_key: str
    boot: str
    """Hex digest of the boot in the archive."""
    uploaded_bytes: int = 0
    """Bytes of the objects that were new to the store."""
    layer_keys: tuple[str, ...] = ()
    """Of the layers in the manifest's order, each followed by its byte-code where it has some."""
    delivery: str | None = None
    """Hex SHA-256 of the delivery, if the bundle has one."""
    warnings: tuple[Warning, ...] = ()
    """What the store has lost of it, and a run does without."""

    @property
    def archives(self) -> Archives:
        """Keys of all that travels."""
        return Archives(self.archive_key, self.layer_keys)


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a user may say of a job besides its bundle; `resources` as the Jobs API names them."""

    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    submission_id: str | None = None
    if_exists: IfExists = "attach"
    """What to do with a job of that id: follow it if it is the same, refuse, or take another id."""
    metadata: Mapping[str, str] | None = None
    resources: Mapping[str, Any] | None = None
    secrets: Mapping[str, str] | None = None
    """References to secrets by environment variable; the nodes resolve them."""
    runtime_env: Mapping[str, Any] | None = None
    """More keys of the `runtime_env`, such as `pip`."""
    cwd: str = ""
    """Where the job starts, relative to the project; empty for its root."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that the cluster accepted; `submitted` is `time.monotonic()` of that moment."""

    run: Run
    stored: Stored
    store: Store
    cluster: Cluster
    submitted: float
    existing: JobInfo | None = None
    """The job, where it was there before."""
    project: Path | None = None
    """What the bundle was made of, where that is here."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended: what the cluster says, the error where it is no success, seconds in queue and run."""

    info: JobInfo
    error: JobError | None
    queue: float
    run: float
    notes: tuple[str, ...] = ()
    """What went wrong beside the job: a log that was cut, a record that could not be written."""


def prepare_run(stored: Stored, cluster: Cluster, options: JobOptions) -> Run:
    """Returns the run that is about to start, with its id."""
    env, address = dict(options.env or {}), cluster.client.address
    chosen = options.submission_id
    if chosen is not None and options.if_exists == "new":
        chosen = _free_id(cluster.client, chosen)
    return new_run(stored.digest, options.arguments, env, address, chosen, cwd=options.cwd)


def _free_id(client: JobsClient, wanted: str) -> str:
    """Returns the first of `ID`, `ID-2`, `ID-3`, … that the cluster does not know."""
    candidate, number = wanted, 1
    while client.find(candidate) is not None:
        number += 1
        candidate = f"{wanted}-{number}"
    return candidate


def find_existing(run: Run, stored: Stored, cluster: Cluster, options: JobOptions) -> JobInfo | None:
    """Returns the job that a submission would repeat: of its id, with this bundle and these arguments.

    Raises:
        UsageError: the id is that of another job, or `if_exists` is `fail`.
        ClusterError: the cluster cannot be reached.
    """
    found = None if options.submission_id is None else cluster.client.find(run.id)
    if found is not None:
        _refuse_existing(found, options)
        _require_same(found, stored, render_entrypoint(stored.manifest, run.arguments))
    return found


def attach(existing: JobInfo, run: Run, stored: Stored, store: Store, cluster: Cluster) -> Submission:
    """Returns the submission by which an existing job was started: the same command starts one driver."""
    return Submission(_run_of(existing, run), stored, store, cluster, time.monotonic(), existing)


def submit(run: Run, stored: Stored, store: Store, cluster: Cluster, options: JobOptions) -> Submission:
    """Submits a bundle; its run is recorded before the cluster hears of it.

    Raises:
        UsageError: the id is that of another job or an earlier run, or an argument cannot travel.
        ClusterError: the cluster cannot be reached or refuses the job.
        StoreError: the archive or the record cannot be stored.
    """
    entrypoint = render_entrypoint(stored.manifest, run.arguments)
    _require_known(cluster.client, options)
    delivered = deliver(stored.archives, stored.manifest, store, cluster)
    runtime_env = render_runtime_env(
        stored.digest,
        stored.boot,
        delivered.bundle,
        run.env,
        options.secrets,
        passed=options.runtime_env,
        layers=delivered.layers,
        delivery=stored.delivery,
        cwd=run.cwd,
    )
    record_start(store, run)
    submitted = time.monotonic()
    body = {
        "entrypoint": entrypoint,
        "runtime_env": runtime_env,
        "metadata": {**(options.metadata or {}), "raybundle": stored.digest},
        **(options.resources or {}),
    }
    existing = _post(cluster.client, run.id, body)
    if existing is not None:
        _refuse_existing(existing, options)
        _require_same(existing, stored, entrypoint)
    return Submission(run, stored, store, cluster, submitted, existing)


def _require_known(client: JobsClient, options: JobOptions) -> None:
    """Refuses what the cluster's Ray is too old for; it would answer with a Python exception."""
    if "entrypoint_label_selector" not in (options.resources or {}):
        return
    version = client.version()
    if version < LABELS_SINCE:
        raise UsageError(
            f"Ray {version[0]}.{version[1]} on {client.address} knows no --entrypoint-label-selector",
            hint=f"it came with Ray {LABELS_SINCE[0]}.{LABELS_SINCE[1]}",
        )


def _post(client: JobsClient, submission_id: str, body: Mapping[str, Any]) -> JobInfo | None:
    """Submits a job; returns the one of that id that the cluster had already, if it had.

    A request without an answer may have been carried out, and Ray answers a second one with HTTP 500: so
    whatever goes wrong, the cluster is asked for the id, for as long as it takes to answer, up to a limit.
    """
    outage: Outage | None = None
    may_be_ours = False
    while True:
        try:
            client.submit(submission_id, body)
        except ClusterError as error:  # noqa: PERF203 - a request a second
            lost = isinstance(error, ClusterUnreachableError)
            may_be_ours = may_be_ours or lost
            outage = outage or Outage(SUBMIT_DELAY, SUBMIT_DELAY, patience=SUBMIT_PATIENCE)
            found = _find_patiently(client, submission_id, error, outage.left)
            if found is not None:
                return None if may_be_ours and _is_ours(found, body) else found
            if not (lost and outage.wait()):
                raise
            client.notify(f"warning: {error}; the cluster does not know the job: submitting it again")
        else:
            return None


def _find_patiently(
    client: JobsClient, submission_id: str, error: ClusterError, patience: float
) -> JobInfo | None:
    """Returns the job of an id after a submission that went wrong with `error`.

    Raises:
        ClusterUnreachableError: the cluster does not tell; it may have the job.
    """
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        raise error
    try:
        return client.find(submission_id, patience)
    except ClusterUnreachableError as silence:
        raise ClusterUnreachableError(
            f"{silence}; job {submission_id} may have been submitted",
            hint=f"`raybundle attach {submission_id}` follows it, if it was",
        ) from error


def _is_ours(found: JobInfo, body: Mapping[str, Any]) -> bool:
    return (found.entrypoint, dict(found.metadata)) == (body["entrypoint"], body["metadata"])


def _refuse_existing(found: JobInfo, options: JobOptions) -> None:
    if options.if_exists == "fail":
        raise UsageError(
            f"the cluster has a job with the id {found.submission_id}, which is {found.status}",
            hint="choose another --submission-id, or `--if-exists attach` or `new`",
        )


def _require_same(found: JobInfo, stored: Stored, entrypoint: str) -> None:
    """Refuses a job of the wanted id that is not the one which would be submitted."""
    theirs = found.metadata.get("raybundle")
    if theirs == stored.digest and found.entrypoint == entrypoint:
        return
    what = "other arguments" if theirs == stored.digest else f"another bundle ({theirs or 'none of ours'})"
    raise UsageError(
        f"the cluster has a job with the id {found.submission_id} and {what}",
        hint="choose another --submission-id, or `--if-exists new`",
    )


def _run_of(found: JobInfo, run: Run) -> Run:
    """Returns the run that a job of the cluster belongs to: that of the first submission."""
    if found.start_time is None:
        return run
    return replace(run, started=datetime.fromtimestamp(found.start_time / 1000, timezone.utc))


def wait(
    submission: Submission,
    write: Callable[[bytes], None],
    exit_code: Callable[[Ended], int],
    limits: Limits | None = None,
) -> Ended:
    """Returns how a job ended, once it did; its log has been written and its end recorded.

    Args:
        submission: the job.
        write: takes its log in pieces, byte for byte.
        exit_code: that of a job which ended so, for the record.
        limits: when to stop it.

    Raises:
        JobLostError: the cluster no longer knows the job.
        ClusterError: the cluster cannot be reached.
        JobError: the job met a limit, and did not stop.
    """
    client, run = submission.cluster.client, submission.run
    try:
        followed = follow(client, run.id, write, started=submission.submitted, limits=limits)
    except JobLostError as error:
        with contextlib.suppress(StoreError):
            record_end(submission.store, run, "LOST", error.exit_code, None)
        raise
    info = followed.info
    why, notes = followed.late or job_error(info, followed.log_end), []
    if followed.lost_log is not None:
        notes.append(f"the log cannot be read to its end: {followed.lost_log}")
    if info.status == "FAILED" and could_not_start(info) and boot_line(info) is None:
        why = _diagnosed(submission, info) or why
    if isinstance(why, JobFailedError) and why.hint is None and submission.project is not None:
        files = {file.path.removeprefix("project/") for file in submission.stored.manifest.files}
        why.hint = hint_of_left_file(followed.log_end, submission.project, run.cwd, files)
    ended = Ended(info, why, followed.queue, followed.run, tuple(notes))
    try:
        record_end(submission.store, run, info.status, exit_code(ended), info.driver_exit_code)
    except StoreError as failure:
        return replace(ended, notes=(*ended.notes, f"the end of the run is not recorded: {failure}"))
    return ended


def _diagnosed(submission: Submission, info: JobInfo) -> JobError | None:
    """Returns a start error that says what is wrong with the archive, where that is what is wrong.

    Ray's own message has the Python exception of its unpacking; it names neither digests nor the bundle.
    """
    stored, store = submission.stored, submission.store
    try:
        damage = find_damage(stored.archives, store)
    except StoreError:
        return None
    if damage is None:
        return None
    layer = _layer_of(stored, damage.key)
    return JobStartError(
        f"raybundle: boot failed: bundle {stored.digest}: node {_node(submission, info)}: {layer}"
        f"file {store.url}/{damage.key}: expected {damage.expected}, found {damage.found}",
        hint="the archive in the store was changed, cut or removed: remove it and build the bundle again",
    )


def _layer_of(stored: Stored, key: str) -> str:
    """Returns which distribution's archive a key names, in words; nothing for the bundle's own."""
    for entry in stored.manifest.layers:
        if key.startswith(f"layers/{entry.digest.removeprefix('sha256:')}"):
            return f"layer {entry.name} {entry.version}: "
    return ""


def _node(submission: Submission, info: JobInfo) -> str:
    """Returns the node that could not unpack the archive: that of the message, else the head."""
    named = re.search(r"(?:ip=|node_ip[^0-9]{1,4}|on node )([0-9.]{7,15})", info.message)
    return named.group(1) if named else f"{urlsplit(submission.cluster.client.address).hostname} (head)"
