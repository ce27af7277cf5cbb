"""The keyword arguments of the methods of a job."""

from __future__ import annotations

from typing import TypedDict


class LogKeywords(TypedDict, total=False):
    """What of a log is read."""

    tail: int | None
    """Only the last lines."""


class StopKeywords(TypedDict, total=False):
    """How a job is stopped."""

    wait: bool
    """Returns only when the job has ended."""
