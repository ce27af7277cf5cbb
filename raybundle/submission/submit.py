"""From a bundle in a store to a job that the cluster accepted: deliver, record, submit."""

from __future__ import annotations

import contextlib
import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from raybundle.cluster.jobs import FUNCTION, TOKEN
from raybundle.cluster.runtime_env import render_command, render_runtime_env
from raybundle.errors import (
    ClusterError,
    ClusterUnreachableError,
    ObjectMissingError,
    StoreError,
    UsageError,
)
from raybundle.outage import Outage
from raybundle.publish.keeping import recheck
from raybundle.publish.layout import run_key
from raybundle.publish.runs.records import find_recorded, forget_start, record_start
from raybundle.publish.runs.run import new_run
from raybundle.submission.deliver import deliver
from raybundle.submission.recording.nodes import recorded_nodes
from raybundle.submission.recording.origin import client_facts
from raybundle.submission.recording.public import public_facts

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.publish.runs.run import Run
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store
    from raybundle.submission.deliver import Cluster
    from raybundle.submission.options import JobOptions


LABELS_SINCE = (2, 54)
"""The first Ray whose Jobs API takes label selectors."""
SUBMIT_PATIENCE = 30.0
"""Seconds for which a submission without an answer is sent again, unless the cluster knows the job."""
SUBMIT_DELAY = 1.0
"""Seconds between two tries."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that the cluster accepted; `submitted` is `time.monotonic()` of that moment."""

    run: Run
    stored: Stored
    store: Store
    cluster: Cluster
    submitted: float
    existing: JobInfo | None = None
    """The job, if the cluster had it already."""
    project: Path | None = None
    """What the bundle was made of, if that is on this machine."""
    sites: tuple[str, ...] = ()
    """The site-packages directories that its distributions are from."""


def prepare_run(
    stored: Stored, cluster: Cluster, options: JobOptions, origin: Mapping[str, Any] | None = None
) -> Run:
    """Returns the run that is about to start, with its id; `origin` says what its sources are."""
    env, address = dict(options.env), cluster.client.address
    chosen = options.submission_id
    if chosen is not None and options.if_exists == "new":
        chosen = _free_id(cluster.client, chosen)
    run = new_run(stored.digest, options.arguments, env, address, chosen, cwd=options.cwd)
    name = {} if stored.name is None else {"name": stored.name}
    nodes = recorded_nodes(cluster, stored.manifest)
    facts = {**client_facts(), **nodes, **name, **(origin or {}), **public_facts(options)}
    session = None if chosen is None else cluster.client.session()
    return replace(run, session=session, facts=facts)


def _free_id(client: JobsClient, wanted: str) -> str:
    """Returns the first of `ID`, `ID-2`, `ID-3`, … that the cluster does not know."""
    candidate, number = wanted, 1
    while client.find(candidate) is not None:
        number += 1
        candidate = f"{wanted}-{number}"
    return candidate


def find_existing(run: Run, stored: Stored, cluster: Cluster, options: JobOptions) -> JobInfo | None:
    """Returns the job that a submission would repeat: same id, same bundle, same arguments.

    Raises:
        UsageError: the id is that of another job, or `if_exists` is `fail`.
        ClusterError: the cluster cannot be reached.
    """
    found = None if options.submission_id is None else cluster.client.find(run.id)
    if found is not None:
        _refuse_existing(found, options)
        _require_same(found, stored, render_command(stored.manifest, run.arguments))
    return found


def attach(existing: JobInfo, run: Run, stored: Stored, store: Store, cluster: Cluster) -> Submission:
    """Returns the submission of an existing job: repeating a command starts no second driver."""
    return Submission(_run_of(existing, run, store), stored, store, cluster, time.monotonic(), existing)


def submit(run: Run, stored: Stored, store: Store, cluster: Cluster, options: JobOptions) -> Submission:
    """Submits a bundle; its run is recorded before the request goes to the cluster.

    Raises:
        UsageError: the id is that of another job or an earlier run, or an argument cannot travel.
        ClusterError: the cluster cannot be reached or refuses the job.
        StoreError: the archive or the record cannot be stored.
    """
    entrypoint = render_command(stored.manifest, run.arguments)
    _require_known(cluster.client, options)
    delivered = deliver(stored, store, cluster)
    runtime_env = render_runtime_env(
        stored.digest,
        delivered.boot,
        delivered.bundle,
        run.env,
        options.secrets,
        passed=options.runtime_env,
        layers=delivered.layers,
        source=delivered.source,
        delivery=stored.delivery,
        cwd=run.cwd,
        signatures=stored.signatures,
    )
    run, ended = _record(run, stored, store, cluster, options)
    if ended is not None:
        return attach(ended, run, stored, store, cluster)
    _recheck(run, stored, store, cluster)
    submitted = time.monotonic()
    token = {TOKEN: secrets.token_hex(16)} if FUNCTION in options.metadata else {}
    metadata = {**options.metadata, **token, "raybundle": stored.digest}
    body = {"entrypoint": entrypoint, "runtime_env": runtime_env, "metadata": metadata, **options.resources}
    existing = _post(cluster.client, run.id, body)
    if existing is not None:
        _refuse_existing(existing, options)
        _require_same(existing, stored, entrypoint)
    return Submission(run, stored, store, cluster, submitted, existing)


def _record(
    run: Run, stored: Stored, store: Store, cluster: Cluster, options: JobOptions
) -> tuple[Run, JobInfo | None]:
    """Records a run before its submission.

    Returns:
        The run as it is recorded, and the job, if another client of the same submission was faster and its
        job has ended by now.
    """
    try:
        return record_start(store, run), None
    except UsageError:
        ended = find_existing(run, stored, cluster, options)
        if ended is None:
            raise
        return run, ended


def _recheck(run: Run, stored: Stored, store: Store, cluster: Cluster) -> None:
    """Looks for the bundle once its run is recorded; from now on `gc` leaves it alone."""
    try:
        recheck(store, stored, run_key(run.id, run.started), cluster.client.notify)
    except ObjectMissingError:
        forget_start(store, run)
        raise


def _require_known(client: JobsClient, options: JobOptions) -> None:
    """Refuses options that the cluster's Ray does not know; it would answer with a Python exception."""
    if "entrypoint_label_selector" not in options.resources:
        return
    version = client.version()
    if version < LABELS_SINCE:
        raise UsageError(
            f"Ray {version[0]}.{version[1]} on {client.address} knows no --entrypoint-label-selector",
            hint=f"it came with Ray {LABELS_SINCE[0]}.{LABELS_SINCE[1]}",
        )


def _post(client: JobsClient, submission_id: str, body: Mapping[str, Any]) -> JobInfo | None:
    """Submits a job; returns the job that already had the id, if there was one.

    The cluster may have carried out a request without an answer, and Ray answers a second one with HTTP 500.
    So after any error the cluster is asked for the id, until it answers or a limit is reached.
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
    """Refuses an existing job of the wanted id that differs from the one to submit."""
    theirs = found.metadata.get("raybundle")
    if theirs == stored.digest and found.entrypoint == entrypoint:
        return
    what = "other arguments" if theirs == stored.digest else f"another bundle ({theirs or 'none of ours'})"
    raise UsageError(
        f"the cluster has a job with the id {found.submission_id} and {what}",
        hint="choose another --submission-id, or `--if-exists new`",
    )


def _run_of(found: JobInfo, run: Run, store: Store) -> Run:
    """Returns the run of a job of the cluster: that of its first submission, if the store has its record."""
    with contextlib.suppress(StoreError):
        recorded = find_recorded(store, run.id)
        if recorded is not None:
            return replace(run, started=recorded.started)
    if found.start_time is None:
        return run
    return replace(run, started=datetime.fromtimestamp(found.start_time / 1000, timezone.utc))
