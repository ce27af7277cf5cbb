"""`gc` removes what nothing leads to, keeps the rest, and stops if it cannot tell: in a directory and S3."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import pytest

from raybundle.errors import BundleError, ObjectMissingError, StoreAccessError, StoreError
from raybundle.formats.canonical import canonical_json
from raybundle.model import Digest
from raybundle.publish.bundles import build
from raybundle.publish.catalogue import tag_bundle
from raybundle.publish.content.checking import check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.gc.collect import collect
from raybundle.publish.gc.reach import Policy
from raybundle.publish.keeping import LEASES, NOTICES, lease, lease_old, recheck
from raybundle.publish.layout import layer_key, manifest_key, name_key, result_key
from raybundle.publish.names import record_name
from raybundle.publish.runs.records import record_end, record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import Store, open_store
from tests.support.installed import install
from tests.support.layered import plan_with
from tests.support.store_damage import overwrite, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.planning import Plan
    from raybundle.publish.gc.collect import Collected
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Entry

AT_ONCE = Policy(timedelta(0))
LARGE = b'"""' + b"text " * 250_000 + b'"""\n'
"""Enough sources for byte-code of its own."""


@pytest.fixture
def directory(tmp_path: Path) -> Store:
    return open_store(str(tmp_path / "store"), {})


class Plans:
    """Bundles of distributions, which share layers."""

    def __init__(self, work: Path) -> None:
        self._work, self._site = work, work / "site"
        self._installed = {
            name: install(self._site, name, {f"{name}.py": data})
            for name, data in (("one", LARGE), ("two", b""), ("three", b""))
        }

    def of(self, *names: str) -> Plan:
        found = [self._installed[each] for each in names]
        return plan_with(self._work, found, sites=[self._site])


@pytest.fixture
def plans(tmp_path: Path) -> Plans:
    return Plans(tmp_path)


def grow_old(store: Store, days: float, *prefixes: str) -> None:
    """Makes objects of a directory older."""
    then = datetime.now(timezone.utc).timestamp() - days * 86400
    for key in store.keys(""):
        if key.startswith(prefixes or ("",)):
            os.utime(unquote((store.node_url(key) or "").removeprefix("file://")), (then, then))


def removed(found: Collected) -> dict[str, int]:
    return {each.kind: each.units for each in found.amounts if each.units}


def is_clean(store: Store, cache: Cache) -> bool:
    return check_store(open_shelf(store, cache), read_data=True).findings == ()


def run_of(store: Store, stored: Stored, *, ended: bool = True) -> str:
    run = record_start(store, new_run(stored.digest, [], {}, "http://cluster"))
    if ended:
        record_end(store, run, "SUCCEEDED", 0)
    return run.id


def test_what_nothing_leads_to_is_shown_and_only_removed_when_asked(
    store: Store, plans: Plans, cache: Cache
) -> None:
    loose, named, ran = (build(plans.of(*names), store) for names in (["one"], ["one", "two"], ["three"]))
    record_name(store, "name", named.digest)
    run_of(store, ran)
    before = store.keys("")

    shown = collect(store, Policy(timedelta(seconds=-5)))  # S3 has whole seconds
    unchanged = store.keys("")
    found = collect(store, Policy(timedelta(seconds=-5)), delete=True)

    assert unchanged == before
    assert (shown.amounts, shown.bundles) == (found.amounts, found.bundles)
    assert removed(found) == {"bundles": 1}
    assert found.bundles == (loose.digest,)
    assert {each.bytes > 0 for each in found.amounts if each.units} == {True}
    assert store.keys("") == [key for key in before if loose.digest[7:] not in key]
    assert is_clean(store, cache)


def test_layers_and_byte_code_go_with_the_last_bundle_that_names_them(
    store: Store, plans: Plans, cache: Cache
) -> None:
    loose, named = build(plans.of("one", "three"), store), build(plans.of("two"), store)
    record_name(store, "name", named.digest)

    found = collect(store, Policy(timedelta(seconds=-5)), delete=True)

    assert removed(found) == {"bundles": 1, "layers": 2}
    layers = next(each for each in found.amounts if each.kind == "layers")
    assert layers.objects == 3  # one has byte-code
    assert not [key for key in loose.layer_keys if store.size(key) is not None]
    assert is_clean(store, cache)


def test_what_is_younger_than_the_grace_stays(directory: Store, plans: Plans) -> None:
    build(plans.of("one"), directory)
    grow_old(directory, 13)
    young = collect(directory, Policy(), delete=True)
    grow_old(directory, 15)
    old = collect(directory, Policy())

    assert (removed(young), removed(old)) == ({}, {"bundles": 1, "layers": 1})


def test_a_new_archive_makes_a_bundle_young(directory: Store, plans: Plans) -> None:
    stored = build(plans.of("two"), directory)
    grow_old(directory, 15)
    directory.put_new(f"bundles/{stored.digest[7:]}/{'0' * 64}-{'1' * 64}.zip", b"")

    assert removed(collect(directory, Policy())) == {}


def test_all_versions_of_a_name_keep_their_bundles(directory: Store, plans: Plans) -> None:
    bundles = [build(plans.of(*names), directory) for names in (["one"], ["two"], ["three"])]
    for each in bundles:
        record_name(directory, "name", each.digest)
    tag_bundle(directory, "name@1", "name")
    grow_old(directory, 100)

    assert removed(collect(directory, AT_ONCE)) == {"leases": 1}


def test_runs_are_forgotten_with_all_that_is_about_them(directory: Store, plans: Plans, cache: Cache) -> None:
    stored = build(plans.of("one"), directory)
    old = [run_of(directory, stored) for _ in range(2)]
    month = datetime.now(timezone.utc).strftime("%Y/%m")
    directory.put_new(f"logs/{month}/{old[0]}.log", b"text")
    grow_old(directory, 40)
    other = run_of(directory, build(plans.of("two"), directory))

    kept = collect(directory, Policy())
    newest = collect(directory, Policy(forget=timedelta(days=30), keep_runs=3))
    found = collect(directory, Policy(forget=timedelta(days=30)), delete=True)

    assert (removed(kept), removed(newest)) == ({}, {})
    assert removed(found) == {"runs": 2, "bundles": 1, "layers": 1}
    assert set(found.runs) == set(old)
    assert {
        other in key for prefix in ("runs/", "events/", "history/") for key in directory.keys(prefix)
    } == {True}
    assert not directory.keys("logs/")
    assert is_clean(directory, cache)


def test_the_result_of_a_function_stays_as_long_as_its_run(
    directory: Store, plans: Plans, cache: Cache
) -> None:
    run = run_of(directory, build(plans.of("one"), directory))
    for name in (run, "of-no-run"):
        directory.put_new(result_key(name, Digest(f"sha256:{'ab' * 32}")), b"{}")
    grow_old(directory, 40)

    kept = collect(directory, Policy(), delete=True)
    assert (removed(kept), directory.keys("results/")) == ({"runs": 1}, [f"results/{run}/{'ab' * 32}"])

    forgotten = collect(directory, Policy(forget=timedelta(days=30)), delete=True)
    assert removed(forgotten)["runs"] == 1
    assert not directory.keys("results/")
    assert is_clean(directory, cache)


def test_a_run_without_an_end_is_live_for_thirty_days(directory: Store, plans: Plans) -> None:
    run_of(directory, build(plans.of("one"), directory), ended=False)
    policy = Policy(timedelta(0), forget=timedelta(0))
    grow_old(directory, 29)
    live = collect(directory, policy)
    grow_old(directory, 31)

    assert (removed(live), removed(collect(directory, policy))) == (
        {},
        {"runs": 1, "bundles": 1, "layers": 1},
    )


def test_a_record_without_its_mark_leads_to_its_bundle(directory: Store, plans: Plans) -> None:
    run_of(directory, build(plans.of("one"), directory))
    for key in directory.keys("history/"):
        directory.remove(key)
    grow_old(directory, 100)

    assert removed(collect(directory, AT_ONCE)) == {}


def test_what_a_killed_collector_left_of_a_run_is_removed(
    directory: Store, plans: Plans, cache: Cache
) -> None:
    run_of(directory, build(plans.of("one"), directory))
    directory.remove(directory.keys("runs/")[0])
    grow_old(directory, 15)

    found = collect(directory, Policy(), delete=True)

    assert removed(found) == {"runs": 1, "bundles": 1, "layers": 1}
    assert is_clean(directory, cache)


def damaged_manifest(store: Store, stored: Stored) -> str:
    overwrite(store, manifest_key(stored.digest), b"{}")
    return stored.digest


def lost_manifest(store: Store, stored: Stored) -> str:
    remove(store, manifest_key(stored.digest))
    return stored.digest


def damaged_version(store: Store, _stored: Stored) -> str:
    overwrite(store, name_key("name", 1), b"{}")
    return name_key("name", 1)


def damaged_record(store: Store, _stored: Stored) -> str:
    for key in store.keys("history/"):
        store.remove(key)
    [key] = store.keys("runs/")
    overwrite(store, key, b"[]")
    return key


def damaged_lease(store: Store, _stored: Stored) -> str:
    key = f"{LEASES}{'a' * 32}.json"
    overwrite(store, key, b'{"format":2}')
    return key


@pytest.mark.parametrize(
    "damage", [damaged_manifest, lost_manifest, damaged_version, damaged_record, damaged_lease]
)
def test_it_stops_where_it_cannot_tell_and_removes_nothing(
    store: Store, plans: Plans, damage: object
) -> None:
    assert callable(damage)
    build(plans.of("three"), store)
    stored = build(plans.of("one"), store)
    record_name(store, "name", stored.digest)
    run_of(store, stored)
    named = damage(store, stored)
    before = store.keys("")

    with pytest.raises((StoreError, BundleError), match=named) as caught:
        collect(store, Policy(timedelta(seconds=-5)), delete=True)

    assert caught.value.exit_code in {3, 4}
    assert store.keys("") == before


def test_a_store_of_a_later_format_and_one_without_a_mark_are_refused(directory: Store, plans: Plans) -> None:
    build(plans.of("two"), directory)
    overwrite(directory, "store.json", b'{"features":["x"],"format":1}')

    with pytest.raises(StoreError, match="features"):
        collect(directory, AT_ONCE, delete=True)
    directory.remove("store.json")
    with pytest.raises(StoreError, match=r"has objects and no store\.json"):
        collect(directory, AT_ONCE, delete=True)


def test_what_is_not_of_the_format_stays_and_is_named(directory: Store, plans: Plans) -> None:
    build(plans.of("two"), directory)
    directory.put_new("notes/a.txt", b"")
    grow_old(directory, 15)

    found = collect(directory, Policy(), delete=True)

    assert found.unknown == ("notes/a.txt",)
    assert directory.keys("") == ["notes/a.txt", "store.json"]


def test_a_lease_keeps_what_it_names_for_a_day_at_least_and_for_the_grace(
    directory: Store, plans: Plans, cache: Cache
) -> None:
    stored = build(plans.of("one"), directory)
    grow_old(directory, 100)
    lease(directory, stored.digest)

    kept = [removed(collect(directory, policy)) for policy in (AT_ONCE, Policy())]
    grow_old(directory, 2, LEASES)
    after_two_days = [removed(collect(directory, policy)) for policy in (Policy(), AT_ONCE)]
    collect(directory, AT_ONCE, delete=True)

    assert kept == [{}, {}]
    assert after_two_days == [{}, {"bundles": 1, "layers": 1, "leases": 1}]
    assert directory.keys("") == ["store.json"]
    assert is_clean(directory, cache)


def test_a_build_leases_what_it_takes_over_if_that_is_old(directory: Store, plans: Plans) -> None:
    build(plans.of("one"), directory)
    young = build(plans.of("one", "two"), directory)
    fresh = directory.keys(LEASES)
    grow_old(directory, 8)
    again = build(plans.of("one", "two"), directory)
    grow_old(directory, 8, *directory.keys(LEASES))
    new = build(plans.of("one", "three"), directory)
    leased = [json.loads(directory.get(key)) for key in directory.keys(LEASES)]

    assert fresh == []
    assert sorted(each["bundle"] for each in leased) == sorted([again.digest, new.digest])
    assert young.digest == again.digest
    assert {layer_key(each.digest) for each in new.manifest.layers} in [set(each["keys"]) for each in leased]


def test_a_bundle_that_is_to_be_run_is_leased_if_it_is_old(directory: Store, plans: Plans) -> None:
    stored = build(plans.of("one"), directory)
    lease_old(directory, stored.digest)
    young = directory.keys(LEASES)
    grow_old(directory, 8)
    lease_old(directory, stored.digest)

    assert young == []
    assert len(directory.keys(LEASES)) == 1


def test_the_notice_of_a_dead_collector_is_removed_once_it_does_not_count(
    directory: Store, cache: Cache, plans: Plans
) -> None:
    record_name(directory, "name", build(plans.of("two"), directory).digest)
    notice = f"{NOTICES}{'b' * 32}.json"
    directory.put_new(notice, canonical_json({"format": 1, "keys": []}))
    young = removed(collect(directory, AT_ONCE, delete=True))
    grow_old(directory, 1 / 24, notice)

    assert (young, removed(collect(directory, AT_ONCE, delete=True))) == ({}, {"notices": 1})
    assert is_clean(directory, cache)


class Meddler:
    """A store in which somebody does something once, before the collector lists again."""

    def __init__(self, store: Store, action: Callable[[], object]) -> None:
        self._store, self._action, self._lists = store, action, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def entries(self, prefix: str) -> Sequence[Entry]:
        self._lists += not prefix
        if self._lists == 2:
            self._action()
        return self._store.entries(prefix)


def collect_beside(store: Store, action: Callable[[], object], policy: Policy = AT_ONCE) -> Collected:
    return collect(cast("Store", Meddler(store, action)), policy, delete=True)


def test_what_gets_a_name_between_the_lists_is_spared(directory: Store, plans: Plans, cache: Cache) -> None:
    stored = build(plans.of("one"), directory)
    grow_old(directory, 15)
    before = directory.keys("")

    found = collect_beside(directory, lambda: record_name(directory, "name", stored.digest))

    assert (removed(found), found.spared) == ({}, len(before) - 1)
    assert set(directory.keys("")) == {*before, name_key("name", 1)}
    assert is_clean(directory, cache)


def test_what_is_put_again_between_the_lists_is_spared_with_what_it_names(
    directory: Store, plans: Plans, cache: Cache
) -> None:
    stored = build(plans.of("one"), directory)
    manifest = directory.get(manifest_key(stored.digest))
    grow_old(directory, 15)

    def put_again() -> None:
        directory.remove(manifest_key(stored.digest))
        directory.put_new(manifest_key(stored.digest), manifest)

    found = collect_beside(directory, put_again)

    assert removed(found) == {}
    assert is_clean(directory, cache)


def test_what_another_collector_removes_is_left_to_it_with_what_it_names(
    directory: Store, plans: Plans
) -> None:
    stored = build(plans.of("one"), directory)
    grow_old(directory, 15)
    notice = canonical_json({"format": 1, "keys": [manifest_key(stored.digest)]})

    found = collect_beside(directory, lambda: directory.put_new(f"{NOTICES}{'c' * 32}.json", notice))

    assert removed(found) == {}


def test_a_store_whose_lists_are_not_up_to_date_is_refused(directory: Store, plans: Plans) -> None:
    build(plans.of("one"), directory)
    grow_old(directory, 15)
    before = directory.keys("")

    with pytest.raises(StoreError, match=r"lacks gc/\w+\.json, which was written before it"):
        collect_beside(directory, lambda: directory.remove(directory.keys(NOTICES)[0]))

    assert directory.keys("") == before


def test_a_collector_that_fails_leaves_its_notice_and_a_clean_store(
    directory: Store, plans: Plans, cache: Cache
) -> None:
    """Walks through all removals: the store is clean after each, and another `gc` ends the work."""
    run_of(directory, build(plans.of("one", "two"), directory))
    policy = Policy(timedelta(0), timedelta(0))
    grow_old(directory, 15)
    for _ in range(30):
        failing = Failing(directory, after=1)
        try:
            collect(cast("Store", failing), policy, delete=True)
        except StoreAccessError:
            assert directory.keys(NOTICES)
            assert check_store(open_shelf(directory, cache)).faults == ()
            grow_old(directory, 1 / 24, NOTICES)
        else:
            break

    assert directory.keys("") == ["store.json"]


class Failing:
    """A store that refuses to remove after a number of objects."""

    def __init__(self, store: Store, after: int) -> None:
        self._store, self._left = store, after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def remove(self, key: str) -> bool:
        if key.startswith(NOTICES):
            return self._store.remove(key)
        self._left -= 1
        if self._left < 0:
            raise StoreAccessError("the store does not answer")
        return self._store.remove(key)


def test_a_submitter_waits_for_a_collector_that_removes_a_part_of_its_bundle(
    directory: Store, plans: Plans
) -> None:
    stored = build(plans.of("one"), directory)
    notice = f"{NOTICES}{'d' * 32}.json"
    directory.put_new(notice, canonical_json({"format": 1, "keys": [stored.archive_key]}))
    other = f"{NOTICES}{'e' * 32}.json"
    directory.put_new(other, canonical_json({"format": 1, "keys": ["layers/x.zip"]}))
    said: list[str] = []

    def ends(text: str) -> None:
        said.append(text)
        directory.remove(notice)

    record_name(directory, "name", stored.digest)
    recheck(directory, stored, name_key("name", 1), ends)
    grow_old(directory, 1, other)
    old = f"{NOTICES}{'f' * 32}.json"
    directory.put_new(old, canonical_json({"format": 1, "keys": [stored.archive_key]}))
    grow_old(directory, 1, old)
    recheck(directory, stored, name_key("name", 1), ends)

    assert said == [
        "a `raybundle gc` is removing objects that this bundle needs: waiting until it ends (at most 30 min)"
    ]


def test_a_recheck_puts_again_what_is_gone_or_says_that_it_cannot(
    store: Store, plans: Plans, cache: Cache
) -> None:
    stored = build(plans.of("one", "two"), store)
    record_name(store, "name", stored.digest)
    for key in (layer_key(stored.manifest.layers[0].digest), manifest_key(stored.digest)):
        store.remove(key)
        recheck(store, stored, name_key("name", 1))
        assert is_clean(store, cache)

    store.remove(stored.archive_key)
    with pytest.raises(ObjectMissingError, match=stored.archive_key):
        recheck(store, replace(stored, again=None), name_key("name", 1))
