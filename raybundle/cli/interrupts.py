"""Handles Ctrl-C and SIGTERM while a job runs: stops it, detaches from it, or asks."""

from __future__ import annotations

import shlex
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from raybundle.cluster.stopping import stop_interrupted
from raybundle.errors import Terminated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.cli.output.console import Console
    from raybundle.cluster.jobs import JobsClient

Choice = Literal["stop", "detach", "ask"]


@contextmanager
def on_interrupt(client: JobsClient, submission_id: str, choice: Choice, console: Console) -> Iterator[None]:
    """Stops the job that its block submits or follows, or detaches from it, if an interrupt ends the block.

    A second interrupt leaves at once.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        client.close()  # an answer may be incomplete
        leave = f"interrupted; `{attach_command(client, submission_id)}` follows the job again"
        if choice == "ask" and not isinstance(interrupt, Terminated) and _has_terminal():
            console.note(f"\n{leave}")
            choice = _ask(submission_id)
        elif choice != "detach":
            choice = "stop"
        if choice == "stop":
            _stop(client, submission_id, console, leave)
        else:
            console.note(f"{leave}\njob {submission_id} goes on")
        raise


def attach_command(client: JobsClient, submission_id: str) -> str:
    """Returns the command line that follows a job."""
    return shlex.join(["raybundle", "--address", client.address, "attach", submission_id])


def _has_terminal() -> bool:
    """Returns whether there is a user to ask. Without one, the job would be left unattended too."""
    streams = (sys.stdin, sys.stderr)
    return all(stream is not None and stream.isatty() for stream in streams)


def _ask(submission_id: str) -> Choice:
    sys.stderr.write(f"job {submission_id}: [s]top it, or [d]etach and let it go on? ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    return "detach" if answer.strip().lower().startswith("d") else "stop"


def _stop(client: JobsClient, submission_id: str, console: Console, leave: str) -> None:
    info = stop_interrupted(client, submission_id, console, leave)
    if info is not None:
        console.facts["status"] = info.status
