"""Projects of the kinds that failed in the field run from their bundles as under plain Python."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.field import CASES
from tests.support.field_runs import Bench, copy_of, expected, here, nodes_for, python_of, run_job
from tests.support.users import require_distributions

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

ON_DISK = {name: case for name, case in CASES.items() if not case.ray}
ALSO_OLDEST = [*ON_DISK][::8]
"""Run with the oldest Ray as well as with the newest in each CI; all others in a wide run."""
RAYS = [
    *((name, 2 if name in ALSO_OLDEST else 1) for name in ON_DISK),
    *(pytest.param(name, 2, marks=pytest.mark.wide) for name in ON_DISK if name not in ALSO_OLDEST),
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, secret_rules: Path) -> Bench:
    require_distributions()
    return Bench(tmp_path_factory.mktemp("bench"), secret_rules)


@pytest.mark.parametrize(("name", "rays"), RAYS)
def test_a_project_runs_from_its_bundle(bench: Bench, tmp_path: Path, name: str, rays: int) -> None:
    case = ON_DISK[name]
    place = copy_of(name, case, tmp_path / "project")
    told = bench.settled(place, case, python_of(case, place, tmp_path))

    assert told.texts == ()
    node = bench.deliver(
        told, tmp_path, {**case.environ, **{k: v for h in case.hints for k, v in h.environ.items()}}
    )
    shutil.rmtree(place)
    for python in nodes_for(case, tmp_path)[:rays]:
        done = run_job(node, python, told, case.words[1:])
        assert (done.stdout.splitlines(), done.returncode) == (expected(case), 0), done.stderr
    then = node.run(python, "-c", case.then) if case.then else done
    assert then.returncode == 0, then.stderr
    assert not told.modules & set(case.absent)


@pytest.mark.all_jobs
@pytest.mark.parametrize("name", ON_DISK)
def test_plain_python_prints_what_the_table_says(tmp_path: Path, name: str) -> None:
    case = ON_DISK[name]
    place = copy_of(name, case, tmp_path / "project")

    done = here(case, place, python_of(case, place, tmp_path))

    assert (done.stdout.splitlines(), done.returncode) == (expected(case), 0), done.stderr
