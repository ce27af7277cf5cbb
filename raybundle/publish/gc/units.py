"""Groups the objects of a store into units, which `gc` keeps or removes as a whole."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from raybundle.publish.content.checking import KNOWN, marked_run
from raybundle.publish.keeping import LEASES, NOTICES
from raybundle.publish.layout import STORE_KEY
from raybundle.publish.runs.marks import bundle_of_mark

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from raybundle.store.base import Entry

Kind = Literal["runs", "bundles", "layers", "data", "leases", "notices"]
RESULTS = "results/"
_LOG = re.compile(r"logs/(?P<run>\d{4}/\d\d/[^/]+)\.log")


@dataclass(slots=True)
class Unit:
    """Objects that are of use together."""

    kind: Kind
    name: str
    """Hex digest of a bundle, a layer or a large file; month and id of a run; else the key."""
    entries: list[Entry] = field(default_factory=list)

    @property
    def modified(self) -> datetime:
        """When the youngest of them was written."""
        return max(each.modified for each in self.entries)

    @property
    def bytes(self) -> int:
        """Of all of them."""
        return sum(each.size for each in self.entries)

    @property
    def keys(self) -> frozenset[str]:
        """Of all of them."""
        return frozenset(each.key for each in self.entries)


@dataclass(slots=True)
class Units:
    """What a list of a store holds."""

    of: dict[Kind, dict[str, Unit]]
    """Units by name."""
    versions: list[Entry]
    """Of names."""
    unknown: list[str]
    """Keys of what is not an object of format 1: it stays."""


def group(entries: Iterable[Entry]) -> Units:
    """Returns the units of a store, from a list of all its objects."""
    found: dict[Kind, dict[str, Unit]] = defaultdict(dict)
    units = Units(found, [], [])
    results: list[Entry] = []
    for entry in entries:
        match = KNOWN.fullmatch(entry.key)
        if match is None:
            units.unknown.append(entry.key)
        elif match["name"]:
            if not match["moves"]:
                units.versions.append(entry)
        elif entry.key.startswith(RESULTS):
            results.append(entry)
        elif (place := _place(entry.key, match)) is not None:
            kind, name = place
            found[kind].setdefault(name, Unit(kind, name)).entries.append(entry)
    stores = tuple(key.removesuffix(STORE_KEY) for key in units.unknown if key.endswith(f"/{STORE_KEY}"))
    units.unknown += [each.key for each in results if each.key.startswith(stores)]  # of another store
    _add_results(found["runs"], [each for each in results if not each.key.startswith(stores)])
    return units


def _add_results(runs: dict[str, Unit], results: Iterable[Entry]) -> None:
    """Adds the results of functions to their runs; without one they are units of their own."""
    by_id = {name.rpartition("/")[2]: unit for name, unit in sorted(runs.items())}
    for entry in results:
        run_id = entry.key.split("/")[1]
        unit = by_id.setdefault(run_id, Unit("runs", f"{RESULTS}{run_id}"))
        runs.setdefault(unit.name, unit).entries.append(entry)


def _place(key: str, match: re.Match[str]) -> tuple[Kind, str] | None:
    """Returns kind and name of the unit of an object that is no result; None for the mark of the store."""
    if bundle := match["bundle"] or match["signed"]:
        return "bundles", bundle
    if run := match["record"] or match["event"] or marked_run(match):
        return "runs", run
    folder, _, name = key.partition("/")
    if folder == "layers":
        return "layers", name.removesuffix(".zip").partition("-")[0]
    if folder == "data":
        return "data", name
    if (log := _LOG.fullmatch(key)) is not None:
        return "runs", log["run"]
    if key.startswith(LEASES):
        return "leases", key
    return ("notices", key) if key.startswith(NOTICES) else None


def order_of(key: str) -> int:
    """Returns when an object is removed: after all with a smaller number are gone.

    A crash in between leaves a store that `check` calls clean. The marks of a run go before its events, log
    and record. The signatures of a bundle go before its manifest, and that before all to which it refers.
    """
    folder, _, rest = key.partition("/")
    match folder:
        case "history":
            return 1 if bundle_of_mark(key) is None else 0
        case "events" | "logs" | "results":
            return 1
        case "runs":
            return 2
        case "bundles":
            return 3 if "/signatures/" in rest else 4 if rest.endswith("/manifest.json") else 5
        case _:
            return 5
