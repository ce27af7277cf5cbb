"""A client that is killed after any request to the store leaves a clean store, and the next one succeeds.

The counter of tests/support/killed_client.py walks through all requests; usually every ninth one ends it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.store import Store, open_store
from tests.support.fake_dashboard import FakeDashboard
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from raybundle.cache.documents import Cache
    from tests.support.s3_server import S3Server

pytestmark = pytest.mark.slow

JOB = 'import websocket\n\nopen("words.bin", "rb").close()\n'
USUAL = 9
"""Usually, the requests with these numbers end the client: 1, 10, 19, …"""
ROOT = Path(__file__).parents[4]


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.wide)])
def made_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[str], tuple[str, Store, dict[str, str]]]:
    """Makes an empty store: its URL, the store, and the variables of its client."""

    def make(name: str) -> tuple[str, Store, dict[str, str]]:
        if request.param == "local":
            return str(tmp_path / name), open_store(str(tmp_path / name), {}), {}
        server: S3Server = request.getfixturevalue("s3")
        url = server.prefix()
        return url, open_store(url, server.environ), dict(server.environ)

    return make


class Client:
    """A user who submits the same job again and again, each time to an empty store and with no cache."""

    def __init__(self, work: Workplace, dashboard: FakeDashboard) -> None:
        self._work, self._dashboard = work, dashboard
        (work.directory / "job.py").write_text(JOB)
        (work.directory / "words.bin").write_bytes(os.urandom(1 << 21))

    def submit(self, url: str, name: str, last: int, environ: dict[str, str]) -> CompletedProcess[str]:
        words = ["--json", "--store", url, "--address", self._dashboard.address, "submit", "--no-wait"]
        words += ["--name", "killed", "--submission-id", name, "job.py"]
        counter = [sys.executable, "-m", "tests.support.killed_client", str(last), str(self.requests(name))]
        variables = {
            **environ,
            "PYTHONPATH": str(ROOT),
            "XDG_CACHE_HOME": str(self.requests(name)) + ".cache",
        }
        return self._work.command([*counter, *words], env=variables)

    def requests(self, name: str) -> Path:
        return self._work.directory.parent / f"{name}.requests"


# A killed client leaves the dashboard's thread a socket that nobody closes.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.wide), USUAL])
def test_a_client_that_is_killed_after_a_request_leaves_a_clean_store_and_no_job_without_a_record(
    made_store: Callable[[str], tuple[str, Store, dict[str, str]]], tmp_path: Path, cache: Cache, every: int
) -> None:
    with FakeDashboard() as dashboard:
        client = Client(make_workplace(tmp_path / "work"), dashboard)
        url, _, environ = made_store("whole")
        whole = client.submit(url, "whole", 0, environ)
        assert whole.returncode == 0, whole.stderr
        digest = json.loads(whole.stdout)["bundle"]
        number = len(client.requests("whole").read_text().splitlines())
        for last in range(1, number + 1, every):
            name = f"killed-{last}"
            url, store, environ = made_store(name)
            killed = client.submit(url, name, last, environ)

            assert killed.returncode == -signal.SIGKILL, killed.stderr
            after = client.requests(name).read_text()
            assert check_store(open_shelf(store, cache), read_data=True).faults == (), after
            records = {key.rpartition("/")[2] for key in store.keys("runs/")}
            jobs = {f"{job}.json" for job in dashboard.jobs if job == name}
            assert jobs <= records, after
            again = client.submit(url, name, 0, environ)
            assert again.returncode == 0, f"{again.stderr}\n{after}"
            assert json.loads(again.stdout)["bundle"] == digest
            assert check_store(open_shelf(store, cache), read_data=True).findings == (), after
    assert number > 20
