"""`gc` where a list is cut, the clock jumps, or objects stay: what it cannot know to be unneeded is kept."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import raybundle
from raybundle.cache.documents import Cache
from raybundle.errors import RecordedRunError, StoreAccessError, StoreError, UsageError
from raybundle.formats.canonical import canonical_json
from raybundle.publish.bundles import build
from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.gc import collect as collecting
from raybundle.publish.gc.collect import collect
from raybundle.publish.gc.reach import Policy
from raybundle.publish.keeping import LEASES, NOTICES, look
from raybundle.publish.layout import manifest_key, name_key, run_key
from raybundle.publish.names import record_name
from raybundle.publish.runs.records import LOST, record_end, record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import Store, open_store
from raybundle.store.fsspec_store import FsspecStore
from tests.integration.disk.store.test_gc import AT_ONCE, Plans, grow_old, removed, run_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.store.base import Entry

FORGET = Policy(forget=timedelta(days=7))


@pytest.fixture
def directory(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"), {})


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    return Plans(tmp_path)


def faults(store: Store, cache: Cache) -> tuple[Any, ...]:
    return check_store(open_shelf(store, cache)).faults


class Wrapped:
    """A store of which a part is other."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A folder that another user can read."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_that_cannot_be_listed_is_not_empty(open_to_all: Path, plans: Plans) -> None:
    root = open_to_all / "store"
    behind = FsspecStore(f"local://{root}")
    stored = build(plans.of("two"), behind)
    record_name(behind, "name", stored.digest)
    behind.keys("")
    (root / "names").chmod(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(StoreAccessError, match=r"cannot list .*Permission denied"):
            collect(behind, AT_ONCE)
    finally:
        os.seteuid(me)
        (root / "names").chmod(0o755)
    assert FsspecStore(f"local://{root}/nowhere").entries("") == []


@pytest.mark.parametrize("by_fsspec", [False, True])
def test_a_link_to_a_disk_that_is_not_mounted_is_not_empty(
    directory: Store, plans: Plans, tmp_path: Path, by_fsspec: bool
) -> None:
    record_name(directory, "name", build(plans.of("two"), directory).digest)
    grow_old(directory, 30)
    names, elsewhere = tmp_path / "store/names", tmp_path / "elsewhere"
    names.rename(elsewhere)
    names.symlink_to(elsewhere)
    store = FsspecStore(f"local://{tmp_path}/store") if by_fsspec else directory
    there = collect(store, Policy())
    elsewhere.rename(tmp_path / "away")

    assert (removed(there), there.objects) == ({}, 7)
    with pytest.raises(StoreAccessError, match="cannot list"):
        collect(store, Policy(), delete=True)


class Cut(Wrapped):
    """A store whose second page of a list is a web page, which is a list without keys to obstore."""

    whole = 0

    def entries(self, prefix: str) -> Sequence[Entry]:
        self.whole -= 1
        return [each for each in self._store.entries(prefix) if each.key < "m" or prefix or self.whole >= 0]


@pytest.mark.parametrize("whole", [0, 1])
def test_a_list_that_is_cut_is_refused(directory: Store, plans: Plans, whole: int) -> None:
    record_name(directory, "name", build(plans.of("two"), directory).digest)
    build(plans.of("three"), directory)
    grow_old(directory, 30)
    before, cut = directory.keys(""), Cut(directory)
    cut.whole = whole

    with pytest.raises(StoreError, match=r"lacks store\.json, which was written before it"):
        collect(cast("Store", cut), Policy(), delete=True)

    assert directory.keys("") == before


class Jumps(Wrapped):
    """A store during whose first removal the machine sleeps: only the wall clock goes on."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(store)
        self._patch, self.notices, self._real = monkeypatch, 0, time.time

    def put_new(self, key: str, data: bytes) -> str | None:
        self.notices += key.startswith(NOTICES)
        mark: str | None = self._store.put_new(key, data)
        return mark

    def remove(self, key: str) -> bool:
        if self.notices == 1:
            self._patch.setattr(time, "time", lambda: self._real() + 3600)
        return self._store.remove(key)


def test_a_machine_that_has_slept_gives_notice_again(
    directory: Store, plans: Plans, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(plans.of("one"), directory)
    grow_old(directory, 30)
    asleep = Jumps(directory, monkeypatch)

    collect(cast("Store", asleep), Policy(), delete=True)

    assert (asleep.notices, directory.keys("")) == (2, ["store.json"])


def test_a_run_that_another_collector_removes_keeps_its_bundle(
    directory: Store, plans: Plans, cache: Cache
) -> None:
    run = run_of(directory, build(plans.of("one"), directory))
    grow_old(directory, 30)
    keys = [key for key in directory.keys("") if run in key]
    directory.put_new(f"{NOTICES}{'a' * 32}.json", canonical_json({"format": 1, "keys": keys[:1]}))
    before = directory.keys("")

    found = collect(directory, FORGET, delete=True)

    assert (removed(found), found.runs, directory.keys("")) == ({}, (), before)
    assert faults(directory, cache) == ()


def test_a_run_that_one_notice_spares_keeps_its_bundle_from_the_next(
    directory: Store, plans: Plans, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(directory, build(plans.of("one"), directory))
    grow_old(directory, 30)
    keys = [key for key in directory.keys("") if run in key]
    monkeypatch.setattr(collecting, "OF_A_NOTICE", len(keys))
    other = f"{NOTICES}{'a' * 32}.json"
    directory.put_new(other, canonical_json({"format": 1, "keys": keys}))

    class Ends(Wrapped):
        """The other collector dies, and its notice counts no longer, once this one has ended its first."""

        def remove(self, key: str) -> bool:
            grow_old(directory, 1, other)
            return self._store.remove(key)

    found = collect(cast("Store", Ends(directory)), FORGET, delete=True)

    assert found.bundles == ()
    assert set(keys) < set(directory.keys(""))
    assert faults(directory, cache) == ()


class Slow(Wrapped):
    """A store whose requests take longer than a collector may remove; a driver repeats them unseen."""

    first = 0.0

    def remove(self, key: str) -> bool:
        self._store.remove(key)
        return False

    def entries(self, prefix: str) -> Sequence[Entry]:
        time.sleep(self.first)
        return self._store.entries(prefix)


def test_a_collector_whose_time_is_over_says_so(
    directory: Store, plans: Plans, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_of(directory, build(plans.of("one"), directory))
    grow_old(directory, 30)
    store, before = Slow(directory), directory.keys("")
    store.first = 0.02
    monkeypatch.setattr(collecting, "REMOVING", timedelta(seconds=0.01))

    with pytest.raises(StoreError, match=r"\d objects are left .*time of the notice is over"):
        collect(cast("Store", store), FORGET, delete=True)
    assert directory.keys("") == before

    over = iter([False] * 2 + [True] * 100)
    monkeypatch.setattr(collecting, "_timer", lambda _: lambda: next(over))
    grow_old(directory, 1, NOTICES)
    with pytest.raises(StoreError, match=r"\d objects are left"):
        collect(cast("Store", store), FORGET, delete=True)

    assert len(directory.keys("")) < len(before) + 2
    assert faults(directory, cache) == ()
    monkeypatch.undo()
    grow_old(directory, 1, NOTICES)
    collect(directory, FORGET, delete=True)
    assert directory.keys("") == ["store.json"]


@pytest.mark.parametrize("name", ["end", "lost"])
def test_a_run_may_have_the_id_of_an_event(directory: Store, plans: Plans, name: str) -> None:
    stored = build(plans.of("two"), directory)
    record_start(directory, new_run(stored.digest, [], {}, "http://cluster", name))
    grow_old(directory, 20)

    assert removed(collect(directory, FORGET)) == {}


def test_a_lost_run_has_ended(directory: Store, plans: Plans) -> None:
    """Its id is not used again: nothing about the second job would be new, and `gc` would forget it."""
    run = new_run(build(plans.of("two"), directory).digest, [], {}, "http://cluster", "nightly")
    run = replace(record_start(directory, run), session="session")
    record_end(directory, run, LOST, 23)

    with pytest.raises(RecordedRunError, match="nightly is recorded"):
        record_start(directory, run)


def test_a_record_that_is_used_again_leases_its_bundle(directory: Store, plans: Plans) -> None:
    run = new_run(build(plans.of("two"), directory).digest, [], {}, "http://cluster", "nightly")
    record_start(directory, run)
    grow_old(directory, 40)

    class Beside(Wrapped):
        """The other submits after the first list, before the notice."""

        def put_new(self, key: str, data: bytes) -> str | None:
            record_start(directory, run)
            mark: str | None = self._store.put_new(key, data)
            return mark

    found = collect(cast("Store", Beside(directory)), FORGET, delete=True)

    assert found.bundles == ()
    assert len(directory.keys(LEASES)) == 1


@pytest.mark.parametrize("place", ["results", "bundles", "names"])
def test_a_store_within_a_store_stays(directory: Store, plans: Plans, tmp_path: Path, place: str) -> None:
    record_name(directory, "name", build(plans.of("two"), directory).digest)
    inner = open_store(str(tmp_path / "store" / place), {})
    build(plans.of("one"), inner)
    inner.put_new(f"data/{'d' * 64}", b"data")
    before = inner.keys("")
    grow_old(directory, 100)

    found = collect(directory, Policy(), delete=True)

    assert (removed(found), inner.keys("")) == ({}, before)


def test_a_wait_is_never_longer_than_a_notice_counts(directory: Store, plans: Plans) -> None:
    stored = build(plans.of("two"), directory)
    run = record_start(directory, new_run(stored.digest, [], {}, "http://cluster"))
    grow_old(directory, 40)
    notice = f"{NOTICES}{'b' * 32}.json"
    directory.put_new(notice, canonical_json({"format": 1, "keys": [manifest_key(stored.digest)]}))
    said: list[str] = []

    def hears(text: str) -> None:
        said.append(text)
        directory.remove(notice)

    look(directory, [manifest_key(stored.digest)], run_key(run.id, run.started), hears)

    assert [text.rpartition("(")[2] for text in said] == ["at most 30 min)"]


def test_a_notice_that_counts_no_longer_is_not_read(directory: Store, plans: Plans) -> None:
    stored = build(plans.of("two"), directory)
    directory.put_new(f"{NOTICES}{'c' * 32}.json", b"")
    grow_old(directory, 1, NOTICES)
    record_name(directory, "name", stored.digest)

    look(directory, [manifest_key(stored.digest)], name_key("name", 1))


@pytest.mark.parametrize("name", ["README", "x.json", "old/" + "c" * 32 + ".json", "c" * 32 + ".json.bak"])
def test_what_others_put_beside_notices_is_none(directory: Store, plans: Plans, name: str) -> None:
    stored = build(plans.of("two"), directory)
    record_name(directory, "name", stored.digest)
    directory.put_new(f"{NOTICES}{name}", b"")

    look(directory, [manifest_key(stored.digest)], name_key("name", 1))

    assert collect(directory, Policy(), delete=True).unknown == (f"{NOTICES}{name}",)


class Taken(Wrapped):
    """A store from which `gc` takes an object once a writer has learned that it is there."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.taken: set[str] = set()

    def put_new(self, key: str, data: bytes) -> str | None:
        mark: str | None = self._store.put_new(key, data)
        if mark is None and key not in self.taken:
            self.taken.add(key)
            self._store.remove(key)
        return mark


def test_what_goes_while_it_is_compared_is_put_again(
    directory: Store, plans: Plans, cache: Cache, tmp_path: Path
) -> None:
    """By another machine: this one compares nothing that it has sent."""
    stored = build(plans.of("two"), directory)
    taken = Taken(directory)
    planned = replace(plans.of("two"), cache=Cache(tmp_path / "other"))

    assert build(planned, cast("Store", taken)).digest == stored.digest
    assert len(taken.taken) > 1
    assert faults(directory, cache) == ()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"grace": 1e16}, "times from 0 to 36500 days"),
        ({"grace": math.nan}, "times from 0 to 36500 days"),
        ({"forget_runs_older_than": 1e16}, "times from 0 to 36500 days"),
        ({"keep_runs": 3}, "--keep-runs has no effect"),
    ],
)
def test_an_option_that_is_wrong_or_has_no_effect_is_refused(
    directory: Store, options: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UsageError, match=expected):
        raybundle.gc(store=directory.url, **options)
