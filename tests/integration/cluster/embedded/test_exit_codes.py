"""What the exit code says, case by case, on a real cluster; a table that scripts lean on."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from tests.support.ray_head import ray_head
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.cluster.conftest import Embedded
    from tests.support.s3_server import S3Server
    from tests.support.workplace import Workplace

pytestmark = pytest.mark.ray

NO_ENVIRONMENT = '{"conda": "no-such-environment"}'


@pytest.fixture(params=["status", "job"])
def kind(request: pytest.FixtureRequest) -> str:
    """The value of --exit-code."""
    return str(request.param)


@pytest.fixture
def work(embedded: Embedded, tmp_path: Path) -> Workplace:
    return embedded.workplace(tmp_path / "work", "exits")


@pytest.mark.parametrize(
    ("words", "expected", "own", "said"),
    [
        (["code", "0"], 0, 0, ""),
        (["code", "7"], 20, 7, "exit code 7"),
        (["kill"], 20, 137, "signal SIGKILL"),
        (["raise"], 20, 1, "RuntimeError: on purpose at job.py:12"),
    ],
)
def test_a_driver_that_ends(  # noqa: PLR0917 - a table
    work: Workplace, tmp_path: Path, words: list[str], expected: int, own: int, said: str
) -> None:
    name = f"ended-{tmp_path.name}"
    submitted = work.raybundle(
        *("--json", "submit", "--exit-code", "status", "--submission-id", name, "job.py"), *words
    )
    attached = work.raybundle("--json", "attach", "--exit-code", "job", name)

    for done, code in ((submitted, expected), (attached, own)):
        document = json.loads(done.stdout)
        assert done.returncode == code, done.stderr
        assert document["exit_code"] == code
        assert said in done.stderr
        assert said in (document["error"] or "")
    ended = f"job {name} SUCCEEDED in " if expected == 0 else f"job {name} FAILED after "
    [line] = [line for line in submitted.stderr.splitlines() if line.startswith(ended)]
    assert line.endswith(f"/#/jobs/{name}")


def test_a_driver_that_ends_with_a_code_of_its_own_gives_it_to_who_submits(work: Workplace) -> None:
    done = work.raybundle("--json", "submit", "--exit-code", "job", "job.py", "code", "7")

    assert done.returncode == 7, done.stderr
    assert json.loads(done.stdout)["exit_code"] == 7


def test_a_job_that_another_client_stops(work: Workplace, kind: str, tmp_path: Path) -> None:
    name = f"stopped-{tmp_path.name}"
    options = ("--exit-code", kind, "--submission-id", name)
    with work.started("submit", *options, "job.py", "sleep", "60") as running:
        running.wait_for("STARTED")

        stopped = work.raybundle("stop", name)

        assert stopped.stdout == "STOPPED\n"
        assert running.end()[0] == 21


def test_a_runtime_environment_that_cannot_be_made(work: Workplace) -> None:
    done = work.raybundle(
        "submit", "--exit-code", "job", "--runtime-env-json", NO_ENVIRONMENT, "job.py", "code", "0"
    )

    assert done.returncode == 22, done.stderr
    assert "could not start" in done.stderr
    assert "RUNTIME_ENV_SETUP_FAILURE" in done.stderr
    assert "on node 127.0.0.1" in done.stderr
    assert "ValueError: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cluster_that_is_dead(work: Workplace) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{probe.getsockname()[1]}"

    done = work.raybundle("--address", address, "submit", "--exit-code", "job", "job.py", "code", "0")

    assert done.returncode == 5
    assert f"cannot reach the cluster at {address}: Connection refused" in done.stderr


def test_a_head_that_dies_and_one_that_forgot_the_job(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", "exits")
    with ray_head() as head:
        words = ("--address", head.address, "submit", "--submission-id", "orphan", "job.py", "sleep", "600")
        with work.started(*words) as running:
            running.wait_for("STARTED")
            forgotten = work.raybundle("--address", head.address, "attach", "never-there")
            head.kill()

            code, _, stderr = running.end()

    assert code == 5, stderr
    assert "job orphan may still be running" in stderr
    assert "raybundle attach orphan" in stderr
    assert forgotten.returncode == 23


def test_an_import_that_resolves_nowhere(embedded: Embedded, tmp_path: Path) -> None:
    work = embedded.workplace(tmp_path / "broken", "broken")

    done = work.raybundle("submit", "--exit-code", "job", "job.py")

    assert done.returncode == 3
    assert "job.py:1" in done.stderr


@pytest.mark.parametrize("bucket", ["bundles", "nobuckethere"])
def test_a_store_that_refuses_us(work: Workplace, s3: S3Server, bucket: str) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": "wrong"} if bucket == "bundles" else {}

    done = work.raybundle(
        *("--store", f"s3://{bucket}/prefix", "submit", "--exit-code", "job", "job.py", "code", "0"),
        env={**s3.environ, **wrong},
    )

    assert done.returncode == 4, done.stderr
    assert bucket in done.stderr
    assert "Traceback" not in done.stderr


def test_a_job_that_takes_longer_than_its_timeout(work: Workplace, tmp_path: Path) -> None:
    name = f"late-{tmp_path.name}"
    options = ("--exit-code", "job", "--submission-id", name, "--timeout", "6")

    done = work.raybundle("--json", "submit", *options, "job.py", "sleep", "60")

    assert done.returncode == 124, done.stderr
    assert "has not ended within 6 s (--timeout)" in done.stderr
    assert json.loads(done.stdout)["status"] == "STOPPED"
    assert work.raybundle("status", name).stdout == "STOPPED\n"


@pytest.mark.parametrize(
    ("kind", "number", "expected"), [("status", signal.SIGINT, 130), ("job", signal.SIGTERM, 143)]
)
def test_an_interrupt(
    work: Workplace, tmp_path: Path, kind: str, number: signal.Signals, expected: int
) -> None:
    name = f"interrupted-{tmp_path.name}"
    options = ("--exit-code", kind, "--submission-id", name)
    with work.started("submit", *options, "job.py", "sleep", "60") as running:
        running.wait_for("STARTED")

        running.process.send_signal(number)

        code, _, stderr = running.end()
    assert code == expected, stderr
    assert f"attach {name}" in stderr
    assert f"job {name} is STOPPED" in stderr
    assert work.raybundle("status", name).stdout == "STOPPED\n"
