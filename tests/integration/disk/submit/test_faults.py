"""Faults of the cluster, of what stands before it, and of the terminal: none hides how a job ended."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.errors import ClusterError
from tests.support.fake_dashboard import Exchange, FakeDashboard
from tests.support.slow import rest_slow
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.workplace import Workplace

SECRET = "s3cr3t" * 5


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with FakeDashboard() as dashboard:
        yield dashboard


@pytest.fixture
def work(dashboard: FakeDashboard, tmp_path: Path) -> Workplace:
    work = make_workplace(tmp_path / "work", RAYBUNDLE_ADDRESS=dashboard.address)
    (work.directory / "job.py").touch()
    return work


def on(path: str, answer: Callable[[Exchange], bool]) -> Callable[[Exchange], bool]:
    return lambda exchange: exchange.path.startswith(path) and answer(exchange)


@pytest.mark.slow
@pytest.mark.parametrize("if_exists", ["attach", "fail"])
def test_an_interrupt_never_stops_a_job_of_somebody_else(
    dashboard: FakeDashboard, work: Workplace, if_exists: str
) -> None:
    asked = threading.Event()

    def slow(_exchange: Exchange) -> bool:
        asked.set()
        time.sleep(2)
        return False

    dashboard.add("nightly", entrypoint="other")
    dashboard.faults = [on("/api/jobs/nightly", slow)]
    with work.started("submit", "--submission-id", "nightly", "--if-exists", if_exists, "job.py") as running:
        assert asked.wait(30)
        running.process.send_signal(signal.SIGTERM)
        code, _, _ = running.end()

    assert code == 143
    assert dashboard.jobs["nightly"]["status"] == "RUNNING"


@pytest.mark.parametrize("token", [f"{SECRET}\nsecond line", f"{SECRET}…", f"{SECRET}\x7f"])
def test_a_token_that_http_cannot_carry_is_refused_and_not_shown(work: Workplace, token: str) -> None:
    done = work.raybundle("list", env={"RAY_AUTH_TOKEN": token})

    assert done.returncode == 2
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.slow
def test_a_token_goes_to_no_other_server(dashboard: FakeDashboard, work: Workplace) -> None:
    dashboard.add("x")
    with FakeDashboard() as other:
        elsewhere = other.address.replace("http", "ws")
        dashboard.faults = [
            on("/api/v0/", lambda exchange: exchange.answer(404, b"")),
            on("/api/jobs/x/logs/tail", lambda e: e.answer(302, b"", Location=f"{elsewhere}{e.path}")),
        ]
        with work.started("attach", "x", env={"RAY_AUTH_TOKEN": SECRET}) as running:
            while not dashboard.asked("GET", "/api/jobs/x/logs"):
                time.sleep(0.05)
            dashboard.jobs["x"]["status"] = "SUCCEEDED"
            assert running.end()[0] == 0
        moved = work.raybundle("--address", other.address, "list")
        requests = other.requests[:-1]

    assert moved.returncode == 5
    assert requests == []


def test_a_page_of_a_proxy_and_a_redirection_are_told_in_words(
    dashboard: FakeDashboard, work: Workplace
) -> None:
    page = b"<html>\n<head><style>a {}</style><title>403</title></head>\n<body>no entry</body>\n</html>"
    dashboard.faults = [
        on("/api/jobs/page", lambda exchange: exchange.answer(400, page)),
        on(
            "/api/jobs/", lambda exchange: exchange.answer(302, b"", Location="https://login.example/?next=x")
        ),
    ]

    assert "HTTP 400: no entry" in work.raybundle("status", "page").stderr
    assert "redirects to https://login.example/\n" in work.raybundle("status", "other").stderr


@pytest.mark.parametrize(
    "answer", rest_slow([b"null", b"[]", b'"ok"', b"{}", b'{"submission_id": "x"}', b"<html>"])
)
def test_an_answer_of_another_shape_is_no_answer_of_ray(
    dashboard: FakeDashboard, work: Workplace, answer: bytes
) -> None:
    dashboard.faults = [on("/api/jobs/x", lambda exchange: exchange.answer(200, answer))]

    done = work.raybundle("status", "x")

    assert done.returncode == 5
    assert "does not answer as Ray's Jobs API does" in done.stderr


@pytest.mark.slow
def test_another_404_is_not_that_of_a_lost_job(dashboard: FakeDashboard, work: Workplace) -> None:
    dashboard.add("x", "PENDING", driver_agent_http_address=None)
    routes = b'{"error": "path /api/v0/actors does not exist"}'
    dashboard.faults = [on("/api/v0/", lambda exchange: exchange.answer(404, routes))]
    with work.started("attach", "x") as running:
        running.wait_for("is PENDING", running.stderr)
        dashboard.jobs["x"]["status"] = "SUCCEEDED"

        assert running.end()[0] == 0


def test_a_ray_older_than_the_oldest_that_is_tested_is_a_warning_until_it_is_newer(
    dashboard: FakeDashboard, work: Workplace
) -> None:
    old = {"ray_version": "2.40.0", "session_name": "session_1"}
    dashboard.log = b"RAYBUNDLE-NODE all\n"
    dashboard.faults = [on("/api/version", lambda exchange: exchange.answer(200, old))]

    named = work.raybundle("--json", "doctor")
    dashboard.faults = []
    newer = work.raybundle("--json", "doctor")

    cluster = [
        next(each for each in json.loads(done.stdout)["checks"] if each["check"] == "cluster")
        for done in (named, newer)
    ]
    assert cluster[0]["found"] == "answers with Ray 2.40, older than 2.49"
    assert (cluster[0]["state"], cluster[0]["remedy"]) == ("warning", "use a newer Ray")
    assert cluster[1]["state"] == "ok"


def test_one_error_of_the_server_does_not_end_a_wait(dashboard: FakeDashboard, work: Workplace) -> None:
    dashboard.add("x")
    left = [1]

    def sometimes(exchange: Exchange) -> bool:
        if dashboard.asked("GET", "/api/jobs/x") == 3 and left:
            left.pop()
            return exchange.answer(500, b"ray.exceptions.RpcError: no GCS")
        return False

    dashboard.faults = [on("/api/jobs/x", sometimes)]
    with work.started("attach", "x") as running:
        running.wait_for("answers again", running.stderr)
        dashboard.jobs["x"]["status"] = "SUCCEEDED"

        assert running.end()[0] == 0


@pytest.mark.parametrize("whole", [b"{}", b'{"logs": null}', b"Job x does not exist"])
def test_a_log_that_cannot_be_read_does_not_change_how_the_job_ended(
    dashboard: FakeDashboard, work: Workplace, whole: bytes
) -> None:
    dashboard.add("x", "SUCCEEDED")
    status = 404 if whole.startswith(b"Job") else 200
    dashboard.faults = [
        on("/api/v0/", lambda exchange: exchange.answer(404, b"")),
        on("/api/jobs/x/logs", lambda exchange: exchange.answer(status, whole)),
    ]

    done = work.raybundle("--quiet", "attach", "x")

    assert done.returncode == 0
    assert "the log cannot be read to its end" in done.stderr


def test_a_log_that_is_cut_is_read_again_and_one_that_shrank_is_told(
    dashboard: FakeDashboard, work: Workplace
) -> None:
    def cut(exchange: Exchange) -> bool:
        if dashboard.asked("GET", exchange.path) > 1:
            return False
        exchange.close_connection = True
        return exchange.answer(200, b"first\n", **{"Content-Length": "1000"})

    dashboard.add("x", "SUCCEEDED")
    dashboard.log = b"first\nsecond\n"
    dashboard.faults = [on("/api/v0/", cut)]

    assert work.raybundle("attach", "x").stdout == "first\nsecond\n"

    dashboard.jobs["x"]["status"], dashboard.faults = "RUNNING", []
    with work.started("attach", "x") as running:
        running.wait_for("second")
        dashboard.log = b"new\n"
        dashboard.jobs["x"]["status"] = "SUCCEEDED"
        code, _, stderr = running.end()
    assert code == 0
    assert "shorter than it was" in stderr


@pytest.mark.slow
def test_a_stop_that_does_not_stop_is_an_error(dashboard: FakeDashboard, work: Workplace) -> None:
    dashboard.add("x")
    dashboard.faults = [on("/api/jobs/x/stop", lambda exchange: exchange.answer(500, b"no"))]

    refused = work.raybundle("stop", "x")
    limited = work.raybundle("attach", "--timeout", "1", "x")

    assert refused.returncode == 5
    assert limited.returncode == 124
    assert "could not be stopped" in limited.stderr


@pytest.mark.slow
def test_a_limit_is_the_reason_even_if_the_cluster_is_lost_while_the_job_is_stopped(
    dashboard: FakeDashboard, work: Workplace
) -> None:
    def lost(exchange: Exchange) -> bool:
        stopping = dashboard.asked("POST", "/api/jobs/nightly/stop") > 0
        return stopping and exchange.answer(403, b"the session has expired")

    dashboard.faults = [on("/api/jobs/nightly", lost)]

    done = work.raybundle("--json", "submit", "--submission-id", "nightly", "--timeout", "1", "job.py")

    assert done.returncode == 124, done.stderr
    assert "(--timeout); it could not be stopped: " in done.stderr
    assert "`raybundle stop nightly` tries again" in done.stderr
    assert json.loads(done.stdout)["status"] == "RUNNING"


@pytest.mark.slow
def test_a_full_pipe_that_does_not_block_loses_nothing(dashboard: FakeDashboard, work: Workplace) -> None:
    dashboard.add("x", "SUCCEEDED")
    dashboard.log = b"0123456789\n" * 30_000
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    command = [sys.executable, "-m", "raybundle", "attach", "x"]
    with subprocess.Popen(command, cwd=work.directory, env=dict(work.environ), stdout=writer) as child:
        os.close(writer)
        time.sleep(2)  # the pipe is full by now
        with os.fdopen(reader, "rb") as stream:
            arrived = stream.read()

    assert child.returncode == 0
    assert arrived == dashboard.log


@pytest.mark.parametrize("redirection", ["1>&-", ">/dev/full", "<&-"])
def test_a_terminal_that_is_gone_does_not_change_how_the_job_ended(
    dashboard: FakeDashboard, work: Workplace, redirection: str
) -> None:
    dashboard.add("x", "FAILED", driver_exit_code=3)
    dashboard.log = b"some log\n"

    done = work.command(["sh", "-c", f"{shlex.quote(sys.executable)} -m raybundle attach x {redirection}"])

    assert done.returncode == 20, done.stderr


def test_a_wait_for_another_try_leaves_the_random_numbers_of_its_program_as_they_are() -> None:
    state = random.getstate()

    with closing(JobsClient(make_access("http://127.0.0.1:9", {}))) as client, pytest.raises(ClusterError):
        client.find("some-job", 0.5)

    assert random.getstate() == state


def test_options_that_would_be_without_effect_are_refused(work: Workplace) -> None:
    done = work.raybundle("submit", "--no-wait", "--timeout", "5", "--retries", "1", "job.py")

    assert done.returncode == 2
    assert "--timeout, --retries: nobody waits" in done.stderr
    assert work.raybundle("status", "").returncode == 2
