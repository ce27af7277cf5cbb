"""Times child processes: wall clock, CPU of the child and its own children, and what they printed."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Took:
    """One run of a command: seconds by the clock, seconds of CPU, stdout."""

    wall: float
    cpu: float
    stdout: str
    peak: float = 0.0
    """MiB that the command, or a child of its own, held at most."""


def timed(command: Sequence[str | Path], environ: Mapping[str, str], cwd: Path) -> Took:
    """Runs a command that must succeed."""
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        begin = time.perf_counter()
        child = subprocess.Popen(command, env=dict(environ), cwd=cwd, stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        if child.returncode != 0:
            said = f"{stdout.read()[-2000:]}\n{stderr.read()}"
            raise SystemExit(f"{' '.join(map(str, command))} ended with {child.returncode}:\n{said}")
        return Took(wall, usage.ru_utime + usage.ru_stime, stdout.read(), usage.ru_maxrss / 1024)


def median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 4)
