"""Does work on many files with all processors: in forked processes, because compiling holds the interpreter.

The boot runs before anything else has started a thread, so a fork is safe here. The children have the
parent's locks: where the parent is killed, nobody else begins before they have ended, so they end at once.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MOST_PROCESSES = 8
"""More of them wait for the disk, and for memory, on the nodes that we have measured."""
WORTH_IT = 0.1
"""Seconds of work below which a process of its own costs more than it saves."""
WATCH = 0.1
"""Seconds after which a process looks again whether its parent lives."""


def run(work: Callable[[Any], None], jobs: Sequence[Any], cost: Callable[[Any], float]) -> None:
    """Does `work` for each job.

    Args:
        work: raises what is wrong with a job.
        jobs: in any order.
        cost: about how many seconds a job takes.

    Raises:
        RuntimeError: what one of the processes found wrong.
        OSError: likewise, in what this process did.
    """
    ordered = sorted(jobs, key=cost, reverse=True)
    number = min(MOST_PROCESSES, _processors(), 1 + int(sum(map(cost, jobs)) / WORTH_IT))
    children = [_start(work, ordered[first::number]) for first in range(1, number)]
    try:
        for job in ordered[::number]:
            work(job)
    finally:
        answers = [_finish(*child) for child in children]
    for answer in answers:
        if answer != "done":
            raise RuntimeError(answer or "file of a layer: expected to be written, found its process dead")


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _start(work: Callable[[Any], None], jobs: Sequence[Any]) -> tuple[int, int]:
    """Returns the process that does these jobs, and where it answers."""
    reading, writing = os.pipe()
    parent = os.getpid()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    answer = "file of a layer: expected to be written, found its process interrupted"
    try:
        _end_with(parent)
        for job in jobs:
            work(job)
        answer = "done"
    except RuntimeError as error:
        answer = str(error)
    except OSError as error:
        answer = f"file {error.filename or jobs[0][0]}: {error.strerror}"
    except BaseException as error:  # noqa: BLE001 - nothing leaves this process but its answer
        answer = f"{type(error).__name__}: {error}"
    finally:
        os.write(writing, answer.encode(errors="backslashreplace"))
        os._exit(0)


def _end_with(parent: int) -> None:
    """Ends this process soon after its parent, in the midst of a large file too."""

    def look(*_: object) -> None:
        if os.getppid() != parent:
            os._exit(1)

    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, WATCH, WATCH)


def _finish(process: int, reading: int) -> str:
    with open(reading, encoding="utf-8") as stream:
        answer = stream.read()
    try:
        os.waitpid(process, 0)
    except ChildProcessError:
        pass  # whoever started this process has its children reaped by the kernel
    return answer
