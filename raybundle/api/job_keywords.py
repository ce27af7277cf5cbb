"""The keyword arguments of the methods of a job, and of the decorator `job`."""

from __future__ import annotations

from collections.abc import Callable  # noqa: TC003 - `takes` reads the types
from typing import TypedDict

from raybundle.api.keywords import SubmitKeywords, WaitKeywords


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
