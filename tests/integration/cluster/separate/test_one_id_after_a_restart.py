"""One submission id, a client that is killed, and a cluster that is started anew: at most one driver."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.support.ray_head import ray_head
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ray

JOB = """
import sys, time
with open(sys.argv[1], "a") as runs:
    runs.write("a driver ran\\n")
time.sleep(600)
"""


@pytest.mark.all_jobs
def test_an_id_that_ran_before_the_restart_runs_no_second_driver(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work")
    (work.directory / "job.py").write_text(JOB)
    runs = tmp_path / "runs"
    words = ("submit", "--submission-id", "nightly", "job.py", str(runs))

    with ray_head() as first:
        watching = work.started("--address", first.address, *words)
        killed = work.started("--address", first.address, *words)
        with killed as one, watching as other:
            while not runs.exists():
                assert one.process.poll() is None, one.stderr.read_text()
                time.sleep(0.1)
            one.process.kill()
            os.kill(other.process.pid, signal.SIGSTOP)
            first.kill()
            with ray_head() as second:
                again = work.raybundle("--address", second.address, *words)
                os.kill(other.process.pid, signal.SIGCONT)
                code, _, said = other.end()

    assert again.returncode == 2, again.stderr
    assert "may have run before the cluster was started anew" in again.stderr
    assert code == 5, said  # it watched the first cluster, which is gone
    assert "may still be running" in said
    assert runs.read_text().count("a driver ran") == 1
