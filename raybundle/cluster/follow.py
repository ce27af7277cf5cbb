"""Waits for a job and shows its log: the status decides, the log stream is a convenience."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.cluster.jobs import JobsClient
from raybundle.errors import ClusterError, JobLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.cluster.jobs import JobInfo

PENDING_DELAY = 0.1
"""Seconds between two questions for the status before the driver runs, which takes Ray a second or more."""
FIRST_DELAY = 0.04
"""Seconds between the first two questions after that."""
DELAY_SHARE = 0.04
"""The delay grows with the time that the driver runs: its end is noticed 2 % late on average."""
SILENCE = 0.5
"""Seconds that a driver runs before its log is streamed: the log of a shorter job is shown as a whole."""
PENDING_SILENCE = 3.0
"""Seconds more, before the log of a job that waits is streamed: it says what Ray sets up."""
LOG_END = 1 << 16
"""Characters of a log that are kept to find out why a job failed; its message has the last ten lines only."""
PATIENCE = 30.0
"""Seconds that the cluster may fail to answer while a job is followed."""
LONGEST_DELAY = 1.0
"""Seconds between two questions for the status of a job that has been running for long."""


@dataclass(frozen=True, slots=True)
class Followed:
    """A job that ended, and the seconds it took: until its driver started, and from there to its end."""

    info: JobInfo
    queue: float
    run: float
    log_end: str
    """The last `LOG_END` characters of the driver's log."""
    lost_log: ClusterError | None = None
    """Why the log could not be read to its end; the status decides how the job ended all the same."""


class _Printer:
    """Writes a log that arrives twice, as a stream and as a whole, once."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._written = 0
        self._lock = threading.Lock()
        self._closed = False

    def add(self, text: str) -> None:
        with self._lock:
            if not self._closed:
                self._write(text)
                self._written += len(text)

    def finish(self, whole: str) -> None:
        with self._lock:
            self._closed = True
            if len(whole) > self._written:
                self._write(whole[self._written :])


class _Tail:
    """The log stream, in a thread of its own once it is wanted; its end is a reason to ask for the status."""

    def __init__(self, address: str, submission_id: str, printer: _Printer) -> None:
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._words = (address, submission_id, printer)

    def start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-tail", daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> None:
        if self._ended.wait(seconds):
            self._ended.clear()

    def _run(self) -> None:
        address, submission_id, printer = self._words
        JobsClient(address).tail(submission_id, printer.add)
        self._ended.set()


def follow(
    client: JobsClient, submission_id: str, write: Callable[[str], None], started: float | None = None
) -> Followed:
    """Returns the job once its status is final; its whole log has been written by then.

    Args:
        client: of the cluster that runs the job.
        submission_id: of the job.
        write: takes the driver's log in pieces of text, in order.
        started: `time.monotonic()` of the submission; now if absent.

    Raises:
        ClusterError: the cluster cannot be reached, or no longer knows the job.
    """
    begin = time.monotonic() if started is None else started
    printer = _Printer(write)
    tail = _Tail(client.address, submission_id, printer)
    running_since = None
    while True:
        info = _patiently(client, submission_id)
        now = time.monotonic()
        if running_since is None and info.status != "PENDING":
            running_since = now
        if info.ended:
            break
        if now - (running_since or begin + PENDING_SILENCE) > SILENCE:
            tail.start()
        tail.wait(_delay(begin, running_since, now))
    running_since = running_since or now
    log_end, lost_log = _finish(client, submission_id, printer)
    return Followed(info, running_since - begin, now - running_since, log_end, lost_log)


def _patiently(client: JobsClient, submission_id: str) -> JobInfo:
    """Returns the job; what fails is asked for again for a while, for a job outlives its dashboard."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return client.info(submission_id)
        except JobLostError:
            raise
        except ClusterError as error:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{error}; job {submission_id} may still be running",
                    hint=f"`raybundle logs -f {submission_id}` follows it again",
                ) from error
        time.sleep(LONGEST_DELAY)


def _finish(client: JobsClient, submission_id: str, printer: _Printer) -> tuple[str, ClusterError | None]:
    try:
        log = client.logs(submission_id)
    except ClusterError as error:
        return "", error
    printer.finish(log)
    return log[-LOG_END:], None


def _delay(begin: float, running_since: float | None, now: float) -> float:
    """Returns the seconds until the next question; ever longer, for a long queue as for a long run."""
    first, since = (PENDING_DELAY, begin) if running_since is None else (FIRST_DELAY, running_since)
    return min(LONGEST_DELAY, max(first, (now - since) * DELAY_SHARE))
