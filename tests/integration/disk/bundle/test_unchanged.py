"""An unchanged build neither reads nor sends what a store has; what was written again is compared."""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import pytest

from raybundle.errors import DigestMismatchError
from raybundle.publish.bundles import build
from raybundle.publish.layout import STORE_KEY, delivery_key, manifest_key
from raybundle.store import Store, open_store
from raybundle.store.local import LocalStore
from tests.support.installed import install, set_times
from tests.support.layered import plan_with
from tests.support.proxy import Proxy
from tests.support.store_damage import overwrite, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import BinaryIO

    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Entry
    from tests.support.s3_server import S3Server


class Asked(NamedTuple):
    """A store, and what is asked of it: methods of HTTP with keys."""

    store: Store
    requests: Callable[[], list[tuple[str, str]]]
    """Returns the requests since the last call."""


class Watched(LocalStore):
    """A directory whose requests are noted."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.requests: list[tuple[str, str]] = []

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        self.requests.append(("GET", key))
        return super().pieces(key, start)

    def open(self, key: str) -> BinaryIO:
        self.requests.append(("GET", key))
        return super().open(key)

    def entry(self, key: str) -> Entry | None:
        self.requests.append(("HEAD", key))
        return super().entry(key)

    def _put(self, key: str, chunks: Iterable[bytes]) -> str | None:
        self.requests.append(("PUT", key))
        return super()._put(key, chunks)

    def taken(self) -> list[tuple[str, str]]:
        taken, self.requests = self.requests, []
        return taken


@contextmanager
def in_s3(s3: S3Server) -> Iterator[Asked]:
    with Proxy(s3.endpoint) as proxy:
        url = s3.prefix()
        start = f"/{url.removeprefix('s3://')}/"

        def taken() -> list[tuple[str, str]]:
            found = [(each.method, each.path.removeprefix(start)) for each in proxy.requests]
            proxy.requests.clear()
            return found

        yield Asked(open_store(url, {**s3.environ, "AWS_ENDPOINT_URL": proxy.address}), taken)


@pytest.fixture(params=["local", "s3"])
def asked(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asked]:
    store = Watched(tmp_path / "store")
    local: AbstractContextManager[Asked] = nullcontext(Asked(store, store.taken))
    with local if request.param == "local" else in_s3(request.getfixturevalue("s3")) as made:
        yield made


@pytest.fixture
def plan(tmp_path: Path) -> Callable[[], Plan]:
    """Returns a plan of a script, a large file and a distribution, each time anew."""
    site, project = tmp_path / "site", tmp_path / "project"
    small = install(site, "small", {"small/__init__.py": b"value = 1\n"})
    (project / "data").mkdir(parents=True)
    (project / "data/large.bin").write_bytes(os.urandom(2 << 20))
    for path in (site, project / "data/large.bin"):
        set_times(path)
    job = 'open("data/large.bin", "rb").close()\n'
    return lambda: plan_with(tmp_path, [small], sites=[site], job=job)


def keys_of(stored: Stored) -> dict[str, str]:
    return {
        "archive": stored.archive_key,
        "delivery": delivery_key(stored.archive_key),
        "manifest": manifest_key(stored.digest),
        "layer": stored.layer_keys[0],
        "data": stored.data[0].key,
    }


def test_an_unchanged_build_neither_reads_nor_sends(asked: Asked, plan: Callable[[], Plan]) -> None:
    first = build(plan(), asked.store)
    sent = {key for method, key in asked.requests() if method == "PUT"}

    again = build(plan(), asked.store)

    requests = asked.requests()
    looked = {key for method, key in requests if method == "HEAD"}
    assert again.uploaded_bytes == 0 < first.uploaded_bytes
    assert [each for each in requests if each[0] != "HEAD"] == [("GET", STORE_KEY)]
    assert set(keys_of(first).values()) < looked == sent - {STORE_KEY}
    assert len(requests) == len(looked) + 2  # the manifest is looked for at the start and at the end


@pytest.mark.parametrize("what", ["archive", "delivery", "manifest", "layer", "data"])
def test_what_was_written_again_is_compared_and_what_is_gone_is_put_again(
    asked: Asked, plan: Callable[[], Plan], what: str
) -> None:
    stored = build(plan(), asked.store)
    key = keys_of(stored)[what]
    content = asked.store.get(key)
    half = len(content) // 2

    overwrite(asked.store, key, content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :])
    with pytest.raises(DigestMismatchError, match=key):
        build(plan(), asked.store)
    remove(asked.store, key)
    again = build(plan(), asked.store)

    assert asked.store.get(key) == content
    assert (again.uploaded_bytes, again.archive_key) == (len(content), stored.archive_key)
    asked.requests()
    build(plan(), asked.store)
    assert [each for each in asked.requests() if each[0] != "HEAD"] == [("GET", STORE_KEY)]


def test_equal_bytes_that_were_written_again_are_compared_once(
    asked: Asked, plan: Callable[[], Plan]
) -> None:
    stored = build(plan(), asked.store)
    for key in keys_of(stored).values():
        overwrite(asked.store, key, asked.store.get(key))

    build(plan(), asked.store)
    asked.requests()
    again = build(plan(), asked.store)

    assert again.uploaded_bytes == 0
    assert [each for each in asked.requests() if each[0] != "HEAD"] == [("GET", STORE_KEY)]
