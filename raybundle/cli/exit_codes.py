"""Turns the end of a job into an exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.errors import (
    JobError,
    JobFailedError,
)

if TYPE_CHECKING:
    from raybundle.cluster.jobs import JobInfo


def exit_code(info: JobInfo, error: JobError | None, *, own: bool = False) -> int:
    """Returns the exit code for a job that ended; `own` returns the driver's instead of 20."""
    if error is None:
        return 0
    driver = info.driver_exit_code
    if own and driver and isinstance(error, JobFailedError):
        return driver if 0 < driver < 256 else 128 + abs(driver)  # noqa: PLR2004 - a signal is negative
    return error.exit_code
