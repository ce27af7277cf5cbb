"""What a command does when the way to the Jobs API fails: one table, as a specification.

Each row is a fault of requests, and the exit codes of a command if the fault strikes one request and if it
never ends. 0 means that the command did all it should, 5 is an error of the cluster. A submission whose
answer is lost is looked for and never repeated blindly: one id, one job.
"""

from __future__ import annotations

import gc
import math
from typing import TYPE_CHECKING, NamedTuple

import pytest

from raybundle.cli.main import main
from raybundle.cluster import connection
from tests.support.proxy import Faults, Proxy, Strike

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.cluster.jobs import JobsClient
    from tests.integration.cluster.conftest import Embedded
    from tests.support.s3_server import S3Server

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings(  # a command that ends in its own process closes nothing
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

OK, CLUSTER = 0, 5


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What a command left open is found while that is ignored, and not in a later test."""
    yield
    gc.collect()


class Row(NamedTuple):
    """A fault, and what becomes of the command."""

    mode: str
    once: int
    always: int
    says: str


TABLE = [
    #   fault    once     always   the error says
    Row("reset", OK, CLUSTER, "cannot reach the cluster at"),
    Row("close", OK, CLUSTER, "cannot reach the cluster at"),
    Row("cut", OK, CLUSTER, "cannot reach the cluster at"),
    Row("503", OK, CLUSTER, "HTTP 503: Service Unavailable, says the proxy"),
    Row("502", OK, CLUSTER, "HTTP 502: Bad Gateway, says the proxy"),
    Row("429", OK, CLUSTER, "HTTP 429: Too Many Requests, says the proxy"),
    Row("500", CLUSTER, CLUSTER, "HTTP 500: Internal Server Error, says the proxy"),
    Row("html", CLUSTER, CLUSTER, "does not answer as Ray's Jobs API does"),
    Row("404", CLUSTER, CLUSTER, "HTTP 404: Not Found, says the proxy"),
    Row("403", CLUSTER, CLUSTER, "HTTP 403, and not as a Ray dashboard does"),
    Row("401", CLUSTER, CLUSTER, "HTTP 401, and not as a Ray dashboard does"),
]
COMMANDS = {
    #       the request that is struck, and the command that sends it
    "one": (r"^GET /api/jobs/table$", ["status", "table"]),
    "all": (r"^GET /api/jobs/$", ["list"]),
}
FOREIGN = ("Traceback", "http.client", "Errno", "IncompleteRead(", "object at 0x")
"""Words of libraries."""


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch, embedded: Embedded) -> None:
    """A client that is patient for less than a second."""
    defaults = {**(connection.Connection.request.__kwdefaults__ or {}), "patience": 0.6}
    monkeypatch.setattr(connection.Connection.request, "__kwdefaults__", defaults)
    monkeypatch.setenv("RAYBUNDLE_LOCAL_STATE", str(embedded.state))
    for name, value in embedded.token.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module", autouse=True)
def _job(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> None:
    work = embedded.workplace(tmp_path_factory.mktemp("table") / "work")
    (work.directory / "job.py").write_text("print('done')\n")
    assert work.raybundle("submit", "--submission-id", "table", "job.py").returncode == OK


@pytest.mark.parametrize("asked", COMMANDS)
@pytest.mark.parametrize("row", TABLE, ids=[row.mode for row in TABLE])
def test_a_fault_of_one_request_and_one_that_never_ends(
    embedded: Embedded, row: Row, asked: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pattern, words = COMMANDS[asked]
    for times, expected in ((1, row.once), (math.inf, row.always)):
        strike = Strike(pattern, row.mode, times)
        with Proxy(embedded.address, Faults(strikes=(strike,))) as proxy:
            code = main(["--address", proxy.address, *words])
        said = capfd.readouterr().err

        assert code == expected, said
        assert not [word for word in FOREIGN if word in said]
        if expected != OK:
            assert row.says in said


def test_a_refused_connection(embedded: Embedded, capfd: pytest.CaptureFixture[str]) -> None:
    with Proxy(embedded.address) as proxy:
        for seconds, expected in ((0.2, OK), (30, CLUSTER)):
            proxy.refuse(seconds)
            assert main(["--address", proxy.address, "status", "table"]) == expected
    assert "Connection refused" in capfd.readouterr().err


@pytest.mark.parametrize("mode", ["reset", "503"])
def test_a_submission_whose_answer_is_lost_is_one_job(
    embedded: Embedded, client: JobsClient, tmp_path: Path, mode: str
) -> None:
    work = embedded.workplace(tmp_path / "work", **embedded.token)
    (work.directory / "job.py").write_text("print('once')\n")
    faults = (
        Faults(reset=("^POST /api/jobs/$", 1))
        if mode == "reset"
        else Faults(strikes=(Strike("^POST", mode, 1),))
    )
    with Proxy(embedded.address, faults) as proxy:
        done = work.raybundle(
            "--address", proxy.address, "submit", "--submission-id", f"lost-{mode}", "job.py"
        )

    assert done.returncode == OK, done.stderr
    assert done.stdout.count("once\n") == 1
    assert len([each for each in client.list() if each.submission_id.startswith(f"lost-{mode}")]) == 1


def test_another_server_at_the_address_is_not_said_to_refuse_our_credentials(
    s3: S3Server, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--address", s3.endpoint, "list"]) == CLUSTER

    said = capfd.readouterr().err
    assert "not as a Ray dashboard does" in said
    assert "credentials: HTTP" not in said


@pytest.mark.all_jobs
@pytest.mark.parametrize(("seconds", "expected"), [(5, OK), (30, OK), (60, CLUSTER)])
def test_an_outage_while_a_job_is_followed(
    embedded: Embedded, tmp_path: Path, seconds: int, expected: int
) -> None:
    work = embedded.workplace(tmp_path / "work", **embedded.token)
    (work.directory / "job.py").write_text("import time\nprint('begun', flush=True)\ntime.sleep(40)\n")
    with (
        Proxy(embedded.address) as proxy,
        work.started("--address", proxy.address, "submit", "job.py") as running,
    ):
        running.wait_for("begun")
        proxy.refuse(seconds)
        code, _, said = running.end()

    assert code == expected, said
    assert expected == OK or "raybundle attach" in said
