"""What a command does when the way to an S3 store fails: one table, as a specification.

Each row is a fault, and the exit codes of a command if the fault strikes one request, if it ends after a
while, and if it never ends. 0 means that the command did all it should; 4 is an error of the store, 3 one of
the bundle. `says` is in the error, and no error shows words of a library.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from typing import TYPE_CHECKING, NamedTuple

import pytest

from raybundle.cli.main import main
from raybundle.store import open_store
from raybundle.store import s3 as client
from tests.support.proxy import Faults, Proxy, Strike
from tests.support.small_project import tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.s3_server import S3Server

pytestmark = pytest.mark.slow

OK, BUNDLE, STORE = 0, 3, 4
ALL = "GET HEAD PUT LIST"


class Row(NamedTuple):
    """A fault, the requests that it strikes, and what becomes of the command."""

    mode: str
    requests: str
    once: int
    a_while: int
    always: int
    says: str


TABLE = [
    #   fault      requests     once    a while always  the error says
    Row("reset", ALL, OK, OK, STORE, "c"),
    Row("close", ALL, OK, OK, STORE, "the connection was cut"),
    Row("cut", "GET LIST", OK, OK, STORE, "the answer was cut"),
    Row("500", ALL, OK, OK, STORE, "500 Internal Server Error"),
    Row("503", ALL, OK, OK, STORE, "503 Service Unavailable"),
    Row("429", ALL, OK, OK, STORE, "429 Too Many Requests"),
    Row("flip", "GET", OK, BUNDLE, BUNDLE, "does not match its digest"),
    Row("short", "GET", OK, BUNDLE, BUNDLE, "does not match its digest"),
    Row("short", "LIST", OK, OK, STORE, "the answer was cut"),
    Row("other", "GET", OK, BUNDLE, BUNDLE, "does not match its digest"),
    Row("twice", "PUT", OK, OK, OK, ""),
    Row("late", "PUT", OK, OK, STORE, "503 Service Unavailable"),
    Row("409", "PUT", OK, OK, STORE, "409 Conflict"),
    Row("html", "GET HEAD PUT", STORE, STORE, STORE, "is not an S3 server"),
    Row("html", "LIST", OK, STORE, STORE, "is not an S3 server"),
    Row("404", "GET PUT", STORE, STORE, STORE, "is not an S3 server"),
    Row("404", "LIST", STORE, STORE, STORE, "404 Not Found"),
    Row("404", "HEAD", OK, OK, OK, ""),  # a HEAD gives no reason: GET is asked
    Row("403", "GET PUT LIST", STORE, STORE, STORE, "403 Forbidden"),
    Row("401", ALL, STORE, STORE, STORE, "401 Unauthorized"),
]
COMMANDS = {
    #        the request that is struck, and the command that sends it
    "GET": (r"^GET \S*/manifest\.json", ["show", "DIGEST"]),
    "HEAD": (r"^HEAD \S*/graph\.json", ["build", "job.py"]),
    "PUT": (r"^PUT \S*/names/", ["build", "--name", "NEW", "job.py"]),
    "LIST": (r"^GET \S*list-type=2", ["show", "name"]),
}
CASES = [(row, method) for row in TABLE for method in row.requests.split()]
NAMES = [f"{row.mode}-{method}" for row, method in CASES]
USUAL = [
    pytest.param(
        row, method, id=name, marks=[] if row.a_while == OK and method in "GET PUT" else pytest.mark.all_jobs
    )
    for (row, method), name in zip(CASES, NAMES, strict=True)
]
FOREIGN = (
    "Generic",
    "obstore",
    "reqwest",
    "hyper",
    "HTTP error",
    "Error performing",
    "Debug source",
    "Traceback",
)
"""Words of libraries."""
SHORT_WHILE, SHORT_PATIENCE = 0.15, 0.5
"""Seconds of an outage, and for which a request is tried again, in tests of every day."""
BUSY_PATIENCE = 10 * SHORT_PATIENCE
"""Where the request is to succeed at last."""


class Scene:
    """A store that has a bundle, and a user's commands to it."""

    def __init__(self, s3: S3Server, work: Path, set_variable: Callable[[str, str], None]) -> None:
        self.s3 = s3
        self.project = tree(work / "project", {"job.py": "print(1)\n"})
        self._set = set_variable
        environ = {**s3.environ, "HOME": str(work), "XDG_CACHE_HOME": str(work / "cache")}
        for name, value in {**environ, "RAYBUNDLE_STORE": s3.prefix()}.items():
            self._set(name, value)
        assert main(["build", "--name", "name", str(self.project / "job.py")]) == OK
        self.digest = ""

    def run(self, words: list[str], endpoint: str) -> int:
        self._set("AWS_ENDPOINT_URL", endpoint)
        known = {
            "DIGEST": self.digest,
            "NEW": f"name-{uuid.uuid4().hex}",  # a bundle gets one version of a name, and no second
            "job.py": str(self.project / "job.py"),
        }
        return main([known.get(each, each) for each in words])


@pytest.fixture
def scene(
    s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Scene:
    monkeypatch.chdir(tmp_path)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "RAYBUNDLE_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    found = Scene(s3, tmp_path, monkeypatch.setenv)
    found.digest = capfd.readouterr().out.strip()
    return found


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is patient for half a second."""
    monkeypatch.setattr(client, "RETRY_SECONDS", SHORT_PATIENCE)
    monkeypatch.setattr(client, "FIRST_RETRY", 0.05)
    monkeypatch.setattr(client, "TRIES_MORE", 0)


def judge(code: int, expected: int, row: Row, said: str) -> None:
    assert code == expected, said
    assert not [word for word in FOREIGN if word in said]
    if expected != OK:
        assert row.says in said
        assert said.startswith("error: ")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("row", "method"), CASES, ids=NAMES)
def test_a_fault_of_one_request_and_one_that_never_ends(
    scene: Scene, row: Row, method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pattern, words = COMMANDS[method]
    for times, expected in ((1, row.once), (math.inf, row.always)):
        strike = Strike(pattern, row.mode, times)
        with Proxy(scene.s3.endpoint, Faults(strikes=(strike,))) as proxy:
            code = scene.run(words, proxy.address)
        judge(code, expected, row, capfd.readouterr().err)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(("row", "method"), USUAL)
def test_a_fault_that_ends_after_a_while(
    scene: Scene,
    row: Row,
    method: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pattern, words = COMMANDS[method]
    strike = Strike(pattern, row.mode, seconds=SHORT_WHILE)
    if row.a_while == OK:  # the machine may be busy
        monkeypatch.setattr(client, "RETRY_SECONDS", BUSY_PATIENCE)
    with Proxy(scene.s3.endpoint, Faults(strikes=(strike,))) as proxy:
        judge(scene.run(words, proxy.address), row.a_while, row, capfd.readouterr().err)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("method", ALL.split())
def test_a_refused_connection(
    scene: Scene, method: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = Row("refuse", ALL, OK, OK, STORE, "connection refused")
    with Proxy(scene.s3.endpoint) as proxy:
        for seconds, expected in ((SHORT_WHILE, row.a_while), (30, row.always)):
            monkeypatch.setattr(client, "RETRY_SECONDS", BUSY_PATIENCE if expected == OK else SHORT_PATIENCE)
            proxy.refuse(seconds)
            judge(scene.run(COMMANDS[method][1], proxy.address), expected, row, capfd.readouterr().err)


LATE_AND_TWICE = {"late": Strike("^PUT", "late", 1), "twice": Strike("^PUT", "twice")}


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("mode", LATE_AND_TWICE)
def test_a_put_that_arrives_late_or_twice_overwrites_nothing(scene: Scene, mode: str) -> None:
    with Proxy(scene.s3.endpoint, Faults(strikes=(LATE_AND_TWICE[mode],))) as proxy:
        environ, url = {**scene.s3.environ, "AWS_ENDPOINT_URL": proxy.address}, scene.s3.prefix()
        ours, theirs = open_store(url, environ), open_store(url, scene.s3.environ)
        created = ours.put_new("a", b"ours")
        later = theirs.put_new("a", b"theirs")
        while mode == "late" and not proxy.late:
            time.sleep(0.05)

        assert (theirs.get("a"), later) == (b"ours", None)
        assert (created is not None) == (mode == "late")  # the second answer to one that arrived twice is 412
        assert set(proxy.late) <= {"412"}


@pytest.mark.parametrize("mode", ["silent", "stall"])
@pytest.mark.parametrize("read", ["get", "pieces"])
def test_an_answer_that_stops_is_asked_for_again(
    s3: S3Server, read: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(client, "UPLOAD_SECONDS", 60)  # of a transfer as a whole
    data = os.urandom(6 << 20)
    url = s3.prefix()
    open_store(url, s3.environ).put_new("a", data)
    with Proxy(s3.endpoint, Faults(strikes=(Strike("^GET", mode, 1),))) as proxy:
        store = open_store(url, {**s3.environ, "AWS_ENDPOINT_URL": proxy.address})
        begin = time.monotonic()

        assert b"".join([store.get("a")] if read == "get" else store.pieces("a")) == data
        assert time.monotonic() - begin < 30


OUTAGES = [
    pytest.param(mode, method, marks=[] if (mode, method) == ("refuse", "PUT") else pytest.mark.all_jobs)
    for mode in ("refuse", "reset", "503")
    for method in ALL.split()
]


@pytest.mark.parametrize(("mode", "method"), OUTAGES)
def test_an_outage_of_five_seconds_is_waited_for(
    scene: Scene, mode: str, method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    pattern, words = COMMANDS[method]
    strikes = () if mode == "refuse" else (Strike(pattern, mode, seconds=5),)
    with Proxy(scene.s3.endpoint, Faults(strikes=strikes)) as proxy:
        if mode == "refuse":
            proxy.refuse(5)
        assert scene.run(words, proxy.address) == OK, capfd.readouterr().err


@pytest.mark.all_jobs
def test_an_outage_of_thirty_seconds_is_an_error_soon_and_the_same_command_works_after_it(
    scene: Scene, capfd: pytest.CaptureFixture[str]
) -> None:
    row = Row("refuse", ALL, OK, OK, STORE, "connection refused")
    with Proxy(scene.s3.endpoint) as proxy:
        proxy.refuse(30)
        end = time.monotonic() + 31
        for method in ("GET", "PUT"):
            judge(scene.run(COMMANDS[method][1], proxy.address), STORE, row, capfd.readouterr().err)
        time.sleep(max(0.0, end - time.monotonic()))
        for method in ALL.split():
            assert scene.run(COMMANDS[method][1], proxy.address) == OK, capfd.readouterr().err
