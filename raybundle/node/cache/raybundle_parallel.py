"""Works on many files with all processors, in forked processes, because compiling holds the GIL.

A fork is safe here: the boot runs before any other code can start a thread. The children inherit the
parent's locks. If the parent is killed, they end at once, because other processes wait for these locks.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MOST_PROCESSES = 8
"""More processes only wait for disk and memory (measured)."""
WORTH_IT = 0.1
"""Seconds of work that justify one more process."""
WATCH = 0.1
"""Seconds between two checks of a child that its parent lives."""
DONE, OS_ERROR = "done", "OSError\0"
"""The answer of a child that could do its share, and the start of one that could not write."""


def run(work: Callable[[Any], None], jobs: Sequence[Any], cost: Callable[[Any], float]) -> None:
    """Calls `work` with each job.

    Args:
        work: does a job; raises RuntimeError or OSError if it cannot.
        jobs: in any order; each has the `target` that it writes.
        cost: about how many seconds a job takes.

    Raises:
        RuntimeError: a job failed.
        OSError: a file cannot be read or written.
    """
    number = min(processes(), 1 + int(sum(map(cost, jobs)) / WORTH_IT))
    shares = _shared(jobs, cost, number)
    children = [_start(work, share) for share in shares[1:]]
    try:
        for job in shares[0]:
            work(job)
    finally:
        answers = [_finish(*child) for child in children]
    for answer in answers:
        if answer != DONE:
            raise _failure(answer)


def processes() -> int:
    """Returns how many processes work at a time, if there is enough to do."""
    if hasattr(os, "sched_getaffinity"):
        return min(MOST_PROCESSES, len(os.sched_getaffinity(0)))
    return min(MOST_PROCESSES, os.cpu_count() or 1)


def _shared(jobs: Sequence[Any], cost: Callable[[Any], float], number: int) -> list[list[Any]]:
    """Returns the jobs in `number` shares that take about as long: the longest first, to whom has least."""
    shares: list[list[Any]] = [[] for _ in range(number)]
    loads = [0.0] * number
    for job in sorted(jobs, key=cost, reverse=True):
        least = loads.index(min(loads))
        shares[least].append(job)
        loads[least] += cost(job)
    return shares


def _start(work: Callable[[Any], None], jobs: Sequence[Any]) -> tuple[int, int]:
    """Returns a new process that does these jobs, and the descriptor to read its answer from."""
    reading, writing = os.pipe()
    parent = os.getpid()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    answer = "files of a layer: expected to be written, found their process interrupted"
    try:
        _end_with(parent)
        for job in jobs:
            work(job)
        answer = DONE
    except RuntimeError as error:
        answer = str(error)
    except OSError as error:  # a write to a full disk names no file
        answer = f"{OS_ERROR}{error.errno}\0{error.filename or job.target}"
    except BaseException as error:  # noqa: BLE001 - the answer reports any failure
        answer = f"{type(error).__name__}: {error}"
    finally:
        os.write(writing, answer.encode(errors="surrogateescape"))
        os._exit(0)


def _failure(answer: str) -> Exception:
    """Returns the error that a child answered with."""
    if answer.startswith(OS_ERROR):
        number, _, file = answer.removeprefix(OS_ERROR).partition("\0")
        return OSError(int(number), os.strerror(int(number)), file)
    return RuntimeError(answer or "files of a layer: expected to be written, found their process dead")


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent, even in the middle of a large file."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, WATCH, WATCH)


def _finish(process: int, reading: int) -> str:
    with open(reading, encoding="utf-8", errors="surrogateescape") as stream:
        answer = stream.read()
    try:
        os.waitpid(process, 0)
    except ChildProcessError:
        pass  # SIGCHLD is ignored, so the kernel has reaped the child
    return answer
