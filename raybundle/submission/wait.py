"""From a job that the cluster accepted to one that ended: follow it, say why it failed, record its end."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raybundle.cluster.follow import follow
from raybundle.cluster.jobs import JobsClient
from raybundle.cluster.outcome import boot_line, could_not_start, exit_code, job_error, named_node
from raybundle.errors import JobFailedError, JobLostError, JobStartError, StoreError
from raybundle.publish.runs.records import LOST, record_end
from raybundle.submission.deliver import find_damage
from raybundle.submission.recording.ending import end_run, noting
from raybundle.submission.recording.observed import observe

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.cluster.follow import Followed
    from raybundle.cluster.jobs import JobInfo
    from raybundle.cluster.stopping import Limits
    from raybundle.errors import JobError
    from raybundle.publish.stored import Stored
    from raybundle.submission.submit import Submission


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that ended: what the cluster says, how it counts, seconds in queue and run."""

    info: JobInfo
    error: JobError | None
    code: int
    queue: float
    run: float
    notes: tuple[str, ...] = ()
    """What else went wrong: a log that was cut, a record that could not be written."""


def wait(
    submission: Submission,
    write: Callable[[bytes], None],
    limits: Limits | None = None,
    *,
    own_code: bool = False,
    running: Callable[[], object] | None = None,
) -> Ended:
    """Returns how a job ended, once it did; by then its log is written and its end recorded.

    Args:
        submission: the job.
        write: takes its log in pieces, byte for byte.
        limits: when to stop it.
        own_code: records the driver's exit code instead of 20.
        running: is called once the job runs.

    Raises:
        JobLostError: the cluster no longer knows the job.
        ClusterError: the cluster cannot be reached.
        JobError: the job met a limit, and did not stop.
    """
    run, seen = submission.run, Observing(submission)
    begun = _begun(submission, running)
    followed = _followed(
        submission, partial(follow, write=write, limits=limits, running=begun, ended=seen.begin)
    )
    info, why, lost = followed.info, _why(submission, followed), followed.lost_log
    notes = [] if lost is None else [f"the log cannot be read to its end: {lost}"]
    code = exit_code(info, why, own=own_code)
    try:
        end_run(submission.store, run, info, code)
    except StoreError as failure:
        notes.append(f"the end of the run is not recorded: {failure}")
    return Ended(info, why, code, followed.queue, followed.run, (*notes, *seen.notes()))


def _followed(submission: Submission, follows: Callable[..., Followed]) -> Followed:
    """Returns a job that ended; one that the cluster no longer knows is recorded as lost."""
    run = submission.run
    try:
        return follows(submission.cluster.client, run.id, started=submission.submitted)
    except JobLostError as error:
        with contextlib.suppress(StoreError):
            record_end(submission.store, run, LOST, error.exit_code, error=str(error))
        raise


class Observing:
    """Records what the boot saw, while the log is read to its end and the end of the run is recorded."""

    def __init__(self, submission: Submission) -> None:
        self._submission = submission
        self._notes: list[str] = []
        self._thread: threading.Thread | None = None

    def begin(self, info: JobInfo) -> None:
        """Begins, on a connection of its own."""
        self._thread = threading.Thread(target=self._observe, args=(info,), name="observed", daemon=True)
        self._thread.start()

    def notes(self) -> list[str]:
        """Returns what it has to say, once it is done."""
        if self._thread is not None:
            self._thread.join()
        return self._notes

    def _observe(self, info: JobInfo) -> None:
        client = self._submission.cluster.client
        with contextlib.closing(JobsClient(client.access, client.notify)) as own:
            outside = observe(own, self._submission.store, self._submission.run, info)
        self._notes += [] if outside is None else [outside]


def _begun(submission: Submission, running: Callable[[], object] | None) -> Callable[[JobInfo], None]:
    """Returns what records the begin of a run, and calls `running` unless the job has ended by then."""
    note = noting(submission.store, submission.run)

    def begun(info: JobInfo) -> None:
        note(info)
        if running is not None and not info.ended:
            running()

    return begun


def _why(submission: Submission, followed: Followed) -> JobError | None:
    """Returns why a job that ended did not succeed, with what is known here about what it lacked."""
    info = followed.info
    why = followed.late or job_error(info, followed.log_end)
    if info.status == "FAILED" and could_not_start(info) and boot_line(info) is None:
        why = _diagnosed(submission, info) or why
    if isinstance(why, JobFailedError) and why.hint is None:
        why.hint = _hint_of_what_is_left(submission, followed.log_end)
    return why


def _hint_of_what_is_left(submission: Submission, log_end: str) -> str | None:
    """Returns a hint if a file or distribution is missing that is on this machine and not in the bundle."""
    from raybundle.cluster.left.distributions import hint_of_left_distribution  # noqa: PLC0415 - start-up
    from raybundle.cluster.left.files import hint_of_left_file  # noqa: PLC0415 - start-up

    manifest, project = submission.stored.manifest, submission.project
    if project is None:
        return None
    files = {file.path.removeprefix("project/") for file in manifest.files}
    there = {each.name for each in manifest.layers} | {each.name for each in manifest.provided}
    return hint_of_left_file(log_end, project, submission.run.cwd, files) or hint_of_left_distribution(
        log_end, submission.sites, there
    )


def _diagnosed(submission: Submission, info: JobInfo) -> JobError | None:
    """Returns a start error that says what is wrong with the archive, if something is.

    Ray's message has only the Python exception of its unpacking, without digests or the bundle.
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
    """Returns in words which distribution's archive a key names; empty for the bundle's own."""
    for entry in stored.manifest.layers:
        if key.startswith(f"layers/{entry.digest.removeprefix('sha256:')}"):
            return f"layer {entry.name} {entry.version}: "
    return ""


def _node(submission: Submission, info: JobInfo) -> str:
    """Returns the node that could not unpack the archive: the one in the message, else the head."""
    return named_node(info) or f"{urlsplit(submission.cluster.client.address).hostname} (head)"
