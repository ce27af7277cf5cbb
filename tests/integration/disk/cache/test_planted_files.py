"""Pipes, devices and other things in the place of files: they are made anew or refused, and nothing waits."""

from __future__ import annotations

import os
import signal
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn

import pytest

from raybundle.cli.main import main
from raybundle.cluster.embedded import cluster
from raybundle.cluster.embedded.processes import Process
from raybundle.cluster.embedded.record import (
    LocalCluster,
    read_record,
    state_directory,
    state_path,
    write_record,
)
from raybundle.config import load_settings
from raybundle.errors import BundleError, ClusterError, StoreError, UntrustedError, UsageError
from raybundle.formats.canonical import digest_of
from raybundle.publish import layout
from raybundle.publish.bundles import build, find_bundle
from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.verifying import verify_bundle
from raybundle.publish.names import record_name
from raybundle.publish.trust.keys import trusted_keys
from raybundle.publish.trust.memory import remember
from raybundle.store.local import LocalStore
from tests.support.installed import install
from tests.support.layered import plan_with

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.planning import Plan

KINDS = ("pipe", "loop", "device", "directory", "huge", "socket")
STRANGER = 4402


@pytest.fixture(autouse=True)
def _user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A state directory of its own; what waits is interrupted."""

    def interrupt(*_: object) -> NoReturn:
        raise TimeoutError("it waits")

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("RAYBUNDLE_LOCAL_STATE", raising=False)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def plant(path: Path, kind: str) -> None:
    """Puts something else in the place of a file."""
    path.unlink(missing_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path, 0o600)
        case "loop":
            path.symlink_to(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "directory":
            path.mkdir()
        case "socket":
            os.mknod(path, stat.S_IFSOCK | 0o600)
        case _:
            path.touch(mode=0o600)
            os.truncate(path, 1 << 40)


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    small = install(tmp_path / "site", "small", {"small/__init__.py": b"value = 1\n"})
    return plan_with(tmp_path, [small], sites=[tmp_path / "site"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_cache_is_made_anew(tmp_path: Path, planned: Plan, kind: str) -> None:
    store = LocalStore(tmp_path / "store")
    digest = build(planned, store).digest
    files = [path for path in planned.cache.directory.rglob("*") if path.is_file()]
    for file in files:
        plant(file, kind)

    again = plan_with(tmp_path, planned.resolution.distributions, sites=[tmp_path / "site"])

    assert build(again, store).digest == digest
    assert {path.parent.name for path in files} > {"bundles", "receipts", "layers"}


@pytest.mark.parametrize("kind", ["pipe", "loop", "device", "directory"])
def test_an_object_of_a_local_store_is_missing(
    tmp_path: Path, planned: Plan, cache: Cache, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout, "READ_AGAIN_DELAY", 0.001)
    store = LocalStore(tmp_path / "store")
    stored = build(planned, store)
    shelf = open_shelf(store, cache)
    name_bundle = partial(record_name, store, "model", stored.digest)
    name_bundle()
    for key in store.keys(""):
        file = tmp_path / "store" / key
        content = file.read_bytes()
        plant(file, kind)

        assert store.size(key) is None
        with pytest.raises(StoreError):
            store.get(key)
        for command in (
            partial(find_bundle, store, "model"),
            partial(verify_bundle, shelf, stored.digest),
            partial(check_store, shelf, read_data=True),
            partial(build, planned, store),
            name_bundle,
        ):
            with suppress(StoreError, BundleError):
                command()
        file.rmdir() if kind == "directory" else file.unlink()
        file.write_bytes(content)
    assert check_store(shelf, read_data=True).findings == ()


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_of_the_embedded_cluster_is_made_anew_or_refused(kind: str) -> None:
    for name in ("lock", "cluster.json", "cluster.new", "auth_token", "ray.log"):
        state_directory()
        plant(state_path(name), kind)

        assert cluster.status() is None
        if kind == "directory":
            with pytest.raises(ClusterError, match=name):
                cluster.down()
            state_path(name).rmdir()
        else:
            assert cluster.down() is False
            assert state_path(name).is_file() == (name == "lock" or kind == "huge")


def test_the_state_of_another_user_is_not_believed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to give a directory to another user")
    state = state_directory()
    treasure = tmp_path / "treasure"
    treasure.write_text("gold")
    write_record(LocalCluster("http://127.0.0.1:1", "python", "2.60.0", "/", (Process(1, "1"),)))
    assert read_record() is not None
    os.chown(state_path("cluster.json"), STRANGER, STRANGER)
    assert read_record() is None
    os.chown(state, STRANGER, STRANGER)
    state_path("lock").unlink()
    state_path("lock").symlink_to(treasure)

    codes = [main(["local", "down"]), main(["local", "up"])]

    told = capfd.readouterr().err
    assert codes == [5, 5]
    assert told.count("error: the embedded cluster cannot be recorded") == 2
    assert "it belongs to another user" in told
    assert treasure.read_text() == "gold"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["versions.json", "versions.json.lock"])
def test_a_memory_of_versions_is_refused_and_not_forgotten(tmp_path: Path, name: str, kind: str) -> None:
    store, environ = LocalStore(tmp_path / "store"), {"XDG_STATE_HOME": str(tmp_path / "state")}
    remember(store, "model", 3, digest_of(b"3"), environ, moving=True)
    plant(tmp_path / "state/raybundle" / name, kind)

    if (name, kind) == ("versions.json.lock", "huge"):
        remember(store, "model", 4, digest_of(b"4"), environ, moving=True)
        return
    with pytest.raises(UntrustedError, match="versions"):
        remember(store, "model", 2, digest_of(b"2"), environ, moving=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_trusted_key_is_refused(tmp_path: Path, kind: str) -> None:
    plant(tmp_path / "key.pub", kind)

    with pytest.raises(UsageError, match=r"key\.pub"):
        trusted_keys(load_settings({"trusted-keys": [str(tmp_path / "key.pub")]}, {}, tmp_path))
