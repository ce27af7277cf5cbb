"""What `doctor` and `path` take on three nodes, at first and again; needs root, for the nodes' namespaces."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from measure import Took, median, timed

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import PROBE, JobsClient
from tests.support.nodes import Nodes, require_namespaces
from tests.support.s3_server import s3_server

if TYPE_CHECKING:
    from collections.abc import Mapping

MODULES = 20
COMMANDS = {
    "doctor": ("doctor",),
    "doctor_target": ("doctor", "job.py"),
    "path": ("path",),
    "path_target": ("path", "job.py"),
    "path_plain": ("path", "--plain", "job.py"),
    "submit": ("submit", "--no-wait", "job.py"),
    "submit_check": ("submit", "--check", "--no-wait", "job.py"),
}
"""Each figure with its command. `submit --check` believes what the nodes said before."""


def measure(work: Path, environ: Mapping[str, str], rounds: int, environment: Path | None) -> dict[str, Any]:
    """Seconds of the first command of each kind, and the median of `rounds` after it."""
    require_namespaces()
    project = _make_project(work / "nodes")
    with Nodes(env=environment) as nodes, s3_server(ip=nodes.network()) as server:
        address = nodes.start_ray(server.environ)
        settings = {"RAYBUNDLE_ADDRESS": address, "RAYBUNDLE_STORE": server.prefix()}
        environ = {**environ, **server.environ, **settings}
        figures: dict[str, Any] = {"nodes": nodes.alive}
        for name, words in COMMANDS.items():
            first, *later = [_run(words, environ, project, address) for _ in range(rounds + 1)]
            figures[f"{name}_first_s"] = round(first.wall, 2)
            figures[f"{name}_s"] = median(each.wall for each in later)
            figures[f"{name}_worst_s"] = round(max(each.wall for each in later), 2)
            figures[f"{name}_cpu_s"] = median(each.cpu for each in later)
        return figures


def _run(words: tuple[str, ...], environ: Mapping[str, str], project: Path, address: str) -> Took:
    """Returns how long a command took that begins once no job runs, and the job that asked is removed."""
    with closing(JobsClient(make_access(address, {}))) as client:
        while any(
            each["status"] in ("PENDING", "RUNNING") or str(each["submission_id"]).startswith(PROBE)
            for each in client.get("/api/jobs/")
        ):
            time.sleep(0.2)
    took = timed([sys.executable, "-m", "raybundle", "--json", *words], environ, project)
    assert '"fault": "' not in took.stdout, json.loads(took.stdout)
    return took


def _make_project(project: Path) -> Path:
    package = project / "features"
    package.mkdir(parents=True)
    (project / "pyproject.toml").write_text('[project]\nname = "bench"\nversion = "1"\n')
    names = [f"module_{number}" for number in range(MODULES)]
    (project / "job.py").write_text(f"from features import {', '.join(names)}\n")
    for name in ("__init__", *names):
        (package / f"{name}.py").write_text("")
    return project


if __name__ == "__main__":
    raise SystemExit(f"{Path(__file__).name} is a part of scripts/bench")
