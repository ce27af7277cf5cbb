"""A client that is killed at any system call leaves a clean store and little else, and the next one succeeds.

Usually some of the calls are its end; `scripts/test --all` goes through all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import pytest

from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.store import Store, open_store
from tests.support.fake_dashboard import FakeDashboard
from tests.support.installed import install
from tests.support.killed_calls import can_ask, forks
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from tests.support.fake_dashboard import Exchange
    from tests.support.killed_calls import Ended, Forks
    from tests.support.s3_server import S3Server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not can_ask(), reason="needs seccomp_unotify(2) of Linux on x86-64"),
    # A killed client leaves the dashboard's thread a socket that nobody closes.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

JOB = 'import small\n\nopen("words.bin", "rb").close()\n'
USUAL = 12
"""Kills of a usual run."""
A_WEEK = 7 * 86400
WIDE = pytest.mark.wide


class Place(NamedTuple):
    """Where one client puts things."""

    url: str
    store: Store
    environ: Mapping[str, str]
    directory: Path

    @property
    def cache(self) -> Path:
        return self.directory / "cache"

    @property
    def temporary(self) -> Path:
        return self.directory / "tmp"

    def unfinished(self) -> list[Path]:
        """What is being written: hidden names in the store and in the cache."""
        hidden = [path for path in self.directory.rglob(".*") if path.name != ".incoming"]
        return hidden + list(self.directory.glob("store/.incoming/*"))


class Client:
    """A user who submits a job with a layer and a large file, to a store of his own each time."""

    def __init__(self, work: Workplace, dashboard: FakeDashboard, forked: Forks) -> None:
        self._work, self.dashboard, self._forks = work, dashboard, forked
        dashboard.faults.append(self._end_probes)
        self._python = work.directory.parent / "venv/bin/python"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self._python.parents[1]], check=True)
        [site] = self._python.parents[1].glob("lib/python*/site-packages")
        install(site, "small", {"small/__init__.py": b"value = 1\n"})
        (work.directory / "words.bin").write_bytes(os.urandom(1 << 21))
        self.write(JOB)

    def write(self, job: str) -> None:
        (self._work.directory / "job.py").write_text(job)

    def _end_probes(self, _exchange: Exchange) -> bool:
        """Ends the jobs that ask nodes whether they read the store: they fail here, and all is relayed."""
        for name, job in self.dashboard.jobs.items():
            if name.startswith("raybundle-probe"):
                job["status"] = "FAILED"
        return False

    def submit(self, place: Place, last: int | None = None) -> Ended:
        words = ["--json", "--store", place.url, "--address", self.dashboard.address, "submit", "--no-wait"]
        words += ["--name", "killed", "--submission-id", place.directory.name, "--python", str(self._python)]
        variables = {"XDG_CACHE_HOME": str(place.cache), "TMPDIR": str(place.temporary)}
        variables = {**self._work.environ, **place.environ, **variables}
        return self._forks.run([*words, "job.py"], self._work.directory, variables, last)


@pytest.fixture(params=["local", pytest.param("s3", marks=WIDE)])
def make_place(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Place]:
    """Makes an empty store, and names directories for a client."""

    def make(name: str) -> Place:
        directory = tmp_path / name
        (directory / "tmp").mkdir(parents=True)
        if request.param == "local":
            url = str(directory / "store")
            return Place(url, open_store(url, {}), {}, directory)
        server: S3Server = request.getfixturevalue("s3")
        url = server.prefix()
        return Place(url, open_store(url, server.environ), server.environ, directory)

    return make


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with FakeDashboard() as dashboard, forks(tmp_path) as forked:
        yield Client(make_workplace(tmp_path / "work"), dashboard, forked)


@pytest.mark.parametrize("scene", ["new", pytest.param("changed", marks=WIDE)])
@pytest.mark.parametrize("kills", [USUAL, pytest.param(100_000, marks=WIDE)])
def test_a_client_that_is_killed_at_a_call_leaves_a_clean_store_and_no_job_without_a_record(
    client: Client, make_place: Callable[[str], Place], cache: Cache, kills: int, scene: str
) -> None:
    make = partial(made, client, make_place, scene)
    _, whole = (client.submit(make(name), 0) for name in ("whole-1", "whole-2"))  # the first one imports
    assert whole.code == 0, whole.stderr
    calls, digest = len(whole.calls), json.loads(whole.stdout)["bundle"]
    for last in range(1, calls + 1, max(1, calls // kills)):
        assert kill_and_submit(client, make(f"killed-{last}"), last, cache) == digest
    assert calls > 80


def made(client: Client, make_place: Callable[[str], Place], scene: str, name: str) -> Place:
    """Returns an empty place, or one where an earlier version of the job was submitted."""
    place = make_place(name)
    if scene == "changed":
        client.write(f"{JOB}print(1)\n")
        before = place._replace(directory=place.directory / "before")
        (place.directory / "before/tmp").mkdir(parents=True)
        assert client.submit(before).code == 0
        (before.cache).rename(place.cache)
        client.write(JOB)
    return place


def kill_and_submit(client: Client, place: Place, last: int, cache: Cache) -> str:
    """Kills a submission at a call, and repeats it; returns the digest of the bundle."""
    killed = client.submit(place, last)
    at = f"call {last}: {killed.calls[-3:]}"

    assert len(killed.calls) >= last or killed.code == 0, at
    assert "Traceback" not in killed.stderr, killed.stderr
    assert list(place.temporary.iterdir()) == [], at
    assert check_store(open_shelf(place.store, cache), read_data=True).faults == (), at
    records = {key.rpartition("/")[2] for key in place.store.keys("runs/")}
    assert {f"{job}.json" for job in client.dashboard.jobs if job == place.directory.name} <= records, at
    assert sum(path.stat().st_size for path in place.unfinished() if path.is_file()) < 3 << 20, at
    for path in place.unfinished():
        os.utime(path, (0, time.time() - A_WEEK))

    again = client.submit(place)

    assert again.code == 0, f"{again.stderr}\n{at}"
    assert check_store(open_shelf(place.store, cache), read_data=True).findings == (), at
    place.store.put_new("last", b"")  # the next write sweeps: the repeated submission may have had none
    assert [path for path in place.unfinished() if "store" in path.parts] == [], at
    shutil.rmtree(place.directory)
    return str(json.loads(again.stdout)["bundle"])
