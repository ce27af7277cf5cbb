"""The keyword arguments of the functions that find and repeat past runs."""

from __future__ import annotations

from typing import Literal

from raybundle.api.keywords import ClusterKeywords, RunKeywords, StoreKeywords


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
