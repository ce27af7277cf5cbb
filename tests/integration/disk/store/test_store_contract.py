"""What every store promises; each test runs on each kind of store."""

from __future__ import annotations

import os
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import fsspec
import pytest

from raybundle.errors import (
    BundleError,
    DigestMismatchError,
    ObjectMissingError,
    ObjectTooLargeError,
    StoreError,
    UsageError,
)
from raybundle.model import Digest
from raybundle.publish.layout import archive_key, find_archives, manifest_key
from raybundle.publish.names import record_name
from raybundle.publish.putting import prepare, put_compared
from raybundle.publish.refs import find_digests, look_up
from raybundle.store import Store, open_store
from tests.support.weak_stores import PlainFileSystem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.s3_server import S3Server
    from tests.support.store_servers import StoreServer

RACERS = 16
DIGESTS = [Digest("sha256:" + start.ljust(64, "0")) for start in ("abcdef01", "abcdef012", "fedcba98")]
"""Sorted; the first two start alike."""


SERVERS = ["azure", "gcs", "sftp"]
KINDS = ["local", "s3", "memory", "plain", *(pytest.param(each, marks=pytest.mark.slow) for each in SERVERS)]


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    match request.param:
        case "azure" | "gcs" | "sftp":
            behind: StoreServer = request.getfixturevalue(f"{request.param}_server")
            for name, value in behind.environ.items():
                monkeypatch.setenv(name, value)
            return open_store(behind.prefix(), {})
        case "s3":
            server: S3Server = request.getfixturevalue("s3")
            return open_store(server.prefix(), server.environ)
        case "memory":
            return open_store(f"memory://{uuid.uuid4().hex}/store", {})
        case "plain":
            fsspec.register_implementation("plain", PlainFileSystem, clobber=True)
            return open_store(f"plain://{uuid.uuid4().hex}/store", {})
        case _:
            return open_store(str(tmp_path / "a store"), {})


@pytest.mark.parametrize("data", [b"", b"\0\xff\r\n", os.urandom(3 << 20)], ids=["empty", "binary", "3 MB"])
def test_an_object_comes_back_byte_for_byte(store: Store, data: bytes) -> None:
    created = store.put_new("layers/a.zip", data)

    assert created
    assert store.get("layers/a.zip") == data
    assert store.size("layers/a.zip") == len(data)


@pytest.mark.parametrize("first", [b"", b"first"])
def test_a_second_put_changes_nothing(store: Store, first: bytes) -> None:
    marks = [store.put_new("a/b", data) for data in (first, b"second", first)]

    assert [mark is not None for mark in marks] == [True, False, False]
    assert store.get("a/b") == first


@pytest.mark.parametrize("count", [0, 20], ids=["empty", "20 MB"])
def test_chunks_are_put_once_and_come_back_byte_for_byte(store: Store, count: int) -> None:
    chunks = [os.urandom(1 << 20) for _ in range(count)]
    created = [
        store.put_new_chunks("layers/a.zip", lambda: iter(chunks)),
        store.put_new_chunks("layers/a.zip", list),
    ]

    assert [mark is not None for mark in created] == [True, False]
    assert store.get("layers/a.zip") == b"".join(chunks)
    with store.open("layers/a.zip") as stream:
        assert stream.read() == b"".join(chunks)
        assert stream.seek(0, os.SEEK_END) == len(chunks) << 20


@pytest.mark.parametrize("count", [0, 1, 40])
def test_chunks_that_end_with_an_error_leave_no_object(store: Store, count: int) -> None:
    def chunks() -> Iterator[bytes]:
        yield from (os.urandom(1 << 20) for _ in range(count))
        raise BundleError("changed")

    with pytest.raises(BundleError, match="changed"):
        store.put_new_chunks("data/a", chunks)

    assert store.size("data/a") is None
    assert store.keys("") == []
    assert store.put_new_chunks("data/a", lambda: [b"right"])
    assert store.get("data/a") == b"right"


def test_an_object_is_read_from_any_place(store: Store) -> None:
    data = os.urandom(3 << 20)
    store.put_new("data/a", data)

    for start in (0, 1, 1 << 20, len(data) - 1):
        assert b"".join(store.pieces("data/a", start)) == data[start:]


def test_a_missing_object_cannot_be_opened(store: Store) -> None:
    with pytest.raises(ObjectMissingError), store.open("data/a"):
        pass


@pytest.mark.slow
def test_one_of_sixteen_racers_wins_and_all_read_its_bytes(store: Store) -> None:
    def race(number: int) -> tuple[bool, bytes]:
        created = store.put_new("race/one", b"%d" % number) is not None
        return created, store.get("race/one")

    with ThreadPoolExecutor(RACERS) as threads:
        results = list(threads.map(race, range(RACERS)))

    winners = [number for number, (created, _) in enumerate(results) if created]
    assert len(winners) == 1
    assert {data for _, data in results} == {b"%d" % winners[0]}


def test_an_object_that_is_larger_than_its_reader_allows_is_refused(store: Store) -> None:
    store.put_new("a/b", bytes(3 << 20))

    assert store.get("a/b", 3 << 20) == bytes(3 << 20)
    for most in (0, 1 << 20, (3 << 20) - 1):
        with pytest.raises(ObjectTooLargeError, match=r"a/b in .*: expected at most"):
            store.get("a/b", most)


def test_a_mark_tells_whether_an_object_was_written_again(store: Store) -> None:
    first = {key: store.put_new(key, b"first") for key in ("a/b", "a/c")}
    first["a/d"] = store.put_new_chunks("a/d", lambda: [b"first"])
    looked = {key: entry.mark for key in first if (entry := store.entry(key))}
    listed = {entry.key: entry.mark for entry in store.entries("a/")}
    store.remove("a/b")
    if store.url.startswith("sftp://"):
        time.sleep(1.1)  # its servers tell whole seconds, and nothing else of an object
    store.put_new("a/b", b"other")

    again = store.entry("a/b")
    assert first == looked == listed
    assert again
    assert again.mark != first["a/b"]


def test_a_missing_object_is_an_error_to_get_and_none_to_size(store: Store) -> None:
    store.put_new("a/b", b"")

    assert store.size("a/c") is None
    assert store.size("a") is None
    for key in ("a/c", "a", "a/b/c"):
        with pytest.raises(ObjectMissingError, match=r"a"):
            store.get(key)


def test_keys_are_sorted_and_exactly_those_of_the_prefix(store: Store) -> None:
    keys = ["a/b", "a/bc", "a/b-c", "a/d/e/f", "ab", "b/a/b"]
    for key in reversed(keys):
        store.put_new(key, b"")

    assert store.keys("") == sorted(keys)
    assert store.keys("a/") == ["a/b", "a/b-c", "a/bc", "a/d/e/f"]
    assert store.keys("a/b") == ["a/b", "a/b-c", "a/bc"]
    assert store.keys("a/d/e/") == ["a/d/e/f"]
    assert store.keys("nothing/here") == []


def test_entries_are_what_keys_lists_with_size_and_time(store: Store) -> None:
    begin = datetime.now(timezone.utc) - timedelta(seconds=2)  # S3 has whole seconds
    for key in ("a/bc", "a/b", "b"):
        store.put_new(key, key.encode())

    found = store.entries("a/")

    assert [(each.key, each.size) for each in found] == [("a/b", 3), ("a/bc", 4)]
    assert all(begin <= each.modified <= datetime.now(timezone.utc) for each in found)


def test_an_entry_is_what_the_list_has_of_an_object(store: Store) -> None:
    store.put_new("a/b", b"123")

    found = store.entry("a/b")

    assert found is not None
    assert (found.key, found.size) == ("a/b", 3)
    assert abs(found.modified - store.entries("a/")[0].modified) <= timedelta(seconds=1)  # a HEAD has no more
    assert [store.entry("a"), store.entry("a/b/c"), store.entry("none")] == [None] * 3


def test_a_removed_object_is_gone_and_can_be_put_again(store: Store) -> None:
    store.put_new("a/b", b"1")

    store.remove("a/b")
    store.remove("a/b")

    assert store.size("a/b") is None
    assert store.keys("a/") == []
    assert store.put_new("a/b", b"2")
    assert store.get("a/b") == b"2"


@pytest.mark.parametrize("key", ["a b/c d", "schön/日本", "100%/a%20b", "a+b&c=d/x", "a#b/c?d", "x:y/~z!"])
def test_any_usable_key_comes_back_from_the_list(store: Store, key: str) -> None:
    store.put_new(key, b"data")

    assert store.get(key) == b"data"
    assert store.keys("") == [key]


@pytest.mark.parametrize(
    "key", ["", "/a", "a//b", "a/", "../a", "a/./b", ".hidden", "a\\b", "a\nb", "a\ud800", "x" * 256]
)
def test_a_key_that_stores_disagree_about_is_refused(store: Store, key: str) -> None:
    for use in (store.get, store.size, store.node_url, lambda key: store.put_new(key, b"")):
        with pytest.raises(StoreError, match="cannot be the key"):
            use(key)


def test_the_url_opens_the_same_store_again(store: Store, s3: S3Server) -> None:
    store.put_new("a/b", b"data")

    assert open_store(store.url, s3.environ).get("a/b") == b"data"


def test_equal_bytes_are_no_conflict_and_other_bytes_name_both_digests(store: Store) -> None:
    created = [put_compared(store, "a/b", b"one"), put_compared(store, "a/b", b"one")]

    assert created == [True, False]
    with pytest.raises(DigestMismatchError, match=r"expected sha256:3fc4ccfe.* found sha256:7692c3ad"):
        put_compared(store, "a/b", b"two")


def test_a_large_object_that_is_there_is_compared_too(store: Store) -> None:
    data = bytes(2 << 20)

    assert [put_compared(store, "a/b", data), put_compared(store, "a/b", data)] == [True, False]
    with pytest.raises(DigestMismatchError):
        put_compared(store, "a/b", data + b"x")


def test_a_store_is_prepared_once_and_one_of_another_format_is_refused(store: Store) -> None:
    prepare(store)
    prepare(store)

    assert store.get("store.json") == b'{"features":[],"format":1}'


@pytest.mark.parametrize(
    "marker", [b'{"features":[],"format":2}', b'{"features":["x"],"format":1}', b"[]", b"{"]
)
def test_a_store_of_another_format_is_refused(store: Store, marker: bytes) -> None:
    store.put_new("store.json", marker)

    with pytest.raises(StoreError, match=r"format 1 without features|is damaged"):
        prepare(store)


def test_bundles_are_found_by_the_start_of_their_digest(store: Store) -> None:
    for digest in DIGESTS:
        store.put_new(manifest_key(digest), b"{}")

    assert find_digests(store, "abcdef01") == sorted(DIGESTS[:2])
    assert find_digests(store, DIGESTS[0].removeprefix("sha256:")) == [DIGESTS[0]]
    assert (
        look_up(store, "fedcba98") == look_up(store, "FEDCBA98") == look_up(store, DIGESTS[2]) == DIGESTS[2]
    )


def test_archives_of_a_bundle_are_found_with_their_boot(store: Store) -> None:
    keys = [archive_key(DIGESTS[0], boot * 64, "f" * 64) for boot in "ba"]
    for key in (*keys, manifest_key(DIGESTS[0]), archive_key(DIGESTS[1], "c" * 64, "f" * 64)):
        store.put_new(key, b"")

    assert find_archives(store, DIGESTS[0]) == [(keys[1], "a" * 64), (keys[0], "b" * 64)]


@pytest.mark.parametrize("ref", ["train", "train@4", "sha256:" + "9" * 64, "99999999"])
def test_a_ref_to_nothing_says_where_to_look(store: Store, ref: str) -> None:
    record_name(store, "test", DIGESTS[0])

    with pytest.raises(ObjectMissingError, match=f"no bundle {ref} in") as caught:
        look_up(store, ref)

    assert "is this the right --store?" in str(caught.value.hint)


def test_an_unknown_version_lists_those_there_are(store: Store) -> None:
    record_name(store, "train", DIGESTS[0])

    with pytest.raises(ObjectMissingError, match="no bundle train@7 in") as caught:
        look_up(store, "train@7")

    assert caught.value.hint == "train has the versions 1"


@pytest.mark.parametrize("ref", ["abcdef01", "sha256:abc", "train@", "train@0", "train@x", "a b", ""])
def test_a_ref_that_is_ambiguous_or_none_is_a_usage_error(store: Store, ref: str) -> None:
    for digest in DIGESTS:
        store.put_new(manifest_key(digest), b"{}")

    with pytest.raises(UsageError):
        look_up(store, ref)


def test_an_ambiguous_ref_lists_what_it_could_be(store: Store) -> None:
    for digest in DIGESTS:
        store.put_new(manifest_key(digest), b"{}")

    with pytest.raises(
        UsageError, match=f"several bundles start with abcdef01:\n  {DIGESTS[0]}\n  {DIGESTS[1]}$"
    ):
        look_up(store, "abcdef01")
