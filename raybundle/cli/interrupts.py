"""What Ctrl-C and SIGTERM do to a job: stop it, leave it, or ask."""

from __future__ import annotations

import shlex
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from raybundle.cli.main import Terminated
from raybundle.cluster.stopping import stop_and_wait
from raybundle.errors import ClusterError, JobLostError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.cli.console import Console
    from raybundle.cluster.jobs import JobsClient

ON_ITS_WAY = 1.5
"""Seconds that a submission may take which was sent when the interrupt came."""
Choice = Literal["stop", "detach", "ask"]


@contextmanager
def on_interrupt(client: JobsClient, submission_id: str, choice: Choice, console: Console) -> Iterator[None]:
    """Stops or leaves the job that its block submits or follows when an interrupt ends the block.

    A second interrupt ends this at once.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        client.close()  # the interrupt may have cut an answer short
        console.note("")
        if choice == "ask":
            choice = "stop" if isinstance(interrupt, Terminated) else _ask(submission_id)
        console.note(f"interrupted; `{attach_command(client, submission_id)}` follows the job again")
        if choice == "stop":
            _stop(client, submission_id, console)
        else:
            console.note(f"job {submission_id} goes on")
        raise


def attach_command(client: JobsClient, submission_id: str) -> str:
    """Returns the command line that follows a job."""
    return shlex.join(["raybundle", "--address", client.address, "attach", submission_id])


def _ask(submission_id: str) -> Choice:
    """Asks on the terminal; where there is none, nobody would be left to look after the job."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return "stop"
    sys.stderr.write(f"job {submission_id}: [s]top it, or [d]etach and let it go on? ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return "detach" if answer.strip().lower().startswith("d") else "stop"


def _stop(client: JobsClient, submission_id: str, console: Console) -> None:
    console.note(f"stopping job {submission_id}; a second interrupt leaves at once")
    try:
        try:
            info = stop_and_wait(client, submission_id)
        except JobLostError:
            time.sleep(ON_ITS_WAY)
            info = stop_and_wait(client, submission_id)
    except JobLostError:
        console.note(f"the cluster does not know job {submission_id}: nothing runs")
    except ClusterError as error:
        console.note(f"warning: cannot stop job {submission_id}: {error}")
    else:
        warning = "" if info.ended else "warning: it was asked to stop and has not ended: "
        console.note(f"{warning}job {submission_id} is {info.status}")
