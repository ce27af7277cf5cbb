"""From a bundle in a store to a job that ended: deliver, record, submit, follow, record again."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from raybundle.cluster.follow import follow
from raybundle.cluster.outcome import boot_line, could_not_start, job_error
from raybundle.cluster.runtime_env import render_entrypoint, render_runtime_env
from raybundle.errors import JobStartError, ObjectMissingError, StoreError
from raybundle.runs import new_run, record_end, record_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from raybundle.bundle.manifest import Manifest
    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.errors import JobError
    from raybundle.model import Digest
    from raybundle.runs import Run
    from raybundle.store.base import Store


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


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a job goes; `shares_disk` where its one node is this machine, as with the embedded cluster."""

    client: JobsClient
    shares_disk: bool


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a user may say of a job besides its bundle; `resources` as the Jobs API names them."""

    arguments: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    submission_id: str | None = None
    metadata: Mapping[str, str] | None = None
    resources: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Submission:
    """A job that the cluster accepted; `submitted` is `time.monotonic()` of that moment."""

    run: Run
    stored: Stored
    store: Store
    cluster: Cluster
    submitted: float


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended: what the cluster says, the error where it is no success, seconds in queue and run."""

    info: JobInfo
    error: JobError | None
    queue: float
    run: float
    notes: tuple[str, ...] = ()
    """What went wrong beside the job: a log that was cut, a record that could not be written."""


def deliver(stored: Stored, store: Store, cluster: Cluster) -> str:
    """Returns an URL by which the nodes get the archive; relays it through the Jobs API where they cannot.

    Raises:
        ClusterError: the archive is too large to be relayed.
    """
    url = store.node_url(stored.archive_key)
    if url is not None and url.startswith("file://") == cluster.shares_disk:
        return url
    name = f"_ray_pkg_raybundle_{stored.archive_key.rpartition('/')[2]}"
    if not cluster.client.has_package(name):
        cluster.client.put_package(name, store.get(stored.archive_key))
    return f"gcs://{name}"


def prepare_run(stored: Stored, cluster: Cluster, options: JobOptions) -> Run:
    """Returns the run that is about to start, with its id."""
    env, address = dict(options.env or {}), cluster.client.address
    return new_run(stored.digest, options.arguments, env, address, options.submission_id)


def submit(run: Run, stored: Stored, store: Store, cluster: Cluster, options: JobOptions) -> Submission:
    """Submits a bundle; its run is recorded before the cluster hears of it.

    Raises:
        UsageError: the id is that of an earlier run, or an argument cannot travel.
        ClusterError: the cluster cannot be reached or refuses the job.
        StoreError: the archive or the record cannot be stored.
    """
    entrypoint = render_entrypoint(stored.manifest, run.arguments)
    runtime_env = render_runtime_env(stored.digest, stored.boot, deliver(stored, store, cluster), run.env)
    record_start(store, run)
    submitted = time.monotonic()
    cluster.client.submit(
        run.id,
        {
            "entrypoint": entrypoint,
            "runtime_env": runtime_env,
            "metadata": {"raybundle": stored.digest, **(options.metadata or {})},
            **(options.resources or {}),
        },
    )
    return Submission(run, stored, store, cluster, submitted)


def wait(submission: Submission, write: Callable[[str], None], exit_code: Callable[[Ended], int]) -> Ended:
    """Returns how a job ended, once it did; its log has been written and its end recorded.

    Raises:
        ClusterError: the cluster cannot be reached, or no longer knows the job.
    """
    followed = follow(submission.cluster.client, submission.run.id, write, submission.submitted)
    info = followed.info
    error, notes = job_error(info, followed.log_end), []
    if followed.lost_log is not None:
        notes.append(f"the log cannot be read to its end: {followed.lost_log}")
    if info.status == "FAILED" and could_not_start(info) and boot_line(info) is None:
        error = _diagnosed(submission, info) or error
    ended = Ended(info, error, followed.queue, followed.run, tuple(notes))
    try:
        record_end(submission.store, submission.run, info.status, exit_code(ended), info.driver_exit_code)
    except StoreError as failure:
        return replace(ended, notes=(*ended.notes, f"the end of the run is not recorded: {failure}"))
    return ended


def _diagnosed(submission: Submission, info: JobInfo) -> JobError | None:
    """Returns a start error that says what is wrong with the archive, where that is what is wrong.

    Ray's own message has the Python exception of its unpacking; it names neither digests nor the bundle.
    """
    key = submission.stored.archive_key
    expected = key.rpartition("-")[2].removesuffix(".zip")
    try:
        found = "sha256 " + hashlib.sha256(submission.store.get(key)).hexdigest()
    except ObjectMissingError:
        found = "no such object"
    except StoreError:
        return None
    if found == f"sha256 {expected}":
        return None
    return JobStartError(
        f"raybundle: boot failed: bundle {submission.stored.digest}: node {_node(submission, info)}: "
        f"file {submission.store.url}/{key}: expected sha256 {expected}, found {found}",
        hint="the archive in the store was changed, cut or removed: remove it and build the bundle again",
    )


def _node(submission: Submission, info: JobInfo) -> str:
    """Returns the node that could not unpack the archive: that of the message, else the head."""
    named = re.search(r"(?:ip=|node_ip[^0-9]{1,4}|on node )([0-9.]{7,15})", info.message)
    return named.group(1) if named else f"{urlsplit(submission.cluster.client.address).hostname} (head)"
