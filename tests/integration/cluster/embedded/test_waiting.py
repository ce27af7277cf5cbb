"""What a waiting client says and does: a job that does not start, and an interrupt."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    return embedded.workplace(tmp_path / "work", "exits")


def test_a_job_that_cannot_start_says_why_and_leaves_nothing_behind(
    work: Workplace, client: JobsClient, tmp_path: Path
) -> None:
    name = f"gpu-{tmp_path.name}"
    options = ("--submission-id", name, "--entrypoint-num-gpus", "1", "--start-timeout", "8s")
    begin = time.monotonic()
    with work.started("submit", *options, "job.py", "code", "0") as running:
        running.wait_for("asks for 1 GPU, and no node has more than 0", running.stderr)
        said_after = time.monotonic() - begin

        code, _, stderr = running.end()

    assert said_after < 10 + 5  # 5 s after it was accepted; the rest is a busy machine's
    assert code == 22
    assert "has not started within 8 s (--start-timeout)" in stderr
    assert client.info(name).ended
    time.sleep(2.5)  # by then Ray has brought back what was deleted too early
    assert [job.submission_id for job in client.list() if name in job.submission_id] == [name]
    supervisor = f"filter_keys=name&filter_predicates=%3D&filter_values=_ray_internal_job_actor_{name}"
    actors = client.get(f"/api/v0/actors?{supervisor}")["data"]["result"]["result"]
    assert {actor["state"] for actor in actors} == {"DEAD"}


def test_a_job_that_waits_for_others_says_what_is_free(
    work: Workplace, client: JobsClient, tmp_path: Path
) -> None:
    holder, name = f"holder-{tmp_path.name}", f"waiter-{tmp_path.name}"
    client.submit(holder, {"entrypoint": "sleep 60", "entrypoint_num_cpus": 3})
    while client.info(holder).status == "PENDING":
        time.sleep(0.1)
    options = ("--submission-id", name, "--entrypoint-num-cpus", "2")
    with work.started("submit", *options, "job.py", "code", "0") as running:
        running.wait_for("asks for 2 CPU, and no node has more than 1 free", running.stderr)
        client.stop(holder)

        assert running.end()[0] == 0


def test_detaching_leaves_the_job_alone(work: Workplace, client: JobsClient, tmp_path: Path) -> None:
    name = f"detached-{tmp_path.name}"
    options = ("--submission-id", name, "--on-interrupt", "detach")
    with work.started("submit", *options, "job.py", "sleep", "12") as running:
        running.wait_for("STARTED")
        running.process.send_signal(signal.SIGINT)
        code, _, stderr = running.end()

    assert code == 130
    assert f"attach {name}" in stderr
    assert client.info(name).status == "RUNNING"
    with work.started("attach", name) as attached:
        attached.wait_for("STARTED")
        attached.process.send_signal(signal.SIGTERM)
        assert attached.end()[0] == 143
    assert client.info(name).status == "RUNNING"
    client.stop(name)


def test_a_second_interrupt_leaves_at_once(work: Workplace, client: JobsClient, tmp_path: Path) -> None:
    name = f"twice-{tmp_path.name}"
    with work.started("submit", "--submission-id", name, "job.py", "deaf", "60") as running:
        running.wait_for("STARTED")
        running.process.send_signal(signal.SIGINT)
        running.wait_for("a second interrupt leaves at once", running.stderr)
        running.process.send_signal(signal.SIGINT)
        code, _, stderr = running.end()

    assert code == 130
    assert "is STOPPED" not in stderr
    assert "Traceback" not in stderr
    while not client.info(name).ended:
        time.sleep(0.1)


@pytest.mark.parametrize(("answer", "status"), [("d", "RUNNING"), ("s", "STOPPED")])
def test_on_a_terminal_the_user_is_asked(
    work: Workplace, client: JobsClient, tmp_path: Path, answer: str, status: str
) -> None:
    name = f"asked-{tmp_path.name}"
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "raybundle", "submit", "--submission-id", name, "job.py", "sleep", "20"],
        cwd=work.directory,
        env=dict(work.environ),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    try:
        read_until(controller, b"STARTED")
        process.send_signal(signal.SIGINT)
        read_until(controller, b"[d]etach")
        os.write(controller, f"{answer}\n".encode())
        read_until(controller, b"is STOPPED" if status == "STOPPED" else b"goes on")
        code = process.wait(60)
    finally:
        process.kill()
        process.wait()
        os.close(controller)

    assert code == 130
    assert client.info(name).status == status
    client.stop(name)


def read_until(descriptor: int, text: bytes) -> None:
    seen = b""
    while text not in seen:
        seen += os.read(descriptor, 1024)
