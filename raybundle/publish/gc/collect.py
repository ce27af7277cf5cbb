"""Removes what nothing leads to, beside submitters and other collectors (decision 030).

A collector lists the store, gives notice of what it is about to remove, lists the store again, removes what
was unreached both times, and ends its notice. The model in tests/unit/test_gc_model.py has these steps.
"""

from __future__ import annotations

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, get_args

from raybundle.errors import RaybundleError, StoreError
from raybundle.formats.canonical import canonical_json
from raybundle.publish.gc.reach import Now, Policy, Reader, unreached
from raybundle.publish.gc.units import Kind, group, order_of
from raybundle.publish.keeping import NOTICE, NOTICES, REMOVING, parse_notice
from raybundle.publish.layout import FORMAT, STORE_KEY, require_format

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping, Sequence

    from raybundle.publish.gc.units import Unit
    from raybundle.store.base import Entry, Store

AT_ONCE = 16
"""Objects that are removed at a time."""
OF_A_NOTICE = 20_000
"""Objects of one notice at most: submitters read it."""


class Amount(NamedTuple):
    """How much of one kind."""

    kind: Kind
    units: int
    """Bundles, layers with their byte-code, runs with all that belongs to them."""
    objects: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Collected:
    """What `gc` has removed from a store, or would remove."""

    store: str
    deleted: bool
    """Whether it has removed them."""
    objects: int
    """Of the store, before."""
    bytes: int
    amounts: tuple[Amount, ...]
    bundles: tuple[str, ...]
    """Digests of the bundles."""
    runs: tuple[str, ...]
    """Ids of the runs."""
    spared: int
    """Objects that have come into use since they were listed, or that another `gc` removes."""
    unknown: tuple[str, ...]
    """Keys of what is not an object of format 1: it stays."""


def collect(store: Store, policy: Policy, *, delete: bool = False) -> Collected:
    """Returns what of a store nothing leads to, once it is removed if `delete` says so.

    Raises:
        StoreError: the store has another format, or something in it cannot be read: nothing is removed.
        BundleError: the manifest of a bundle is damaged: nothing is removed.
    """
    marked = require_format(store)
    reader = Reader(store)
    entries = store.entries("")
    if entries and not marked:
        raise StoreError(f"{store.url} has objects and no {STORE_KEY}", hint="is this the right --store?")
    if marked:
        _require_listed(store, STORE_KEY, {each.key for each in entries})
    units = group(entries)
    found = unreached(reader, units, Now(datetime.now(timezone.utc), policy))
    spared: set[str] = set()
    if delete:
        spared = _remove_all(reader, policy, found)
    return Collected(
        store.url,
        delete,
        len(entries),
        sum(each.size for each in entries),
        _amounts(found, spared),
        tuple(f"sha256:{unit.name}" for unit in found if unit.kind == "bundles" and not unit.keys & spared),
        tuple(
            unit.name.rpartition("/")[2] for unit in found if unit.kind == "runs" and not unit.keys & spared
        ),
        len(spared),
        tuple(units.unknown),
    )


def _require_listed(store: Store, key: str, listed: Container[str]) -> None:
    """Refuses a list that lacks an object of this store.

    A list of S3 that is cut short always lacks the mark of the store: of all keys, it sorts last.
    """
    if key not in listed:
        raise StoreError(
            f"a list of {store.url} lacks {key}, which was written before it",
            hint="`raybundle gc` needs a store whose lists are complete and up to date",
        )


def _amounts(found: Sequence[Unit], spared: set[str]) -> tuple[Amount, ...]:
    amounts = []
    for kind in get_args(Kind):
        rest = [
            [each for each in unit.entries if each.key not in spared] for unit in found if unit.kind == kind
        ]
        entries = [each for unit in rest for each in unit]
        sizes = sum(each.size for each in entries)
        amounts.append(Amount(kind, sum(map(bool, rest)), len(entries), sizes))
    return tuple(amounts)


def _remove_all(reader: Reader, policy: Policy, found: Sequence[Unit]) -> set[str]:
    """Removes units, with one notice after another; returns the keys of those objects that are spared."""
    planned = {each.key: each for unit in found for each in unit.entries}
    left = sorted(planned.values(), key=lambda each: (order_of(each.key), each.key))
    spared: set[str] = set()
    while left:
        some, later = left[:OF_A_NOTICE], left[OF_A_NOTICE:]
        agreed, rest = _round(reader, policy, planned, some)
        stays = {each.key for each in some} - {each.key for each in agreed}
        planned = {key: each for key, each in planned.items() if key not in stays}
        spared |= stays
        left = [*rest, *later]
    return spared


def _round(
    reader: Reader, policy: Policy, planned: Mapping[str, Entry], some: Sequence[Entry]
) -> tuple[list[Entry], list[Entry]]:
    """Gives notice, lists again, removes, and ends the notice.

    If a request fails, or was repeated, it may still be carried out: the notice stays, and counts until its
    time is over.

    Returns:
        What both lists agree on, and what of it is left because the time for this notice was over.

    Raises:
        StoreError: another notice would not help now.
    """
    store, is_over = reader.store, _timer(REMOVING.total_seconds())
    notice = f"{NOTICES}{secrets.token_hex(16)}.json"
    store.put_new(notice, canonical_json({"format": FORMAT, "keys": [each.key for each in some]}))
    try:
        agreed = _list_again(reader, policy, planned, some, notice)
    except RaybundleError:  # nothing was removed after this notice
        store.remove(notice)
        raise
    removed, sent_once = _remove(store, agreed, is_over)
    left = [each for each in agreed if each.key not in removed]
    if sent_once:
        store.remove(notice)
    if left and not (removed and sent_once):
        raise StoreError(
            f"{len(left):,} objects are left in {store.url}: the time of the notice is over",
            hint="run `raybundle gc` again after half an hour: it goes on with what is left",
        )
    return agreed, left


def _remove(store: Store, agreed: Sequence[Entry], is_over: Callable[[], bool]) -> tuple[set[str], bool]:
    """Returns the keys that were removed before the time was over, and whether no request was repeated."""
    sent_once = True

    def remove(entry: Entry) -> bool:
        nonlocal sent_once
        if is_over():
            return False
        if not store.remove(entry.key):
            sent_once = False
        return True

    removed: set[str] = set()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for _, same in groupby(agreed, key=lambda each: order_of(each.key)):
            together = list(same)
            done = list(threads.map(remove, together))
            removed |= {each.key for each, gone in zip(together, done, strict=True) if gone}
            if not all(done):
                break
    return removed, sent_once


def _timer(seconds: float) -> Callable[[], bool]:
    """Returns whether a time is over, by the clock that stops while the machine sleeps, or by the other."""
    steady, wall = time.monotonic(), time.time()
    return lambda: max(time.monotonic() - steady, time.time() - wall) > seconds


def _list_again(
    reader: Reader, policy: Policy, planned: Mapping[str, Entry], some: Sequence[Entry], notice: str
) -> list[Entry]:
    """Returns what of some objects nothing leads to now either.

    What was not in the first list, or is in the notice of another collector, is spared, with all to which a
    run or a manifest among it leads.
    """
    listed = {each.key: each for each in reader.store.entries("")}
    for key in (notice, STORE_KEY):
        _require_listed(reader.store, key, listed)
    now, units = Now(listed[notice].modified, policy), group(listed.values())
    others = [
        each
        for key, unit in units.of["notices"].items()
        if key != notice and not now.is_past(unit.modified, NOTICE)
        for each in unit.entries
    ]
    named = reader.read(others, lambda _, data: parse_notice(json.loads(data))).values()
    free = {key for key, entry in planned.items() if listed.get(key) == entry}.difference(*named)
    found = unreached(reader, units, now, free)
    unused = {each.key for unit in found for each in unit.entries} & free
    return [each for each in some if each.key in unused]
