"""The keyword arguments of the methods of a job, of the decorator `job`, and of functions for past runs."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - `takes` reads the types
from typing import Literal, TypedDict

from raybundle.api.keywords import ClusterKeywords, RunKeywords, StoreKeywords, SubmitKeywords, WaitKeywords


class LogKeywords(TypedDict, total=False):
    """What of a log is read."""

    tail: int | None
    """Only the last lines."""


class StopKeywords(TypedDict, total=False):
    """How a job is stopped."""

    wait: bool
    """Returns only when the job has ended."""


class FunctionKeywords(SubmitKeywords, WaitKeywords, total=False):
    """What the bundle of a function has, what its job is besides that, and how it is followed."""

    write: Callable[[str], object] | None
    """Takes the job's log in pieces as it grows."""


class RerunKeywords(RunKeywords, total=False):
    """How a past run is repeated; what is not given is as it was."""

    accept_drift: bool
    """Runs it even if the cluster differs from that of the run."""


class RunsKeywords(StoreKeywords, ClusterKeywords, total=False):
    """Which runs of a store, and how the clusters that they ran on are reached."""

    of_name: str | None
    """Runs of a name: `fraud` or `fraud@3`."""
    status: Literal["OPEN", "SUCCEEDED", "FAILED", "STOPPED", "LOST"] | None
    """Runs of a status; `OPEN` has no recorded end."""
    user: str | None
    """Runs of a user."""
    since: float | None
    """Runs that started within this many seconds."""
    bundle: str | None
    """Runs of a bundle."""
    refresh: bool
    """Asks the clusters how runs without an end have ended."""
