"""Waits for a job and shows its log: the status alone decides how the job ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.cluster.logs import LogReader
from raybundle.cluster.pending import why_pending
from raybundle.cluster.stopping import STOP_TIMEOUT, Limits, stop_and_wait
from raybundle.errors import ClusterError, JobStartTimeoutError, JobTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.errors import JobError, RaybundleError

FIRST_DELAY = 0.1
"""Seconds between two questions for the status of a job that was just submitted, or has just started."""
LONGEST_DELAY = 2.0
"""Seconds between two questions, a minute later."""
DELAY_SHARE = LONGEST_DELAY / 60
"""The delay grows with the time that passed: an end is noticed 1.7 % late on average."""
PATIENCE = 45.0
"""Seconds for which the cluster may fail to answer while a job is followed: a job outlives its dashboard."""
WITHDRAWN = "JOB_SUPERVISOR_ACTOR_DIED"
"""What the cluster says of a job that was stopped before it had a node."""
PENDING_SILENCE, PENDING_DELAY = 5.0, 30.0
"""Seconds until the user hears what a PENDING job waits for, and between two looks at the reason."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A job that ended, and the seconds it took: until its driver started, and from there to its end."""

    info: JobInfo
    queue: float
    run: float
    log_end: str
    """The end of the driver's log."""
    late: JobError | None = None
    """The limit that stopped it, if one did."""
    lost_log: RaybundleError | None = None
    """Why the log could not be read to its end; that does not change how the job ended."""


@dataclass(slots=True)
class Watch:
    """What is known of a job while it is followed; times are those of `time.monotonic()`."""

    client: JobsClient
    id: str
    limits: Limits
    begin: float
    running_since: float | None = None
    late: JobError | None = None
    said: str = ""
    running: Callable[[JobInfo], None] | None = None
    ended: Callable[[JobInfo], None] | None = None
    longest: float = LONGEST_DELAY
    """Seconds between two questions, when the delay has grown."""
    explain_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.explain_at = self.begin + PENDING_SILENCE

    def take(self, info: JobInfo) -> None:
        """Takes a status: says what a job waits for, and stops one that has met a limit."""
        now = time.monotonic()
        if self.running_since is None and info.status != "PENDING":
            self.running_since = now
            if self.running is not None:
                self.running(info)
        if info.ended and self.ended is not None:
            self.ended(info)
        if info.status == "PENDING" and now >= self.explain_at:
            self._explain(info)
        if not info.ended and self.late is None:
            self.late = self._met_limit(now, info)
            if self.late is not None:
                self._stop(self.late)

    def _explain(self, info: JobInfo) -> None:
        self.explain_at = time.monotonic() + PENDING_DELAY
        reason = why_pending(self.client, info)
        if reason != self.said:
            self.client.notify(f"job {self.id} is PENDING: {reason}")
            self.said = reason

    def _stop(self, late: JobError) -> None:
        """Stops the job; even if that cannot be confirmed, the error names the limit."""
        self.client.notify(f"{late}: stopping it")
        try:
            stopped = stop_and_wait(self.client, self.id).ended
            why = f"it was asked to stop and has not ended after {STOP_TIMEOUT:.0f} s"
        except ClusterError as error:
            stopped, why = False, f"it could not be stopped: {error}"
        if not stopped:
            raise late.reworded(f"{late}; {why}", hint=f"`raybundle stop {self.id}` tries again") from None

    def _met_limit(self, now: float, info: JobInfo) -> JobError | None:
        passed = now - self.begin
        if self.limits.end is not None and passed >= self.limits.end:
            return JobTimeoutError(f"job {self.id} has not ended within {self.limits.end:g} s (--timeout)")
        if self.running_since is None and self.limits.start is not None and passed >= self.limits.start:
            reason = why_pending(self.client, info)
            return JobStartTimeoutError(
                f"job {self.id} has not started within {self.limits.start:g} s (--start-timeout): {reason}"
            )
        return None

    def late_end(self, info: JobInfo) -> JobError | None:
        """Returns the limit that stopped a job that has ended, if one did."""
        was_stopped = info.status == "STOPPED" or info.error_type == WITHDRAWN
        return self.late if was_stopped else None

    def delay(self) -> float:
        """Returns the seconds until the next question; they grow with the time in the queue or in the run."""
        now = time.monotonic()
        since = self.begin if self.running_since is None else self.running_since
        limits = [self.limits.end, None if self.running_since else self.limits.start]
        due = [self.begin + limit - now for limit in limits if limit is not None]
        return max(0.0, min([self.longest, max(FIRST_DELAY, (now - since) * DELAY_SHARE), *due]))


def follow(  # noqa: PLR0913 - one per option of the user
    client: JobsClient,
    submission_id: str,
    write: Callable[[bytes], None],
    *,
    started: float | None = None,
    limits: Limits | None = None,
    last_lines: int | None = None,
    running: Callable[[JobInfo], None] | None = None,
    ended: Callable[[JobInfo], None] | None = None,
) -> Followed:
    """Returns the job once its status is final; its whole log has been written by then.

    Args:
        client: of the cluster that runs the job.
        submission_id: of the job.
        write: takes the driver's log in pieces, in order, byte for byte.
        started: `time.monotonic()` of the submission; now if absent.
        limits: when to stop the job.
        last_lines: lines to write of the existing log; all if absent.
        running: is told once, when the job is no longer PENDING.
        ended: is told once, when its status is final.

    Raises:
        JobLostError: the cluster no longer knows the job.
        ClusterError: the cluster cannot be reached.
        JobError: the job met a limit, and did not stop.
    """
    begin, limits = time.monotonic() if started is None else started, limits or Limits()
    watch = Watch(client, submission_id, limits, begin, running=running, ended=ended)
    log = LogReader(client, submission_id, write, last_lines)
    # If the job has not been seen yet, its cluster may not exist at all.
    watch.take(info := _ask(client, submission_id, PATIENCE if started is not None else None))
    while not info.ended:
        log.watch(info, watch.delay())
        watch.take(info := _ask(client, submission_id, PATIENCE))
    end = time.monotonic()
    lost_log = log.finish(info)
    since = watch.running_since or end
    return Followed(info, since - begin, end - since, log.end, watch.late_end(info), lost_log)


def _ask(client: JobsClient, submission_id: str, patience: float | None) -> JobInfo:
    try:
        return client.info(submission_id, patience)
    except ClusterError as error:
        if patience is None:
            raise
        raise error.reworded(
            f"{error}; job {submission_id} may still be running",
            hint=f"`raybundle attach {submission_id}` follows it again",
        ) from error
