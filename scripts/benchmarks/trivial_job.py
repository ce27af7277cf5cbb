"""A trivial job from command to exit: `raybundle submit` and `ray job submit` in turn, on a warm cluster."""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING, Any

from measure import Took, median, timed

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

JOB = """
import ray

@ray.remote
def double(number):
    return 2 * number

print(ray.get(double.remote(21)))
"""


def measure(work: Path, environ: Mapping[str, str], rounds: int, address: str) -> dict[str, Any]:
    project = work / "trivial"
    project.mkdir()
    (project / "job.py").write_text(JOB)
    client = JobsClient(make_access(address, environ))
    ours, theirs = [], []
    for number in range(rounds + 1):
        pair = (
            _run(client, [*_raybundle(), "job.py"], project, environ),
            _run(client, [*_ray(address), "python", "job.py"], project, environ),
        )
        if number > 0:  # the first pair warms up workers, caches and byte-code
            ours.append(pair[0])
            theirs.append(pair[1])
    figures = {**_figures("raybundle", ours), **_figures("ray", theirs)}
    return {**figures, "ratio": round(figures["raybundle_s"] / figures["ray_s"], 3), "pairs": rounds}


def _raybundle() -> list[str]:
    return [sys.executable, "-m", "raybundle", "submit"]


def _ray(address: str) -> list[str]:
    ray = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit"]
    return [*ray, "--address", address, "--working-dir", ".", "--"]


def _run(
    client: JobsClient, command: list[str], project: Path, environ: Mapping[str, str]
) -> tuple[Took, float]:
    """Returns what a submission took, and the seconds between start and end that the API tells."""
    identifier = f"bench-{secrets.token_hex(6)}"
    words = command.index("submit") + 1
    took = timed([*command[:words], "--submission-id", identifier, *command[words:]], environ, project)
    if "42" not in took.stdout:
        raise SystemExit(f"no result in the log of {identifier}:\n{took.stdout}")
    info = client.info(identifier)
    return took, ((info.end_time or 0) - (info.start_time or 0)) / 1000


def _figures(word: str, runs: list[tuple[Took, float]]) -> dict[str, float]:
    return {
        f"{word}_s": median(took.wall for took, _ in runs),
        f"{word}_api_s": median(api for _, api in runs),
        f"{word}_above_api_s": median(took.wall - api for took, api in runs),
        f"{word}_client_cpu_s": median(took.cpu for took, _ in runs),
    }
