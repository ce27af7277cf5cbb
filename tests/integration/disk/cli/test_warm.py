"""A command that the tests fork from a loaded process is the command that a shell starts."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.slow import rest_slow
from tests.support.small_project import tree
from tests.support.warm import forker
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.workplace import Workplace

START = [sys.executable, "-m", "raybundle"]


@pytest.fixture
def work(tmp_path: Path) -> Workplace:
    work = make_workplace(tmp_path / "work")
    tree(work.directory, {"job.py": "import helper\n", "helper.py": "", "json.py": "raise SystemExit(9)\n"})
    return work


@pytest.mark.parametrize(
    "words",
    rest_slow([["plan", "nö\udcff.py"], ["--version"], ["plan", "job.py"], ["submit", "--fail"]], 1),
)
def test_output_errors_and_exit_code_are_those_of_a_started_command(
    work: Workplace, words: list[str]
) -> None:
    work.raybundle(*words)  # the next one finds the same cache
    started = work.command([*START, *words])
    forked = work.raybundle(*words)

    assert (forked.returncode, forked.stdout, forked.stderr) == (
        started.returncode,
        started.stdout,
        started.stderr,
    )
    assert list(forked.args) == words


def test_a_fork_has_the_directory_and_the_variables_of_its_command(work: Workplace, tmp_path: Path) -> None:
    elsewhere = tree(tmp_path / "elsewhere", {"other.py": "x = 1\n"})

    built = work.raybundle("build", "other.py", cwd=elsewhere, env={"RAYBUNDLE_STORE": str(tmp_path / "s")})
    not_set = work.raybundle("build", "job.py")

    assert (built.returncode, not_set.returncode) == (0, 0), built.stderr + not_set.stderr
    assert (tmp_path / "s/bundles" / built.stdout.strip().removeprefix("sha256:")).is_dir()
    assert len([*(tmp_path / "s/bundles").iterdir()]) == 1


@pytest.mark.slow
def test_commands_run_beside_one_another(work: Workplace) -> None:
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda: codes.append(work.raybundle("plan", "job.py").returncode))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert codes == [0] * 4


def test_one_that_takes_too_long_is_killed(work: Workplace) -> None:
    (work.directory / "waits.py").write_text("import time\ntime.sleep(5)\n")

    with pytest.raises(subprocess.TimeoutExpired):
        work.raybundle("trace", "waits.py", timeout=1)


def test_variables_that_a_python_reads_as_it_starts_are_not_for_a_fork(work: Workplace) -> None:
    environ = {**work.environ, "PYTHONHASHSEED": "1"}
    fork = forker()

    assert fork is not None
    assert fork.run(("--version",), work.directory, environ, 60) is None
    assert work.raybundle("--version", env=environ).args[:3] == START
