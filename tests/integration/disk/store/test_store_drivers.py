"""What the drivers behind fsspec do when connections end, keys are unknown, and clients were killed."""

from __future__ import annotations

import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.errors import StoreAccessError, UsageError
from raybundle.store import fsspec_store, open_store
from raybundle.store.drivers import connect, may_pass
from raybundle.store.local import LocalStore

if TYPE_CHECKING:
    from raybundle.store import Store
    from raybundle.store.drivers import Driver
    from tests.support.store_servers import StoreServer

DAY = 24 * 3600


@pytest.fixture
def behind(sftp_server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> StoreServer:
    for name, value in sftp_server.environ.items():
        monkeypatch.setenv(name, value)
    return sftp_server


@pytest.fixture
def store(behind: StoreServer) -> Store:
    return open_store(behind.prefix(), {})


def folder_of(store: Store, behind: StoreServer) -> Path:
    assert behind.directory is not None
    return behind.directory / store.url.rpartition("/")[2]


def sessions(server: int) -> list[int]:
    """Returns the processes that the server has made for its connections."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        found += [int(status.parent.name)] if parent == server else []
    return found


@pytest.mark.slow
def test_an_sftp_connection_that_ends_is_made_again(store: Store, behind: StoreServer) -> None:
    data = os.urandom(3 << 20)
    assert store.put_new("data/a", data)
    pieces = store.pieces("data/a")
    read = [next(pieces)]
    for when in ("put", "get", "pieces"):
        for pid in sessions(behind.pid):
            os.kill(pid, signal.SIGKILL)
        match when:
            case "put":
                assert store.put_new("data/b", data)
            case "get":
                assert store.get("data/b") == data
            case _:
                assert b"".join([*read, *pieces]) == data


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["sftp", "webhdfs"])
def test_a_refused_connection_is_tried_again_for_a_while(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[str] = []

    def connected(url: str) -> Driver:
        tries.append(url)
        return connect(url)

    monkeypatch.setattr(fsspec_store, "RETRY_SECONDS", 1)
    monkeypatch.setattr(fsspec_store, "connect", connected)
    with pytest.raises(StoreAccessError, match=f"cannot read a from {scheme}://127.0.0.1:1/x") as caught:
        open_store(f"{scheme}://127.0.0.1:1/x", {}).get("a")

    assert caught.value.__cause__ is not None
    assert may_pass(caught.value.__cause__)  # type: ignore[arg-type]
    assert "Errno" not in str(caught.value)
    assert (len(tries) > 1) == (scheme == "sftp")  # the other keeps no connection


@pytest.mark.slow
def test_many_threads_share_one_sftp_connection(store: Store) -> None:
    def use(number: int) -> bytes:
        store.put_new(f"a/{number}", b"%d" % number)
        return store.get(f"a/{number}")

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(use, range(64))) == [b"%d" % number for number in range(64)]


@pytest.mark.slow
def test_what_a_killed_client_left_is_no_object_and_is_swept_after_a_day(
    store: Store, behind: StoreServer
) -> None:
    incoming = folder_of(store, behind) / ".incoming"
    incoming.mkdir(parents=True)
    old, young = incoming / "old", incoming / "young"
    for file in (old, young):
        file.write_bytes(b"half")
    os.utime(old, (time.time() - 2 * DAY,) * 2)

    assert (store.keys(""), store.entries("")) == ([], [])
    assert store.put_new("a", b"x")
    assert sorted(each.name for each in incoming.iterdir()) == ["young"]
    assert store.keys("") == ["a"]


@pytest.mark.slow
def test_a_server_whose_host_key_is_not_known_is_refused(
    behind: StoreServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    with pytest.raises(StoreAccessError, match="not found in known_hosts"):
        open_store(behind.prefix(), {}).keys("")


@pytest.mark.slow
def test_a_host_of_the_configuration_of_ssh_is_found_by_its_name(behind: StoreServer) -> None:
    url = behind.prefix().replace(f"127.0.0.1:{behind.port}", "store-of-tests")

    assert open_store(url, {}).put_new("a", b"x")


@pytest.mark.slow
def test_another_account_is_another_place(azure_server: StoreServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in azure_server.environ.items():
        monkeypatch.setenv(name, value)

    assert (
        open_store("az://bundles/x", {}).place
        == f"az://bundles/x at http://127.0.0.1:{azure_server.port}/tests/"
    )


def test_local_urls_of_fsspec_are_directories(tmp_path: Path) -> None:
    store = open_store(f"local://{tmp_path}/store", {})

    assert isinstance(store, LocalStore)
    assert store.put_new("a", b"x")


@pytest.mark.parametrize(("url", "hint"), [("nothing://x/y", "nothing"), ("az://x/y", "raybundle[azure]")])
def test_a_url_without_a_driver_says_what_to_install(
    url: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(import_module("fsspec.registry")._registry, "az", raising=False)
    monkeypatch.setitem(sys.modules, "adlfs", None)

    with pytest.raises(UsageError, match=r"no driver for .*:// is installed") as caught:
        open_store(url, {})

    assert hint in str(caught.value.hint)
