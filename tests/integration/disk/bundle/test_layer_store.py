"""Bundles with layers in a store: each layer is sent once, what is there is checked, all is found again."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import threading
import zipfile
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, BinaryIO

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from raybundle.bundle.delivery import Packed
from raybundle.bundle.graph_document import graph_document
from raybundle.cache.documents import Cache
from raybundle.errors import BundleError, DigestMismatchError, ObjectMissingError, StoreAccessError
from raybundle.formats.canonical import canonical_json
from raybundle.model import Edge, ModuleName
from raybundle.publish import bundles, layers
from raybundle.publish.bundles import build, bytes_of, find_bundle
from raybundle.publish.layout import delivery_key, graph_key, layer_key
from raybundle.publish.receipts import Receipts
from raybundle.store import Store, open_store
from raybundle.store.base import LARGEST_DOCUMENT, Entry
from raybundle.store.local import LocalStore
from tests.support.collected import collected_file
from tests.support.installed import install, set_times
from tests.support.layered import plan_with

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from raybundle.model import Distribution
    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Chunks

LARGE = b"#" * (1 << 20)


@pytest.fixture
def three(tmp_path: Path) -> list[Distribution]:
    """Two that travel; installed are also one that can be used, and one that has nothing to do with them."""
    install(tmp_path / "site", "extra", {"extra/__init__.py": b"", "extra/deep/__init__.py": b""})
    install(tmp_path / "site", "internal", {"internal.py": b""})
    return [
        install(tmp_path / "site", "big", {"big/__init__.py": LARGE}),
        install(tmp_path / "site", "small", {"small.py": b"value = 1\n"}),
    ]


def planned(tmp_path: Path, distributions: Sequence[Distribution], cache: str = "cache") -> Plan:
    found = plan_with(tmp_path, distributions, cache, sites=[tmp_path / "site"])
    return replace(found, resolution=replace(found.resolution, mentioned=("extra", "small")))


def put(plan: Plan, store: Store) -> Stored:
    return build(plan, store)


def test_the_same_bundle_is_sent_once_and_found_as_it_was_built(
    tmp_path: Path, three: list[Distribution], store: Store
) -> None:
    first = put(planned(tmp_path, three), store)
    objects = sum(store.size(key) or 0 for key in store.keys("") if key != "store.json")
    second = put(planned(tmp_path, three), store)
    found = find_bundle(store, first.digest)

    assert first.uploaded_bytes == objects
    assert second.uploaded_bytes == 0
    assert [key.count("-") for key in first.layer_keys] == [0, 3, 0]  # big, its byte-code, small
    assert (found.layer_keys, found.delivery) == (first.layer_keys, first.delivery)
    assert (second.layer_keys, second.delivery) == (first.layer_keys, first.delivery)


def test_the_delivery_is_in_the_archive_and_beside_it_and_says_what_is_absent(
    tmp_path: Path, three: list[Distribution], store: Store
) -> None:
    stored = put(planned(tmp_path, three), store)
    beside = store.get(delivery_key(stored.archive_key))
    with zipfile.ZipFile(io.BytesIO(store.get(stored.archive_key))) as archive:
        inside = archive.read(".raybundle/delivery.json")
    big = stored.manifest.layers[0].digest.removeprefix("sha256:")

    assert inside == beside
    assert stored.delivery == hashlib.sha256(beside).hexdigest()
    assert json.loads(beside) == {
        "absent": {"extra": "extra 1.0"},
        "archives": {
            key.removeprefix("layers/").removesuffix(".zip"): {
                "sha256": hashlib.sha256(store.get(key)).hexdigest(),
                "size": store.size(key),
            }
            for key in stored.layer_keys
        },
        "byte_code": {big: stored.layer_keys[1].removeprefix(f"layers/{big}-").removesuffix(".zip")},
        "format": 1,
    }


class Watched(LocalStore):
    """A local store that notes what is read from it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.read: list[str] = []

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        self.read.append(key)
        return super().get(key, most)


def test_what_this_machine_has_sent_or_verified_is_not_read_again(
    tmp_path: Path, three: list[Distribution]
) -> None:
    seen = []
    for cache in ("cache", "cache", "other", "other"):
        store = Watched(tmp_path / "store")
        keys = put(planned(tmp_path, three, cache), store).layer_keys
        seen.append(sorted(key for key in store.read if key.startswith("layers/")))

    assert seen == [[], [], sorted(keys), []]


@pytest.mark.slow
def test_a_large_archive_that_this_machine_has_sent_is_not_read_again(
    tmp_path: Path, three: list[Distribution]
) -> None:
    """Unless its size is another, or this machine has not seen it."""
    data = random.Random(7).randbytes(2 << 20)  # noqa: S311 - any bytes that do not compress
    large = [collected_file(f"project/{at}.bin", data[at : at + (1 << 20)]) for at in (0, 1 << 20)]

    def built(cache: str) -> tuple[Stored, int]:
        plan = planned(tmp_path, three, cache)
        store = Reading(tmp_path / "store")
        return build(replace(plan, files=(*plan.files, *large)), store), store.read

    first, second, elsewhere = built("cache"), built("cache"), built("other")
    (tmp_path / "store" / first[0].archive_key).write_bytes(b"cut")

    assert first[0].uploaded_bytes > len(data)
    assert (second[0].uploaded_bytes, second[1] < 100_000) == (0, True)
    assert elsewhere[1] > len(data)
    with pytest.raises(DigestMismatchError):
        built("cache")


class Reading(LocalStore):
    """Counts the bytes that are read."""

    read = 0

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        for data in super().pieces(key, start):
            self.read += len(data)
            yield data


def test_a_changed_distribution_is_sent_alone(
    tmp_path: Path, three: list[Distribution], store: Store
) -> None:
    before = put(planned(tmp_path, three), store)
    bumped = install(tmp_path / "site", "small", {"small.py": b"value = 2\n"}, version="2.0")
    after = put(planned(tmp_path, [three[0], bumped]), store)
    new = set(store.keys("layers/")) - set(before.layer_keys)

    assert new == {layer_key(after.manifest.layers[1].digest)}


def test_another_machine_verifies_what_is_there_and_sends_nothing(
    tmp_path: Path, three: list[Distribution], store: Store
) -> None:
    put(planned(tmp_path, three), store)

    assert put(planned(tmp_path, three, "other"), store).uploaded_bytes == 0


def test_an_object_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, three: list[Distribution], store: Store
) -> None:
    plan = planned(tmp_path, three)
    key = layer_key(plan.layers[1].digest)
    store.put_new(key, b"poison")

    with pytest.raises(DigestMismatchError, match=key):
        put(plan, store)


def test_what_was_sent_before_a_failure_is_not_sent_again(
    tmp_path: Path, three: list[Distribution], store: Store
) -> None:
    plan = planned(tmp_path, three)
    source = tmp_path / "site/small.py"
    source.write_bytes(b"value = 3\n")
    with pytest.raises(BundleError, match="changed while it was being bundled"):
        put(plan, store)
    sent = store.keys("layers/")
    assert not store.keys("bundles/")
    source.write_bytes(b"value = 1\n")
    progress: list[tuple[int, int]] = []
    build(plan, store, lambda done, total: progress.append((done, total)))

    assert set(sent) < set(store.keys("layers/"))
    assert progress[-1] == (progress[-1][1],) * 2
    assert progress[-1][1] < sum(layer.bytes for layer in plan.layers) + len(LARGE)
    assert not list((tmp_path / "cache/raybundle/incoming").iterdir())


def test_what_a_build_that_was_killed_has_packed_is_removed_a_day_later(
    tmp_path: Path, three: list[Distribution]
) -> None:
    plan = planned(tmp_path, three)
    left = tmp_path / "cache/raybundle/incoming/.left"
    left.mkdir(parents=True)
    set_times(left)
    put(plan, open_store(str(tmp_path / "store"), {}))

    assert not left.exists()


def test_a_layer_that_the_store_lost_is_named(tmp_path: Path, three: list[Distribution]) -> None:
    store = open_store(str(tmp_path / "store"), {})
    stored = put(planned(tmp_path, three), store)
    lost = layer_key(stored.manifest.layers[1].digest)
    (tmp_path / "store" / lost).unlink()

    with pytest.raises(ObjectMissingError, match=f"small 1.0.*{lost}"):
        find_bundle(store, stored.digest)


def test_a_run_does_without_byte_code_that_is_lost_and_reads_a_delivery_that_is_lost_from_the_archive(
    tmp_path: Path, three: list[Distribution]
) -> None:
    directory = tmp_path / "store"
    stored = put(planned(tmp_path, three), LocalStore(directory))
    big, byte_code, small = stored.layer_keys
    lost = [byte_code, delivery_key(stored.archive_key)]
    for key in lost:
        (directory / key).unlink()

    found = find_bundle(LocalStore(directory), stored.digest)

    assert found.layer_keys == (big, small)
    assert found.delivery == stored.delivery
    assert all(key in warning.text for key, warning in zip(reversed(lost), found.warnings, strict=True))
    assert "no byte-code of big 1.0" in found.warnings[1].text
    put(planned(tmp_path, three), LocalStore(directory))
    assert find_bundle(LocalStore(directory), stored.digest) == replace(stored, uploaded_bytes=0)


def test_a_delivery_is_not_read_from_an_archive_that_is_not_what_its_name_says(
    tmp_path: Path, three: list[Distribution]
) -> None:
    store = LocalStore(tmp_path / "store")
    stored = put(planned(tmp_path, three), store)
    other = put(planned(tmp_path, three[:1]), store)
    (tmp_path / "store" / delivery_key(stored.archive_key)).unlink()
    file = tmp_path / "store" / stored.archive_key
    file.chmod(0o600)
    file.write_bytes(store.get(other.archive_key))

    with pytest.raises(DigestMismatchError, match=stored.archive_key):
        find_bundle(store, stored.digest)


class GraphsRefused(LocalStore):
    """A store that lets its user read all but graphs."""

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        if key.endswith("graph.json"):
            raise StoreAccessError("403")
        return super().get(key, most)


def test_the_bytes_of_a_stored_bundle_are_those_of_its_plan(
    tmp_path: Path, three: list[Distribution]
) -> None:
    plan = planned(tmp_path, three)
    store = LocalStore(tmp_path / "store")
    build(plan, store)
    found = find_bundle(store, plan.digest)

    assert plan.bytes > len(LARGE)
    assert bytes_of(store, found) == plan.bytes
    assert bytes_of(GraphsRefused(tmp_path / "store"), found) == sum(file.size for file in plan.files)
    (tmp_path / "store" / graph_key(plan.digest)).unlink()
    assert bytes_of(store, found) == sum(file.size for file in plan.files)


def test_a_graph_that_readers_would_refuse_has_no_edges(
    tmp_path: Path, three: list[Distribution], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(tmp_path, three)
    edge = Edge(ModuleName("__main__"), ModuleName("big"), tmp_path / "job.py", 1, "import")
    plan = replace(plan, resolution=replace(plan.resolution, edges=(edge,)))
    whole = canonical_json(graph_document(plan.resolution, plan.layers))
    for most in (len(whole), len(whole) - 1):
        monkeypatch.setattr(bundles, "LARGEST_DOCUMENT", most)  # a graph of 64 MiB takes 25,000 modules
        store = LocalStore(tmp_path / f"store-{most}")
        found = build(plan, store)
        graph = store.get(graph_key(plan.digest))

        assert (graph == whole) == (most == len(whole))
        assert bool(json.loads(graph)["edges"]) == (most == len(whole))
        assert bytes_of(store, found) == plan.bytes


def test_an_object_of_another_size_than_the_one_that_was_sent_is_verified_again(
    tmp_path: Path, three: list[Distribution]
) -> None:
    store = open_store(str(tmp_path / "store"), {})
    plan = planned(tmp_path, three)
    stored = put(plan, store)
    file = tmp_path / "store" / stored.layer_keys[0]
    file.write_bytes(file.read_bytes()[:-1])

    with pytest.raises(DigestMismatchError, match=stored.layer_keys[0]):
        put(plan, store)


def test_a_cache_directory_that_cannot_be_written_is_named_where_a_build_needs_it(
    tmp_path: Path, three: list[Distribution]
) -> None:
    (tmp_path / "cache").write_text("no directory")
    plan = planned(tmp_path, three)

    with pytest.raises(BundleError, match=re.escape(str(tmp_path / "cache"))) as caught:
        put(plan, open_store(str(tmp_path / "store"), {}))
    assert "XDG_CACHE_HOME" in str(caught.value.hint)


@pytest.mark.parametrize("folder", ["incoming", "byte-code"])
def test_a_folder_of_the_cache_that_cannot_be_written_is_named(
    folder: str, tmp_path: Path, three: list[Distribution]
) -> None:
    plan = planned(tmp_path, three)
    (tmp_path / "cache/raybundle" / folder).write_text("no directory")

    with pytest.raises(BundleError, match=rf"raybundle/{folder}.*: \w+") as caught:
        put(plan, open_store(str(tmp_path / "store"), {}))
    assert "XDG_CACHE_HOME" in str(caught.value.hint)


class Crowded(LocalStore):
    """A local store that notes how many objects are read at the same time."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.now, self.most = 0, 0
        self.another = threading.Event()

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        self._wait(key)
        return super().get(key, most)

    def open(self, key: str) -> BinaryIO:
        self._wait(key)
        return super().open(key)

    def _wait(self, key: str) -> None:
        if not key.startswith("layers/"):
            return
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now > 1:
            self.another.set()
        self.another.wait(0.3)
        self.now -= 1


@pytest.mark.slow
@pytest.mark.parametrize(("large", "expected"), [(1, 1), (1 << 30, 2)])
def test_large_objects_are_verified_one_after_the_other(
    large: int, expected: int, tmp_path: Path, three: list[Distribution], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(planned(tmp_path, three), open_store(str(tmp_path / "store"), {}))
    monkeypatch.setattr(layers, "IN_PARTS_FROM", large)
    store = Crowded(tmp_path / "store")
    put(planned(tmp_path, three, "other"), store)

    assert min(store.most, 2) == expected


class Contended(LocalStore):
    """A local store in which another client is just creating each layer: a 409, and then it is there."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.coming: dict[str, bytes] = {}

    def put_new(self, key: str, data: bytes) -> str | None:
        if not key.startswith("layers/"):
            return super().put_new(key, data)
        self.coming[key] = data
        return None

    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        return self.put_new(key, b"".join(chunks()))

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        self._come(key)
        return super().get(key, most)

    def open(self, key: str) -> BinaryIO:
        self._come(key)
        return super().open(key)

    def _come(self, key: str) -> None:
        if key in self.coming:
            super().put_new(key, self.coming.pop(key))
            raise ObjectMissingError(f"no object {key} yet")


@pytest.mark.parametrize("large", [1, 1 << 30])
def test_a_layer_that_another_client_is_just_creating_is_waited_for(
    tmp_path: Path, three: list[Distribution], large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "IN_PARTS_FROM", large)
    store = Contended(tmp_path / "store")

    stored = put(planned(tmp_path, three), store)

    assert set(store.keys("layers/")) == set(stored.layer_keys)


class Accounts(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """In memory, under an account that its URLs do not name, as containers of Azure are."""

    protocol = "accounts"
    account_name = "one"


def test_what_was_sent_to_one_account_is_not_known_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    fsspec.register_implementation("accounts", Accounts, clobber=True)
    here = open_store("accounts://container/prefix", {}).place
    monkeypatch.setattr(Accounts, "account_name", "two")
    there = open_store("accounts://container/prefix", {})

    assert here != there.place
    assert "two" not in there.url


def test_what_was_sent_to_one_server_is_not_known_of_another(tmp_path: Path) -> None:
    here, there = (
        open_store(
            "s3://bucket/prefix",
            {
                "HOME": str(tmp_path),
                "AWS_ACCESS_KEY_ID": "key",
                "AWS_SECRET_ACCESS_KEY": "none",
                "AWS_ENDPOINT_URL": f"http://{host}.example",
            },
        )
        for host in ("one", "two")
    )
    receipts = Receipts(Cache(tmp_path), here.place)
    packed = Packed("ab" * 32, 1)
    receipts.add("layers/a.zip", packed, '"etag"')
    receipts.save()

    assert here.url == there.url
    entry = Entry("layers/a.zip", 1, datetime.now(timezone.utc), '"etag"')
    assert Receipts(Cache(tmp_path), here.place).find(entry) == packed
    assert Receipts(Cache(tmp_path), here.place).find(entry._replace(size=2)) is None
    assert Receipts(Cache(tmp_path), here.place).find(entry._replace(mark='"other"')) is None
    assert Receipts(Cache(tmp_path), here.place, "sha256:0").find(entry) is None
    assert Receipts(Cache(tmp_path), there.place).find(entry) is None
