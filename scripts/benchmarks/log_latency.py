"""Seconds from a line that a driver writes to its arrival at the client: the first, and those after it."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from measure import median

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOB = """
import random, time

time.sleep(random.uniform(0.0, 4.0))
for _ in range(5):
    print(f"WROTE {time.time()}", flush=True)
    time.sleep(random.uniform(0.5, 1.0))
"""


def measure(work: Path, environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    project = work / "latency"
    project.mkdir()
    (project / "job.py").write_text(JOB)
    first, later = [], []
    for _ in range(rounds):
        delays = _delays(project, environ)
        first.append(delays[0])
        later.extend(delays[1:])
    return {
        "first_line_s": median(first),
        "first_line_worst_s": round(max(first), 4),
        "later_lines_s": median(later),
        "jobs": rounds,
    }


def _delays(project: Path, environ: Mapping[str, str]) -> list[float]:
    """Returns the delay of each line, by the one clock of this machine."""
    command = [sys.executable, "-m", "raybundle", "--quiet", "submit", "job.py"]
    with subprocess.Popen(command, cwd=project, env=dict(environ), stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        return [time.time() - float(line.split()[1]) for line in child.stdout if line.startswith(b"WROTE ")]
