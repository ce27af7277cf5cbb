"""Finds what in a store nothing leads to: no name, no run that is kept, no lease, and not its age."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from raybundle.bundle.manifest import parse_manifest
from raybundle.errors import UNREADABLE, ObjectMissingError, StoreError
from raybundle.model import Digest
from raybundle.publish import layout
from raybundle.publish.keeping import GRACE, LEASE, NOTICE, needed, parse_lease
from raybundle.publish.names import parse_version
from raybundle.publish.runs.marks import bundle_of_mark
from raybundle.publish.runs.run import parse_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from raybundle.publish.gc.units import Kind, Unit, Units
    from raybundle.store.base import Entry, Store

READERS = 16
"""Documents that are read at a time."""
LIVE = timedelta(days=30)
"""A run without a recorded end counts as live until nothing was written about it for so long."""
_ARCHIVES: tuple[Kind, ...] = ("layers", "data")
_ENDS = ("/end.json", "/lost.json")
_HINT = "`raybundle gc` removes nothing until this is right; `raybundle check` lists all that is wrong"
_GONE_HINT = "build the bundle again from its sources, or let `--forget-runs-older-than` forget its runs"


@dataclass(frozen=True, slots=True)
class Policy:
    """What `gc` keeps."""

    grace: timedelta = GRACE
    """The age up to which it keeps what nothing leads to."""
    forget: timedelta | None = None
    """Runs about which nothing was written for longer are forgotten; None forgets none."""
    keep_runs: int = 0
    """The number of runs, the youngest ones, that are not forgotten."""


class Now(NamedTuple):
    """What the age of objects is compared with."""

    moment: datetime
    policy: Policy

    def is_past(self, modified: datetime, age: timedelta | None = None) -> bool:
        """Whether something is older than an age, or than the grace."""
        return self.moment - modified > (self.policy.grace if age is None else age)


@dataclass(slots=True)
class Reader:
    """Reads documents of a store, each once as long as it is the same object."""

    store: Store
    _known: dict[tuple[str, datetime], Any] = field(default_factory=dict)

    def read(self, entries: Iterable[Entry], parse: Callable[[str, bytes], Any]) -> dict[str, Any]:
        """Returns what `parse` makes of documents by key; one that is gone by now is left out.

        Raises:
            StoreError, BundleError: one cannot be read, or is damaged.
        """
        wanted = {(each.key, each.modified) for each in entries}
        unread = sorted(wanted - self._known.keys())
        with ThreadPoolExecutor(READERS) as threads:
            found = list(threads.map(lambda each: self._one(each[0], parse), unread))
        self._known.update(zip(unread, found, strict=True))
        read = {key: self._known[key, modified] for key, modified in wanted}
        return {key: value for key, value in read.items() if value is not None}

    def _one(self, key: str, parse: Callable[[str, bytes], Any]) -> Any:
        try:
            return layout.read_twice(
                lambda: layout.get_document(self.store, key), lambda data: parse(key, data)
            )
        except ObjectMissingError:
            return None
        except UNREADABLE as error:
            message = f"cannot tell what is needed: {key} in {self.store.url} is damaged"
            raise StoreError(message, hint=_HINT) from error


def unreached(reader: Reader, units: Units, now: Now, free: AbstractSet[str] | None = None) -> list[Unit]:
    """Returns the units of a store that `gc` removes.

    Args:
        reader: of the store.
        units: of a list of all its objects.
        now: the time, and what is kept.
        free: keys that may be removed; None means all. A run or a bundle with another key stays, with all
            to which it leads.

    Raises:
        StoreError, BundleError: a document that says what is needed is damaged or missing.
    """
    of = units.of
    forgotten = {name for name in _runs_to_remove(of["runs"], now) if _is_free(of["runs"][name], free)}
    runs = [unit for name, unit in of["runs"].items() if name not in forgotten]
    roots = _named(reader, units) | _of_runs(reader, units, runs)
    lease = max(LEASE, now.policy.grace)
    leases = [unit for unit in of["leases"].values() if not now.is_past(unit.modified, lease)]
    leased = reader.read((unit.entries[0] for unit in leases), lambda _, data: parse_lease(json.loads(data)))
    kept = roots | {each.bundle.removeprefix("sha256:") for each in leased.values()}
    kept |= {
        name
        for name, unit in of["bundles"].items()
        if not (_is_free(unit, free) and now.is_past(unit.modified))
    }
    used = {key for each in leased.values() for key in each.keys} | _used(reader, units, kept, roots)
    stems = {layout.archive_name(key) for key in used}
    gone: dict[Kind, AbstractSet[str]] = {"runs": forgotten, "bundles": of["bundles"].keys() - kept}
    for kind in _ARCHIVES:
        past = {name for name, unit in of[kind].items() if now.is_past(unit.modified)}
        gone[kind] = past - stems
    gone["leases"] = of["leases"].keys() - {unit.name for unit in leases}
    gone["notices"] = {name for name, unit in of["notices"].items() if now.is_past(unit.modified, NOTICE)}
    return [of[kind][name] for kind, names in gone.items() for name in sorted(names)]


def _is_free(unit: Unit, free: AbstractSet[str] | None) -> bool:
    return free is None or unit.keys <= free


def _runs_to_remove(runs: dict[str, Unit], now: Now) -> set[str]:
    """Returns the runs that are forgotten, and what is left of runs without a record."""
    recorded = {name: unit for name, unit in runs.items() if f"runs/{name}.json" in unit.keys}
    removed = {name for name, unit in runs.items() if name not in recorded and now.is_past(unit.modified)}
    if now.policy.forget is None:
        return removed
    youngest = sorted(recorded, key=lambda name: recorded[name].modified, reverse=True)
    for name in youngest[now.policy.keep_runs :]:
        unit = recorded[name]
        if now.is_past(unit.modified, now.policy.forget) and _is_over(unit, now):
            removed.add(name)
    return removed


def _is_over(unit: Unit, now: Now) -> bool:
    """Whether the job of a run is over: it has an end, or is old; or it never began, so it has no mark.

    A collector that died left a run without its mark, too: the mark goes first.
    """
    marks = {key: bundle_of_mark(key) for key in unit.keys if key.startswith("history/")}
    events = {key for key in unit.keys if key.startswith("events/")}
    ended = any(key.endswith(_ENDS) for key in events) or None in marks.values()
    begun = any(marks.values())
    return ended or now.is_past(unit.modified, LIVE if begun else LEASE)


def _named(reader: Reader, units: Units) -> set[str]:
    """Returns the hex digests of the bundles of all versions of all names."""
    found = reader.read(
        units.versions, lambda key, data: parse_version(_number(key), json.loads(data)).bundle
    )
    lost = {each.key for each in units.versions} - found.keys()
    if lost:
        raise StoreError(f"{min(lost)} in {reader.store.url} is listed, and cannot be read", hint=_HINT)
    return _present(reader, units, found)


def _number(key: str) -> int:
    return int(key.rpartition("/")[2].removesuffix(".json"))


def _of_runs(reader: Reader, units: Units, kept: Iterable[Unit]) -> set[str]:
    """Returns the hex digests of the bundles of runs: by their marks, which need not be read, or records."""
    starts: dict[str, list[str]] = {}
    for name in units.of["bundles"]:
        starts.setdefault(name[:16], []).append(name)
    found: set[str] = set()
    unread: list[Entry] = []
    for unit in kept:
        marks = {
            digits for key in unit.keys if key.startswith("history/") and (digits := bundle_of_mark(key))
        }
        known = [name for digits in marks for name in starts.get(digits, ()) if _complete(units, name)]
        found.update(known)
        if not known:
            unread += [each for each in unit.entries if each.key.startswith("runs/")]
    records = reader.read(unread, lambda _, data: parse_run(json.loads(data)).bundle)
    return found | _present(reader, units, records)


def _complete(units: Units, name: str) -> bool:
    return f"bundles/{name}/manifest.json" in units.of["bundles"][name].keys


def _present(reader: Reader, units: Units, bundles: dict[str, Digest]) -> set[str]:
    """Returns hex digests of bundles to which objects lead, by the key of such an object.

    Raises:
        StoreError: the store has no manifest of one of them.
    """
    known: set[str] = set()
    for key, digest in bundles.items():
        name = digest.removeprefix("sha256:")
        if name in known:
            continue
        listed = name in units.of["bundles"] and _complete(units, name)
        if not listed and reader.store.size(layout.manifest_key(digest)) is None:
            message = f"{key} in {reader.store.url} leads to bundle {digest}, which the store has lost"
            raise StoreError(message, hint=_GONE_HINT)
        known.add(name)
    return known


def _used(reader: Reader, units: Units, kept: Iterable[str], roots: set[str]) -> set[str]:
    """Returns the keys of layers and large files that the manifests of bundles name."""
    manifests = []
    for name in kept:
        key = f"bundles/{name}/manifest.json"
        unit = units.of["bundles"].get(name)
        entry = None if unit is None else next((each for each in unit.entries if each.key == key), None)
        if entry is None and name in roots:  # it was written while the store was listed
            entry = reader.store.entry(key)
        manifests += [] if entry is None else [entry]
    found = reader.read(manifests, _needs)
    lost = {f"bundles/{name}/manifest.json" for name in roots} - found.keys()
    if lost:
        raise StoreError(f"{min(lost)} in {reader.store.url} is listed, and cannot be read", hint=_HINT)
    return {key for keys in found.values() for key in keys}


def _needs(key: str, data: bytes) -> tuple[str, ...]:
    digest = Digest(f"sha256:{key.split('/')[1]}")
    return needed(digest, parse_manifest(data, digest))[1:]
