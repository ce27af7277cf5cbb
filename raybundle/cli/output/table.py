"""Tables that fit a terminal."""

from __future__ import annotations

import shutil
import sys
import textwrap
import time
from typing import TYPE_CHECKING

from raybundle.cluster.runtime_env import command_text
from raybundle.formats.amounts import duration_text
from raybundle.formats.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.cluster.jobs import JobInfo

_HEADER = ("ID", "STATUS", "STARTED", "TOOK", "COMMAND")
_TIME = "%Y-%m-%d %H:%M:%S"


def job_rows(jobs: Sequence[JobInfo]) -> Iterator[str]:
    """Yields a header and a line for each job; on a terminal, the last column is cut to its width."""
    yield from rows_of(_HEADER, [(job.submission_id, *facts(job)) for job in jobs])


def rows_of(header: Sequence[str], cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields a header and a line for each row; on a terminal, the last column is cut to its width."""
    rows = [list(header), *(list(map(one_line, row)) for row in cells)]
    widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]]
    columns = room()
    for row in rows:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        yield _cut("  ".join([*padded, row[-1]]), columns)


def room() -> int | None:
    """Returns how many columns the terminal has; None if stdout is not a terminal."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else None


def wrapped(line: str, columns: int | None) -> list[str]:
    """Returns a line as lines that fit the terminal; no word is broken, so that paths can be copied.

    Args:
        line: of prose; what continues it is indented more. A line that begins with `next:` stays as it is.
        columns: of the terminal; None if there is none.
    """
    if columns is None or len(line) <= columns or line.lstrip().startswith("next:"):
        return [line]
    text = line.lstrip()
    indent = " " * (len(line) - len(text))
    return textwrap.wrap(
        text,
        columns,
        initial_indent=indent,
        subsequent_indent=f"{indent}    ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def facts(job: JobInfo) -> tuple[str, str, str, str]:
    """Returns status, start in local time, duration and command of a job."""
    if job.start_time is None:
        return job.status, "-", "-", command_text(job.entrypoint)
    end = time.time() * 1000 if job.end_time is None else job.end_time
    started = time.strftime(_TIME, time.localtime(job.start_time / 1000))
    took = duration_text(max(0.0, (end - job.start_time) / 1000))
    return job.status, started, took, command_text(job.entrypoint)


def _cut(line: str, columns: int | None) -> str:
    return line if columns is None or len(line) <= columns else line[: columns - 1] + "…"
