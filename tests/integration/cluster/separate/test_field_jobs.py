"""Jobs of the kinds that failed in the field, on the newest and the oldest Ray, with their source gone."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.integration.cluster.separate.test_ray_init import NEWEST, OLDEST, environment
from tests.support.field import CASES, Case
from tests.support.field_runs import copy_of
from tests.support.own_wheels import make_wheel
from tests.support.ray_head import ray_head
from tests.support.users import require_distributions, user_python
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path
    from subprocess import CompletedProcess

    from tests.support.ray_head import RayHead

pytestmark = pytest.mark.ray

JOKES = b"def get_joke():\n    return 'one'\n"
ON_RAY = {name: case for name, case in CASES.items() if case.ray}
ON_BOTH = ("init-with-environ-2", "init-with-environ-3", "jobs-share-the-cwd", "ray-data-as-attribute")
"""What the oldest Ray runs beside the newest. Its environment has no pip."""
AT_ONCE = 4
"""Jobs at a time: they wait for each other's imports more than they compute."""


@dataclass(frozen=True, slots=True)
class Ran:
    """All runs of one case."""

    told: str
    """What the submission said."""
    runs: tuple[CompletedProcess[str], ...]


@pytest.fixture(scope="module")
def jobs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Ran]]]:
    """One cluster that runs all cases, several at a time."""
    require_distributions()
    directory = tmp_path_factory.mktemp("field")
    make_wheel(directory, "pyjokes", "0.8.3", {"pyjokes/__init__.py": JOKES})
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(directory)}
    with ray_head(environment(request.param) / "bin/python", index, num_cpus=16) as head:
        names = sorted(names_in(request.session.items, request.param))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            yield {name: pool.submit(run, head, directory, name, ON_RAY[name]) for name in names}


def names_in(items: Iterable[pytest.Item], release: str) -> set[str]:
    """Returns the cases that a session has for a release of Ray."""
    given = [getattr(item, "callspec", None) for item in items]
    asked = [each.params for each in given if each and each.params.get("jobs") == release]
    return {each["name"] for each in asked}


def run(head: RayHead, directory: Path, name: str, case: Case) -> Ran:
    """Submits a copy, deletes it, and waits for the job; then runs its bundle again."""
    place = copy_of(name, case, directory / name)
    work = make_workplace(
        directory / f"{name}.user",
        RAYBUNDLE_ADDRESS=head.address,
        RAYBUNDLE_STORE=str(directory / "store"),
        RAYBUNDLE_PYTHON=str(user_python()),
    )
    env = [word for pair in case.environ_of_the_job.items() for word in ("--env", "=".join(pair))]
    options = ["--json", "submit", "--no-wait", "--submission-id", name, *env, *case.options]
    sent = work.raybundle(*options, "--", "python", *case.words, cwd=place / case.start)
    shutil.rmtree(place)
    if sent.returncode:
        return Ran(sent.stderr, (sent,))
    bundle = json.loads(sent.stdout)["bundle"]
    first = work.raybundle("attach", name)
    with ThreadPoolExecutor(2) as pool:
        again = pool.map(lambda _: work.raybundle("run", *env, bundle), range(case.times))
        return Ran(sent.stderr, (first, *again))


@pytest.mark.parametrize("jobs", [NEWEST], indirect=True)
@pytest.mark.parametrize("name", ON_RAY)
def test_a_job_runs_from_its_bundle(jobs: dict[str, Future[Ran]], name: str) -> None:
    require_run(ON_RAY[name], jobs[name].result())


@pytest.mark.parametrize("jobs", [OLDEST], indirect=True)
@pytest.mark.parametrize("name", ON_BOTH)
def test_a_job_runs_from_its_bundle_on_the_oldest_ray(jobs: dict[str, Future[Ran]], name: str) -> None:
    require_run(ON_RAY[name], jobs[name].result())


def require_run(case: Case, ran: Ran) -> None:
    """Asserts that each run printed what is right, and that the submission said what it should."""
    for done in ran.runs:
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert [p for p in case.prints if not any(line.startswith(p) for line in lines)] == [], lines
    assert ran.told.count("warning: ") == len(case.hints)
    assert all(word in ran.told for hint in case.hints for word in hint.says)
