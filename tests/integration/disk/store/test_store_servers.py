"""The command line with stores behind fsspec, on real servers: Azurite, fake-gcs-server and OpenSSH."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from raybundle.cli.main import main
from raybundle.store import open_store
from tests.support.small_project import tree
from tests.support.workplace import Workplace, make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.store_servers import StoreServer

pytestmark = pytest.mark.slow

RACERS, RACES = 3, 10
LARGE = 40 << 20
"""Bytes whose upload takes long enough to be killed in."""
RACE = """if True:
    import sys, time
    from raybundle.store import open_store
    url, own, start = sys.argv[1], sys.argv[2].encode(), float(sys.argv[3])
    store = open_store(url, {})
    store.size("warm/up")
    time.sleep(max(0.0, start - time.time()))
    wins = [store.put_new(f"race/{number}", own) for number in range(10)]
    print(*(int(mark is not None) for mark in wins))"""
ENDLESS = """if True:
    import sys
    from raybundle.store import open_store
    store = open_store(sys.argv[1], {})
    store.size("warm/up")
    print("begins", flush=True)
    store.put_new("data/large", bytes(int(sys.argv[2])))
    print("done", flush=True)"""


class Site(NamedTuple):
    """A user's workplace whose store is on a server."""

    work: Workplace
    url: str
    server: StoreServer


@pytest.fixture(params=["azure", "gcs", "sftp"])
def site(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    server: StoreServer = request.getfixturevalue(f"{request.param}_server")
    url = server.prefix()
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    variables = {"VIRTUAL_ENV": sys.prefix, "RAYBUNDLE_STORE": url, **server.environ}
    work = make_workplace(tmp_path / "work", **variables)
    for name, value in work.environ.items():
        if name.startswith("XDG_") or name in variables:
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(work.directory)
    tree(
        work.directory,
        {"job.py": "from pkg import part\n\nprint('ran', part.VALUE)\n", "pkg/part.py": "VALUE = 7\n"},
    )
    (work.directory / "pkg/table.bin").write_bytes(os.urandom(3 << 20))
    (work.directory / "pyproject.toml").write_text('[tool.raybundle]\ninclude = ["pkg/table.bin"]\n')
    return Site(work, url, server)


def child(code: str, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)


def test_a_bundle_is_built_listed_pulled_checked_and_run_from_the_server(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    codes = [main(["build", "--name", "job", "job.py"]) for _ in range(2)]
    digests = set(capfd.readouterr().out.split())
    for each in (tmp_path / "work").rglob("*.py"):
        each.unlink()
    codes += [main(["--json", "bundles"])]
    listed = json.loads(capfd.readouterr().out)["bundles"]
    codes += [main(["pull", "job@1", str(tmp_path / "out")]), main(["check", "--read-data"])]
    ran = site.work.raybundle("run", "--here", "job")

    assert codes == [0] * 5, capfd.readouterr().err
    assert {each["bundle"] for each in listed} == digests
    assert (tmp_path / "out/project/pkg/part.py").read_text() == "VALUE = 7\n"
    assert (ran.returncode, ran.stdout) == (0, "ran 7\n"), ran.stderr


def test_one_of_several_processes_creates_an_object_and_none_overwrites_it(site: Site) -> None:
    start = str(time.time() + 4)
    racers = [child(RACE, site.url, str(number), start) for number in range(RACERS)]
    wins = [racer.communicate(timeout=100)[0].split() for racer in racers]
    store = open_store(site.url, {})

    for number in range(RACES):
        winners = [racer for racer in range(RACERS) if wins[racer][number] == "1"]
        assert len(winners) == 1
        assert store.get(f"race/{number}") == str(winners[0]).encode()


@pytest.mark.wide
def test_two_builders_of_one_name_get_two_versions(site: Site) -> None:
    with site.work.started("build", "--name", "fraud", "job.py") as one:
        two = site.work.raybundle("build", "--name", "fraud", "-m", "pkg.part")
        assert one.end()[0] == 0
    assert two.returncode == 0, two.stderr
    named = json.loads(site.work.raybundle("--json", "bundles").stdout)["bundles"]

    assert sorted(version["version"] for each in named for version in each["names"]) == [1, 2]


@pytest.mark.parametrize("seconds", [0.1, pytest.param(0.4, marks=pytest.mark.wide)])
def test_a_client_that_is_killed_leaves_no_object(site: Site, seconds: float) -> None:
    running = child(ENDLESS, site.url, str(LARGE))
    assert running.stdout is not None
    with running.stdout:
        assert running.stdout.readline() == "begins\n"
        time.sleep(seconds)
        running.send_signal(signal.SIGKILL)
        said = running.stdout.read()
    running.wait()
    store = open_store(site.url, {})

    there = store.size("data/large")
    assert there in ({LARGE} if said == "done\n" else {None, LARGE})
    assert store.keys("") == ([] if there is None else ["data/large"])
    assert (store.put_new("data/large", bytes(LARGE)) is not None) == (there is None)
    assert store.get("data/large") == bytes(LARGE)


@pytest.mark.parametrize("command", ["bundles", pytest.param("build job.py", marks=pytest.mark.wide)])
def test_wrong_credentials_are_one_line(site: Site, command: str) -> None:
    done = site.work.raybundle(*command.split(), env=site.server.wrong)

    lines = [line for line in done.stderr.splitlines() if line]
    assert done.returncode == 4, done.stderr
    assert [line.partition(" ")[0] for line in lines] == ["error:", "hint:"], done.stderr
