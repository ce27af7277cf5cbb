"""What a command that changes something does when the way to the Jobs API fails: a table, as a specification.

Each row is a fault, and the exit codes of a command if the fault strikes one request and if it never ends.
Whatever is lost on the way: one id is at most one job; after a code of 0 it is there, stopped, or deleted.
"""

from __future__ import annotations

import gc
import math
from typing import TYPE_CHECKING, NamedTuple

import pytest

from raybundle.cli.main import main
from raybundle.cluster import connection
from tests.support.fake_dashboard import FakeDashboard
from tests.support.proxy import Faults, Proxy, Strike

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings(  # a command that ends in its own process closes nothing
        "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
    ),
]

OK, CLUSTER = 0, 5
SUBMIT = ["submit", "--no-wait", "--submission-id", "job", "job.py"]
WRITES = {
    #         the request that is struck, and the command that sends it
    "put": (r"^PUT /api/packages/", SUBMIT),
    "post": (r"^POST /api/jobs/$", SUBMIT),
    "stop": (r"^POST /api/jobs/job/stop$", ["stop", "job"]),
    "delete": (r"^DELETE /api/jobs/job$", ["delete", "job"]),
}


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """What a command left open is found while that is ignored, and not in a later test."""
    yield
    gc.collect()


class Row(NamedTuple):
    """A fault, and the codes of each command: if it strikes once, and if it never ends."""

    mode: str
    put: tuple[int, int]
    post: tuple[int, int]
    stop: tuple[int, int]
    delete: tuple[int, int]


TABLE = [  # a delete is not sent again: its answer would be that there is no such job
    #   fault     put            post           stop           delete
    Row("reset", (OK, CLUSTER), (OK, CLUSTER), (OK, CLUSTER), (CLUSTER, CLUSTER)),
    Row("503", (OK, CLUSTER), (OK, CLUSTER), (OK, CLUSTER), (CLUSTER, CLUSTER)),
]
FOREIGN = ("Traceback", "http.client", "Errno", "IncompleteRead(", "object at 0x")
"""Words of libraries."""
CASES = [
    pytest.param(
        row,
        write,
        id=f"{row.mode}-{write}",
        marks=pytest.mark.wide
        if write == "post"
        else [],  # a lost submission is looked for, for half a minute
    )
    for row in TABLE
    for write in WRITES
]


@pytest.fixture(autouse=True)
def _user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with a job, and a client that is patient for less than a second."""
    defaults = {**(connection.Connection.request.__kwdefaults__ or {}), "patience": 0.6}
    monkeypatch.setattr(connection.Connection.request, "__kwdefaults__", defaults)
    for name in ("RAYBUNDLE_ADDRESS", "RAYBUNDLE_STORE", "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    (tmp_path / "work").mkdir()
    (tmp_path / "work/job.py").write_text("print(1)\n")
    monkeypatch.chdir(tmp_path / "work")


@pytest.mark.parametrize(("row", "write"), CASES)
def test_a_fault_of_one_request_and_one_that_never_ends(
    row: Row, write: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pattern, words = WRITES[write]
    once, always = getattr(row, write)
    for times, expected in ((1, once), (math.inf, always)):
        with FakeDashboard() as dashboard:
            if words is not SUBMIT:
                dashboard.add("job", "RUNNING" if write == "stop" else "SUCCEEDED")
            strike = Strike(pattern, row.mode, times)
            with Proxy(dashboard.address, Faults(strikes=(strike,))) as proxy:
                code = main(["--address", proxy.address, *words])
            said = capfd.readouterr().err
            status = dashboard.jobs.get("job", {}).get("status")

        assert code == expected, said
        assert not [word for word in FOREIGN if word in said], said
        assert len(dashboard.submitted) <= 1
        if code == OK:
            assert status == {"stop": "STOPPED", "delete": None}.get(write, "RUNNING")
        else:
            assert said.count("error: ") == 1
