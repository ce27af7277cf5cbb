"""The history of runs in a store: records, events, ends, and what a list of them costs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from raybundle.cache.documents import Cache
from raybundle.errors import ObjectMissingError, StoreError, UsageError
from raybundle.model import Digest
from raybundle.publish.layout import STORE_KEY, manifest_key, run_key
from raybundle.publish.putting import prepare
from raybundle.publish.runs.days import forget_marks
from raybundle.publish.runs.listing import Wanted, list_runs
from raybundle.publish.runs.marks import OPEN, start_mark
from raybundle.publish.runs.records import (
    LOST,
    read_events,
    record_end,
    record_event,
    record_start,
    require_recorded,
)
from raybundle.publish.runs.run import Run, new_run
from raybundle.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.store import Store

A, B = (Digest("sha256:" + letter * 64) for letter in "ab")
HOUR = 3600 * 10**9
NOON = datetime(2026, 11, 26, 12, tzinfo=timezone.utc)


@pytest.fixture
def store(store: Store) -> Store:
    """A store that has two bundles."""
    prepare(store)
    for digest in (A, B):
        store.put_new(manifest_key(digest), b"{}")
    return store


def run_at(hours: float, run_id: str | None = None, bundle: Digest = A, **facts: object) -> Run:
    run = new_run(bundle, ["--epochs", "2"], {"SEED": "7"}, "http://127.0.0.1:1", run_id)
    return replace(run, started=NOON + timedelta(hours=hours), facts=facts)


def test_a_run_comes_back_as_it_was_recorded(store: Store) -> None:
    run = run_at(
        0, "nightly", user="ann", name="fraud@3", env={"SEED": "7"}, env_names=["KEY"], git={"commit": "c"}
    )

    recorded = record_start(store, run)

    found = require_recorded(store, "nightly")
    assert recorded == run
    assert (found.id, found.bundle, found.arguments, found.started) == (run.id, A, run.arguments, run.started)
    assert found.env == {"SEED": "7"}
    assert found.facts["env_names"] == ["KEY"]
    assert (found.facts["user"], found.facts["git"]) == ("ann", {"commit": "c"})


def test_a_record_has_no_value_of_a_variable_unless_it_is_given_one(store: Store) -> None:
    run = replace(new_run(A, [], {"KEY": "canary"}, "http://x", "nightly"))

    record_start(store, run)

    data = store.get(run_key(run.id, run.started))
    assert json.loads(data)["env_names"] == ["KEY"]
    assert b"canary" not in data


def test_runs_are_listed_by_their_start_with_how_they_ended(store: Store) -> None:
    late = record_start(store, run_at(2, "late", user="ann smith", name="fraud@3"))
    early = record_start(store, run_at(-30, "early", B))
    record_end(
        store,
        late,
        "FAILED",
        20,
        3,
        error="its driver ended with exit code 3",
        ended=NOON + timedelta(hours=3),
    )

    rows = list_runs(store, Wanted())

    assert [(row.id, row.status, row.exit_code, row.user, row.name) for row in rows] == [
        ("early", OPEN, None, "", ""),
        ("late", "FAILED", 20, "ann_smith", "fraud@3"),
    ]
    assert rows[0].bundle == B[:23]
    assert (rows[1].started, rows[1].ended) == (late.started, NOON + timedelta(hours=3))
    assert read_events(store, late)["end"]["error"] == "its driver ended with exit code 3"
    assert read_events(store, early) == {}


def test_runs_are_selected(store: Store) -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    runs = [
        replace(run_at(0, "a", A, user="ann", name="fraud@3"), started=now - timedelta(days=3)),
        replace(run_at(0, "b", B, user="bob", name="fraud@4"), started=now - timedelta(hours=3)),
        replace(run_at(0, "c", A, user="bob", name="fraudster@1"), started=now),
        replace(run_at(0, "d", B, user="bob"), started=now - timedelta(days=300)),
    ]
    for run in runs:
        record_start(store, run)
    record_end(store, runs[2], "SUCCEEDED", 0)

    def ids(**wanted: object) -> str:
        return "".join(row.id for row in list_runs(store, Wanted(**wanted)))  # type: ignore[arg-type]

    assert ids() == "dabc"
    assert ids(name="fraud") == "ab"
    assert ids(name="fraud@4") == "b"
    assert ids(status=OPEN) == "dab"
    assert ids(status="SUCCEEDED") == "c"
    assert ids(user="bob") == "dbc"
    assert ids(since=now - timedelta(days=1)) == "bc"
    assert ids(since=now - timedelta(days=4)) == "abc"
    assert ids(since=now - timedelta(days=400)) == "dabc"
    assert ids(bundle=B[7:19]) == "db"
    assert ids(bundle="a") == "ac", "the id of a run leads to its bundle"
    with pytest.raises(ObjectMissingError):
        ids(bundle="99999999")


def test_a_run_that_was_given_up_as_lost_has_the_end_that_is_known_later(store: Store) -> None:
    run = record_start(store, run_at(0, "nightly"))

    record_end(store, run, LOST, 23, error="the cluster does not know the job")
    lost = list_runs(store, Wanted())[0].status
    record_end(store, run, "SUCCEEDED", 0, 0)

    assert (lost, list_runs(store, Wanted())[0].status) == (LOST, "SUCCEEDED")
    assert list(read_events(store, run)) == ["lost", "end"]


def test_the_first_end_stays(store: Store) -> None:
    run = record_start(store, run_at(0, "nightly"))

    record_end(store, run, "STOPPED", 21)
    record_end(store, run, "FAILED", 20)

    assert [(row.status, row.exit_code) for row in list_runs(store, Wanted())] == [("STOPPED", 21)]
    assert read_events(store, run)["end"]["status"] == "STOPPED"


def test_events_come_in_the_order_in_which_they_happened(store: Store) -> None:
    run = record_start(store, run_at(0, "nightly"))

    first = [record_event(store, run, event, {}) for event in ("running", "accepted", "running")]
    record_end(store, run, "SUCCEEDED", 0)

    assert first == [True, True, False]
    assert list(read_events(store, run)) == ["running", "accepted", "end"]


def test_an_attempt_that_was_cut_short_goes_on_under_its_first_start(store: Store) -> None:
    first = replace(run_at(0, "nightly"), session="s1")
    record_start(store, first)
    again = replace(first, started=NOON + timedelta(minutes=5))

    assert record_start(store, again).started == NOON
    assert len(list_runs(store, Wanted())) == 1
    with pytest.raises(UsageError, match="before the cluster was started anew"):
        record_start(store, replace(again, session="s2"))
    record_end(store, first, "FAILED", 20)
    with pytest.raises(UsageError, match="a run with the id nightly is recorded"):
        record_start(store, again)


def test_the_longest_id_is_listed_and_ids_may_have_odd_ends(store: Store) -> None:
    ids = ["n" * 200, "a.json", "a", "a.end", "a-retry1"]
    for number, run_id in enumerate(ids):
        run = record_start(store, run_at(number, run_id, user="somebody", name="x" * 128 + "@100"))
        record_event(store, run, "accepted", {})
        record_end(store, run, "SUCCEEDED", 0)

    assert [(row.id, row.status) for row in list_runs(store, Wanted())] == [
        (each, "SUCCEEDED") for each in ids
    ]
    assert all(require_recorded(store, run_id).id == run_id for run_id in ids)
    assert max(len(key.rpartition("/")[2]) for key in store.keys("history/")) <= 255


def test_a_damaged_record_is_named_and_what_is_no_mark_is_passed_over(store: Store) -> None:
    run = run_at(0, "nightly")
    store.put_new(run_key(run.id, run.started), b'{"schema_version":1}')
    store.put_new(start_mark(run_at(1, "other")), b"")
    store.put_new("history/2026/11/26/readme", b"")
    store.put_new("history/2026/11/26/a!b!c!d!e", b"")

    assert [row.id for row in list_runs(store, Wanted())] == ["other"]
    with pytest.raises(StoreError, match=r"runs/2026/11/nightly.json in .* is damaged"):
        require_recorded(store, "nightly")


def test_a_list_reads_no_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        run = record_start(store, run_at(number, f"run-{number}"))
        record_end(store, run, "SUCCEEDED", 0)
    read: list[str] = []
    get = type(store).get

    def counted(own: Store, key: str, most: int) -> bytes:
        read.append(key)
        return get(own, key, most)

    monkeypatch.setattr(type(store), "get", counted)

    assert len(list_runs(store, Wanted())) == 5
    assert read == ["store.json"]


class CountedLists(LocalStore):
    """A local store that remembers what was listed."""

    lists: list[str]

    def keys(self, prefix: str) -> list[str]:
        self.lists.append(prefix)
        return super().keys(prefix)


@dataclass
class LargeHistory:
    """A store with 6,000 runs of a year ago, and the cache of a machine that lists them."""

    directory: Path
    hours: float = 0
    """On the clock of that machine, since now."""

    def __post_init__(self) -> None:
        self.cache = Cache(self.directory.parent / "cache", lambda: time.time_ns() + int(self.hours * HOUR))
        prepare(self.store())
        last = self.directory / "history/2025/11/26"
        last.mkdir(parents=True)
        for number in range(6_000):
            (last / f"20251126T120000Z!run-{number}!{'a' * 16}!!").touch()

    def store(self) -> CountedLists:
        store = CountedLists(self.directory)
        store.lists = []
        return store

    def count(self) -> tuple[int, list[str]]:
        """Returns the number of runs that a list has, and what was listed for it."""
        store = self.store()
        return len(list_runs(store, Wanted(), self.cache)), store.lists


@pytest.fixture
def large(tmp_path: Path) -> LargeHistory:
    return LargeHistory(tmp_path / "large")


def test_days_that_are_over_are_listed_once(large: LargeHistory) -> None:
    first, again = large.count(), large.count()

    today = datetime.now(timezone.utc)
    days = [f"history/{today + timedelta(days=each):%Y/%m/%d}/" for each in (-2, -1, 0, 1)]
    assert first == (6_000, ["history/"])
    assert again == (6_000, days)


def test_runs_and_ends_that_are_new_are_listed_beside_those_that_are_kept(large: LargeHistory) -> None:
    old = record_start(
        large.store(), replace(run_at(0, "old"), started=datetime(2025, 1, 2, tzinfo=timezone.utc))
    )
    large.count()

    record_end(large.store(), old, "FAILED", 20)
    record_start(large.store(), replace(run_at(0, "new"), started=datetime.now(timezone.utc)))

    rows = list_runs(large.store(), Wanted(), large.cache)
    assert len(rows) == 6_002
    assert [(row.id, row.status) for row in (rows[0], rows[-1])] == [("old", "FAILED"), ("new", OPEN)]
    assert rows == list_runs(large.store(), Wanted())


def test_runs_that_another_machine_forgot_are_gone_from_a_list_within_an_hour(large: LargeHistory) -> None:
    large.count()
    marks = sorted((large.directory / "history/2025/11/26").iterdir())
    for mark in marks[:1_500]:
        mark.unlink()

    at_once = large.count()[0]
    large.hours = 1.01
    later = large.count()[0]

    assert (at_once, later) == (6_000, 4_500)


@pytest.mark.parametrize("how", ["forgotten", "made anew", "clock set back"])
def test_what_is_kept_of_a_history_does_not_count_any_more(large: LargeHistory, how: str) -> None:
    large.count()
    marks = sorted((large.directory / "history/2025/11/26").iterdir())
    marks[0].unlink()

    if how == "forgotten":
        forget_marks(large.store(), large.cache)
    elif how == "made anew":
        (large.directory / STORE_KEY).unlink()
        prepare(large.store())
    else:
        large.hours = -1

    assert large.count()[0] == 5_999


def test_an_end_without_its_mark_gets_the_mark_of_the_first_end(store: Store) -> None:
    run = record_start(store, run_at(0, "nightly"))
    record_event(store, run, "end", {"status": "FAILED", "exit_code": 20, "ended": NOON.isoformat()})

    record_end(store, run, "STOPPED", 22)

    [row] = list_runs(store, Wanted())
    assert (row.status, row.exit_code, row.ended) == ("FAILED", 20, NOON)


def test_a_record_may_have_text_that_is_not_unicode(store: Store) -> None:
    remote = {"remote": "/home/m\udcfcller/repository"}

    record_start(store, run_at(0, "nightly", git=remote))

    assert require_recorded(store, "nightly").facts["git"] == remote


def test_a_retry_of_the_next_month_is_found(store: Store) -> None:
    run_id = "rb-20261031-235959-0123abcd-retry1"
    record_start(store, run_at(0, run_id))

    assert require_recorded(store, run_id).id == run_id
