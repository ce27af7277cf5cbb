"""One submission id, several clients, and whatever happens to them: one driver, and one answer."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import ClusterError, JobLostError
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Running, Workplace

pytestmark = pytest.mark.ray

CODE = 7
"""Of the job's driver."""
JOB = f"""
import sys, time
with open(sys.argv[1], "a") as runs:
    runs.write("a driver ran\\n")
time.sleep(float(sys.argv[2]))
sys.exit({CODE})
"""


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    work = embedded.workplace(tmp_path / "work", **embedded.token)
    (work.directory / "job.py").write_text(JOB)
    return work


def words(name: str, runs: Path, seconds: str) -> tuple[str, ...]:
    return ("submit", "--exit-code", "job", "--submission-id", name, "job.py", str(runs), seconds)


def test_a_slow_client_follows_the_job_that_another_one_submitted_and_saw_end(
    embedded: Embedded, work: Workplace, tmp_path: Path
) -> None:
    runs, name = tmp_path / "runs", f"slow-{tmp_path.name}"
    line = words(name, runs, "0")
    work.build("job.py")
    with Proxy(embedded.address) as proxy, work.started("--address", proxy.address, *line) as slow:
        while not any(request.path == f"/api/jobs/{name}" for request in proxy.requests):
            time.sleep(0.01)
        os.kill(slow.process.pid, signal.SIGSTOP)
        quick = work.raybundle(*line)
        os.kill(slow.process.pid, signal.SIGCONT)
        code, _, said = slow.end()

    assert quick.returncode == CODE, quick.stderr
    assert code == CODE, said
    assert "is there already" in said
    assert runs.read_text().count("a driver ran") == 1


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed < 2 else pytest.mark.all_jobs) for seed in range(20)]
)
def test_a_history_of_one_id_has_one_driver_and_one_answer(
    work: Workplace, client: JobsClient, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - of a test
    runs, name = tmp_path / "runs", f"history-{seed}-{tmp_path.name}"
    line = words(name, runs, str(chance.choice([0, 1, 2])))
    left: set[Running] = set()
    deleted = False
    with ExitStack() as clients:
        for _ in range(chance.randint(4, 6)):
            match chance.choice(["client", "client", "kill", "freeze", "delete"]):
                case "kill" if left:
                    chance.choice(sorted(left, key=by_pid)).process.kill()
                case "freeze" if left:
                    chance.choice(sorted(left, key=by_pid)).process.send_signal(signal.SIGSTOP)
                case "delete":
                    deleted = tried_to_delete(client, name) or deleted
                case _:
                    left.add(clients.enter_context(work.started(*line)))
            time.sleep(chance.choice([0, 0.3, 1, 2]))
        last = clients.enter_context(work.started(*line))
        codes = [last.end()]
        for each in left:
            each.process.send_signal(signal.SIGCONT)
            codes.append(each.end())

    told = [code for code, _, _ in codes if code != -signal.SIGKILL]
    said = [said for _, _, said in codes]
    assert runs.read_text().count("a driver ran") == 1, said
    assert set(told) <= ({CODE, 23, 2} if deleted else {CODE}), said


def by_pid(running: Running) -> int:
    return running.process.pid


def tried_to_delete(client: JobsClient, name: str) -> bool:
    try:
        return client.delete(name)
    except (ClusterError, JobLostError):
        return False
