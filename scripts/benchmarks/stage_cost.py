"""Where the time of a warm `raybundle submit job.py` goes: its stages, by the clock and by the CPU."""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivial_job import JOB

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient

if TYPE_CHECKING:
    from collections.abc import Mapping

COMMAND = Path(__file__).parent / "staged_command.py"
THE_JOB, NOTICED, LAST = "the job, until its end is noticed", "its end is noticed", "the process ends"


def measure(work: Path, environ: Mapping[str, str], rounds: int, address: str) -> dict[str, Any]:
    """Returns a row for each stage: medians of milliseconds by the clock, of CPU, and of imports in it."""
    project = work / "stages"
    project.mkdir()
    (project / "job.py").write_text(JOB)
    client = JobsClient(make_access(address, environ))
    runs = [_run(client, project, environ) for _ in range(rounds + 1)][1:]  # the first one warms up
    stages = [
        [stage, *(round(statistics.median(run[stage][kind] for run in runs)) for kind in range(3))]
        for stage in runs[0]
    ]
    return {"rows": stages, "runs": rounds}


def _run(
    client: JobsClient, project: Path, environ: Mapping[str, str]
) -> dict[str, tuple[float, float, float]]:
    """Returns the milliseconds of each stage of one submission."""
    name = f"bench-{secrets.token_hex(6)}"
    before = time.time()
    done = subprocess.run(
        [sys.executable, COMMAND, "submit", "--submission-id", name, "job.py"],
        cwd=project,
        env=dict(environ),
        capture_output=True,
        text=True,
        check=True,
    )
    after = time.time()
    told = next(line for line in done.stderr.splitlines() if line.startswith("STAGES "))
    end = (client.info(name).end_time or 0) / 1000
    marks = [*json.loads(told.removeprefix("STAGES ")), [LAST, after, *(0.0, 0.0)]]
    found: dict[str, tuple[float, float, float]] = {}
    last = (before, 0.0, 0.0)
    for stage, *now in marks:
        wall, cpu, imports = (1000 * max(0.0, there - here) for here, there in zip(last, now, strict=True))
        if stage == THE_JOB:
            late = 1000 * (now[0] - end)
            found["the job runs"] = (wall - late, cpu, imports)
            found[NOTICED] = (late, 0.0, 0.0)
        else:
            found[stage] = (wall, cpu, imports)
        last = tuple(now)
    return found
