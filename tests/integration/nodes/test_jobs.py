"""Twelve jobs as users have them: what they import is resolved, little else is, and they run as bundles.

What is installed for them travels with them: the nodes have nothing but Ray.
"""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.integration.nodes.conftest import REPORT
from tests.support.jobs import JOBS, NEWCOMER, Desk, Job, Outcome, make_desk, table
from tests.support.users import require_distributions

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from tests.integration.nodes.conftest import ThreeNodes

pytestmark = pytest.mark.nodes

USUAL = frozenset({"jobs_django", "jobs_entry_points", "jobs_monorepo"})
"""Those that run on the nodes each time: a framework with a database, plugins that metadata names, editable
installs. The others do with `scripts/test --all`: each is five workers of Ray, half a minute of processor."""

AT_ONCE = 3
"""Jobs that are on their way; each of the three nodes has one CPU, and all share this machine's."""

PRECISION = 0.95
"""The least share of the resolved modules of all jobs that runs really import."""
OPENED = 0.9
"""The least share of the files that paths name, in all jobs, that runs really read."""


@dataclass(frozen=True, slots=True)
class Course:
    """What came of one job."""

    outcome: Outcome
    run: subprocess.CompletedProcess[str] | None
    """The run of the bundle on the cluster, if it was asked for; the source was gone."""


@pytest.fixture(scope="module")
def courses(
    three_nodes: ThreeNodes, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[dict[str, Future[Course]]]:
    """All jobs, a few at a time, each from its copy to its end, also on the cluster where a test asks."""
    require_distributions()
    directory = tmp_path_factory.mktemp("jobs")
    on_nodes = test_a_job_runs_on_every_node_from_its_bundle_with_the_source_gone.__name__
    asked = {each.name for each in request.session.items}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started: dict[str, Future[Course]] = {}
        for job in (*JOBS, NEWCOMER):
            observed = threading.Event()
            desk = make_desk(job, directory, **three_nodes.shared_environ)
            to_end = f"{on_nodes}[{job.name}]" in asked
            started[job.name] = pool.submit(run_course, desk, observed, to_end=to_end)
            if job.starts_ray:
                observed.wait()  # a Ray that starts needs the machine for itself
        yield started
    done = [each.result().outcome for each in started.values() if not each.exception()]
    request.config.stash[REPORT] = table(done) if done else []


def run_course(desk: Desk, observed: threading.Event, *, to_end: bool) -> Course:
    try:
        imported, opened = desk.seen()
    finally:
        observed.set()
    resolved, named = desk.resolved()
    outcome = Outcome(desk.job, imported, resolved, opened, named)
    return Course(outcome, run_without_source(desk) if to_end else None)


def run_without_source(desk: Desk) -> subprocess.CompletedProcess[str]:
    digest = desk.built()
    shutil.rmtree(desk.base)
    desk.base.mkdir()
    return desk.work.raybundle("run", digest, *desk.job.arguments)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_every_file_that_a_real_run_imports_is_resolved(courses: dict[str, Future[Course]], job: Job) -> None:
    outcome = courses[job.name].result().outcome

    assert outcome.missed == []


@pytest.mark.parametrize(
    "job",
    [pytest.param(job, id=job.name, marks=[] if job.name in USUAL else pytest.mark.all_jobs) for job in JOBS],
)
def test_a_job_runs_on_every_node_from_its_bundle_with_the_source_gone(
    courses: dict[str, Future[Course]], job: Job
) -> None:
    run = courses[job.name].result().run

    assert run is not None
    assert run.returncode == 0, run.stdout + run.stderr
    assert job.expected in run.stdout
    assert "NODES n0 n1 n2" in run.stdout.splitlines()


def test_hardly_a_file_is_resolved_that_no_run_imports(courses: dict[str, Future[Course]]) -> None:
    outcomes = [each.result().outcome for each in courses.values()]
    needless = [f"{each.job.name}/{file}" for each in outcomes for file in each.needless]

    assert 1 - len(needless) / sum(len(each.resolved) for each in outcomes) >= PRECISION, needless


def test_most_files_that_paths_name_are_read(courses: dict[str, Future[Course]]) -> None:
    outcomes = [each.result().outcome for each in courses.values()]
    unread = [f"{each.job.name}/{file}" for each in outcomes for file in each.named - each.opened]

    assert 1 - len(unread) / sum(len(each.named) for each in outcomes) >= OPENED, unread
