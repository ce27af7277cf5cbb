"""Twelve realistic jobs: how each runs on this machine, what it imports, and what is planned."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.model import NAMED
from tests.support.nodes import REPOSITORY
from tests.support.users import user_environment
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Iterable

OBSERVER = Path(__file__).with_name("observer")
LONG = 300.0
"""Seconds for a job that starts its own Ray beside the cluster of three nodes."""

CONSTRAINTS = REPOSITORY / "scripts" / "constraints.txt"


@dataclass(frozen=True, slots=True)
class Job:
    """A folder of tests/projects, the words that run it, and the output of a successful run."""

    name: str
    words: tuple[str, ...]
    expected: str
    arguments: tuple[str, ...] = ()
    local: tuple[str, ...] = ("--local",)
    """Arguments for a run on this machine."""
    directory: str = "."
    """The user's current directory."""
    installs: tuple[str, ...] = ()
    """Directories of the project with an editable install."""
    starts_ray: bool = False
    """The run on this machine starts its own Ray."""
    python_path: str = ""
    """PYTHONPATH of the local run, relative to the current directory. Bundles have it as `roots`."""


JOBS = (
    Job("jobs_ray_data", ("rate.py",), "RATED 11.50 1.00 3", starts_ray=True),
    Job("jobs_features", ("train.py",), "CHURN 3 models", python_path="src"),
    Job("jobs_django", ("nightly.py",), "ORDERS AT=6050 CH=2200 DE=11000"),
    Job("jobs_alembic", ("load.py",), "WARMEST hill:4.0 port:8.5 town:9.5"),
    Job("jobs_hydra", ("run.py",), "PIPELINE 3.0 5.2 6.0", local=("mode=local",)),
    Job("jobs_plugins", ("check.py",), "QUALITY good:ok holes:completeness doubles:duplicates,ranges"),
    Job(
        "jobs_entry_points",
        ("jobs/backtest.py",),
        "BACKTEST naive=3.00 season=1.00 trend=3.71",
        installs=(".",),
    ),
    Job("jobs_walk", ("audit.py",), "AUDIT 2023:limits 2024:currency+names 2025:clean"),
    Job("jobs_lazy", ("smooth.py",), "SIGNALS drift=2.5/4.0 noise=0.5/2.5 pulse=4.0/4.0"),
    Job(
        "jobs_monorepo",
        ("score.py",),
        "SCORES graz=15.0 linz=2.5 wels=10.0",
        directory="apps/score",
        installs=("packages/acme-core", "packages/acme-io", "packages/acme-models", "packages/acme-web"),
    ),
    Job("jobs_settings", ("ingest_job.py",), "INGESTED people=2 orders=3 visits=1", python_path="src"),
    Job(
        "jobs_click",
        ("-m", "etl"),
        "LOADED ada=3 bea=4 cem=5 dea=6",
        arguments=("extract", "transform", "load"),
        directory="src",
    ),
)
"""The longest come first, because they decide when all are done."""

NEWCOMER = Job("newcomer", ("train.py",), "REPORT Aarhus=9.0", local=(), installs=(".",))
"""A project as those have it who submit for the first time: data by paths, a template, a model, plugins."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """First-party files of one job, relative to its copy."""

    job: Job
    imported: frozenset[str]
    """Files that a real run imported."""
    resolved: frozenset[str]
    opened: frozenset[str]
    """Files that a real run read, without code."""
    named: frozenset[str]
    """Files that the bundle has by the rule `path`."""

    @property
    def missed(self) -> list[str]:
        return sorted(self.imported - self.resolved)

    @property
    def needless(self) -> list[str]:
        return sorted(self.resolved - self.imported)


@dataclass(frozen=True, slots=True)
class Desk:
    """A copy of a job, and its user's environment."""

    job: Job
    work: Workplace
    base: Path
    python: Path

    @property
    def standing(self) -> Path:
        return self.base / self.job.directory

    def raybundle(self, command: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Runs a command with the job as its target, in the user's directory."""
        target = (*words, "--python", str(self.python), *self.job.words)
        return self.work.raybundle("--json", command, *target, cwd=self.standing)

    def seen(self) -> tuple[frozenset[str], frozenset[str]]:
        """Runs the job on this machine and returns its files that any process imported, and that any read."""
        notes = self.base.with_name(f"{self.job.name}.notes")
        driver = () if self.job.words[0] == "-m" else (self.job.words[0],)
        paths = [str(OBSERVER), *filter(None, [self.job.python_path])]
        environ = {
            "OBSERVER_NOTES": str(notes),
            "OBSERVER_BELOW": f"{self.base}/",
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "RAY_raylet_start_wait_time_s": "120",  # a start takes long beside a cluster of three nodes
        }
        argv = [str(self.python), *self.job.words, *self.job.local, *self.job.arguments]
        done = self.work.command(argv, cwd=self.standing, env=environ, timeout=LONG)
        assert done.returncode == 0, done.stderr
        assert self.job.expected in done.stdout, done.stdout
        lines = notes.read_text().splitlines()
        opened = {each.removeprefix("opened ") for each in lines if each.startswith("opened ")}
        ran = {each for each in lines if not each.startswith("opened ")}
        ran |= {str(self.standing / each) for each in driver}
        return self._relative(ran), self._relative(opened)

    def resolved(self) -> tuple[frozenset[str], frozenset[str]]:
        """Returns the files of the modules that `plan` lists, and the files that paths name."""
        done = self.raybundle("plan")
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        named = (each["file"] for each in document["data"] if each["reason"].endswith(NAMED))
        modules = (each["file"] for each in document["modules"] if each["file"])
        return self._relative(modules), self._relative(named)

    def built(self) -> str:
        """Builds the bundle and returns its digest."""
        done = self.raybundle("build")
        assert done.returncode == 0, done.stderr
        digest: str = json.loads(done.stdout)["bundle"]
        return digest

    def _relative(self, files: Iterable[str]) -> frozenset[str]:
        return frozenset(str(Path(file).relative_to(self.base)) for file in files)


def make_desk(job: Job, directory: Path, **environ: str) -> Desk:
    """Copies the job. A job with editable installs gets its own environment from uv."""
    work = make_workplace(directory / job.name, job.name, **environ)
    base = work.directory.resolve()
    python = _without_spaces(user_environment(), directory) / "bin" / "python"
    if job.installs:
        python = make_environment(directory / f"{job.name}-env", [base / each for each in job.installs])
    return Desk(job, work, base, python)


def _without_spaces(environment: Path, directory: Path) -> Path:
    """Returns a path of the environment without spaces, because Ray splits commands at spaces."""
    if " " not in str(environment):
        return environment
    link = directory / "user"
    with contextlib.suppress(FileExistsError):  # the thread of another job was faster
        link.symlink_to(environment)
    return link


def make_environment(directory: Path, projects: Iterable[Path]) -> Path:
    """Returns the interpreter of a new environment with Ray and editable installs of `projects`."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", directory], check=True)
    python = directory / "bin" / "python"
    editables = [word for each in projects for word in ("-e", str(each))]
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or "uv"
    install = [uv, "pip", "install", "-q", "-c", str(CONSTRAINTS), "--python", str(python), "ray[default]"]
    subprocess.run([*install, *editables], check=True)
    return python


def table(outcomes: Iterable[Outcome]) -> list[str]:
    """Returns lines with recall and precision of each job and of all jobs."""
    rows = [(each.job.name, each.imported, each.resolved) for each in outcomes]
    lines = [_row(name, len(a & b), len(a), len(b)) for name, a, b in rows]
    both, real, ours = (
        sum(len(a & b) for _, a, b in rows),
        sum(len(a) for _, a, _ in rows),
        sum(len(b) for _, _, b in rows),
    )
    head = f"{'':20}{'imported':>9}{'resolved':>9}{'recall':>9}{'precision':>10}"
    return [head, *lines, _row("all", both, real, ours)]


def _row(name: str, both: int, real: int, ours: int) -> str:
    return f"{name:20}{real:9}{ours:9}{both / real:9.1%}{both / ours:10.1%}"
