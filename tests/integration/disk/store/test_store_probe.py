"""`store probe` says what a store does: right on good stores, and exactly what is missing on others."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import fsspec
import pytest

from raybundle.cli.main import main
from raybundle.store import open_store
from raybundle.store.local import LocalStore
from raybundle.store.probe import WRITERS, probe
from tests.support.proxy import Faults, Proxy, Strike
from tests.support.small_project import tree
from tests.support.weak_stores import PlainFileSystem, without_conditions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.store.base import Chunks, Entry
    from tests.support.s3_server import S3Server
    from tests.support.store_servers import StoreServer

SERVERS = [pytest.param(each, marks=pytest.mark.slow) for each in ("azure", "gcs", "sftp")]


@pytest.mark.parametrize("kind", ["local", "s3", *SERVERS])
def test_a_good_store_has_all_properties_and_keeps_nothing_of_the_probe(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, environ = str(tmp_path / "store"), {}
    if kind == "s3":
        s3: S3Server = request.getfixturevalue("s3")
        url, environ = s3.prefix(), dict(s3.environ)
    elif kind != "local":
        server: StoreServer = request.getfixturevalue(f"{kind}_server")
        url, environ = server.prefix(), dict(server.environ)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    found = probe(lambda: open_store(url, environ))

    assert [(each.name, each.found) for each in found.properties if not each.holds] == []
    assert (found.ok, found.left, len(found.properties)) == (True, (), 9)
    assert open_store(url, environ).keys("") == []


class Replaces(LocalStore):
    def put_new(self, key: str, data: bytes) -> str:
        self.remove(key)
        return super().put_new(key, data) or "another was faster"


class Races(LocalStore):
    """Looks, and writes when all others have looked too."""

    looked, writing = threading.Barrier(WRITERS, timeout=60), threading.Lock()

    def put_new(self, key: str, data: bytes) -> str | None:
        if self.size(key) is not None:
            return None
        if "race" in key:
            self.looked.wait()
        with self.writing:
            self.remove(key)
            return super().put_new(key, data)


class Leaves(LocalStore):
    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        written: list[bytes] = []
        try:
            written += chunks()
        finally:
            mark = self.put_new(key, b"".join(written))
        return mark


class Late(LocalStore):
    def keys(self, prefix: str) -> list[str]:
        return [key for key in super().keys(prefix) if "/listed/" not in key]


class Flips(LocalStore):
    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        whole = b"".join(chunks())
        return self.put_new(key, whole[:-1] + bytes([whole[-1] ^ 1]))


class Begins(LocalStore):
    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        return super().pieces(key, start - start)


class Ages(LocalStore):
    def entries(self, prefix: str) -> list[Entry]:
        return [
            each._replace(modified=each.modified - timedelta(minutes=30)) for each in super().entries(prefix)
        ]


class Quotes(LocalStore):
    def keys(self, prefix: str) -> list[str]:
        return [key.replace("%", "%25") for key in super().keys(prefix)]


class Keeps(LocalStore):
    def remove(self, _key: str) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "lacks"),
    [
        (Replaces, {"created once", "one winner"}),
        (Races, {"one winner"}),
        (Leaves, {"whole objects"}),
        (Late, {"listed at once"}),
        (Flips, {"large objects"}),
        (Begins, {"ranges"}),
        (Ages, {"times"}),
        (Quotes, {"any names"}),
        (Keeps, {"removal", "listed at once"}),
    ],
)
def test_what_a_store_lacks_is_named_with_what_follows(
    kind: type[LocalStore], lacks: set[str], tmp_path: Path
) -> None:
    found = probe(lambda: kind(tmp_path / "store"))

    missing = [each for each in found.properties if not each.holds]
    assert {each.name for each in missing} == lacks
    assert all(each.follows for each in missing)
    assert bool(found.left) == (kind in {Keeps, Quotes})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tree(tmp_path / "project", {"job.py": "print(1)\n"}))
    for name in ("RAYBUNDLE_STORE", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.mark.slow
def test_a_server_that_ignores_the_condition_is_found_out_and_names_are_warned_about(
    s3: S3Server, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    url = s3.prefix()
    with Proxy(s3.endpoint, Faults(rewrite=without_conditions(s3.rw))) as proxy:
        for name, value in {**s3.environ, "AWS_ENDPOINT_URL": proxy.address}.items():
            monkeypatch.setenv(name, value)
        code = main(["--json", "store", "probe", url])
        probed = json.loads(capfd.readouterr().out)
        built = [
            main(["build", "--store", url, *words, "job.py"])
            for words in ([], ["--name", "n"], ["--name", "n"])
        ]
        said = capfd.readouterr().err

    assert code == 4
    assert {each["name"] for each in probed["properties"] if not each["holds"]} == {
        "created once",
        "one winner",
    }
    assert built == [0, 0, 0]
    assert said.count("may give one version of n to two bundles") == 1
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3.endpoint)
    assert main(["build", "--store", url, "--name", "other", "job.py"]) == 0
    assert "may give one version" not in capfd.readouterr().err
    assert project.is_dir()


def test_a_driver_that_looks_and_then_writes_is_told(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fsspec.register_implementation("plain", PlainFileSystem, clobber=True)
    url = f"plain://{project.name}/store"

    code = main(["store", "probe", url])
    shown = capfd.readouterr().out
    built = main(["build", "--store", url, "--name", "n", "job.py"])

    assert (code, built) == (4, 0)
    assert "one winner      no     " in shown
    assert "without `whole objects`: a build that is killed may leave a part" in shown
    assert "warning: plain://" in capfd.readouterr().err


def test_a_store_that_cannot_be_written_is_one_error(
    s3: S3Server, project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, value in s3.environ_of(s3.ro).items():
        monkeypatch.setenv(name, value)

    assert main(["store", "probe", s3.prefix()]) == 4
    assert "error: cannot write probe/" in capfd.readouterr().err
    assert project.is_dir()


@pytest.mark.slow
def test_what_may_not_be_removed_is_listed(s3: S3Server) -> None:
    with Proxy(s3.endpoint, Faults(strikes=(Strike("^(DELETE|POST .*delete)", "403"),))) as proxy:
        environ, url = {**s3.environ, "AWS_ENDPOINT_URL": proxy.address}, s3.prefix()

        found = probe(lambda: open_store(url, environ))

    assert {each.name for each in found.properties if not each.holds} == {
        *("listed at once", "removal"),
        "whole objects",  # the parts of an upload that ended early stay too
    }
    assert list(found.left) == open_store(url, s3.environ).keys("")
    assert found.left
