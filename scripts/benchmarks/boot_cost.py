"""What the warm boot adds to the start of a Python process: `python -c pass` as a child of a job."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Took, median, timed

if TYPE_CHECKING:
    from collections.abc import Mapping

STARTS_A_ROUND = 20

JOB = """
import json, os, sys

names = ["PYTHONPATH", *(name for name in os.environ if name.startswith("RAYBUNDLE_"))]
print(json.dumps({"python": sys.executable, "environ": {name: os.environ[name] for name in names}}))
"""
"""Prints the environment that a child of the job has."""


def measure(work: Path, environ: Mapping[str, str], rounds: int) -> dict[str, Any]:
    project = work / "child"
    project.mkdir()
    (project / "job.py").write_text(JOB)
    log = timed([sys.executable, "-m", "raybundle", "submit", "job.py"], environ, project).stdout
    found = json.loads(next(line for line in log.splitlines() if line.startswith("{")))
    plain = {name: value for name, value in environ.items() if not name.startswith(("RAYBUNDLE_", "PYTHON"))}
    booted = {**plain, **found["environ"]}
    _check_boot(found["python"], booted)
    without: list[Took] = []
    with_boot: list[Took] = []
    for _ in range(rounds * STARTS_A_ROUND):
        without.append(timed([found["python"], "-c", "pass"], plain, Path("/")))
        with_boot.append(timed([found["python"], "-c", "pass"], booted, Path("/")))
    return {
        "without_ms": median(1000 * took.wall for took in without),
        "with_boot_ms": median(1000 * took.wall for took in with_boot),
        "boot_ms": median(1000 * (b.wall - a.wall) for a, b in zip(without, with_boot, strict=True)),
        "boot_cpu_ms": median(1000 * (b.cpu - a.cpu) for a, b in zip(without, with_boot, strict=True)),
        "pairs": len(without),
    }


def _check_boot(python: str, environ: Mapping[str, str]) -> None:
    path = timed([python, "-c", "import sys; print(sys.path)"], environ, Path("/")).stdout
    if environ["RAYBUNDLE_TREE"] not in path:
        raise SystemExit(f"the boot did not run in the child: {path}")
