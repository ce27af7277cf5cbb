"""Lists the marks of runs, and keeps those of days that are over between two lists of one machine."""

from __future__ import annotations

import hashlib
from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from raybundle.cache.documents import Kind
from raybundle.publish.layout import STORE_KEY
from raybundle.publish.runs.marks import HISTORY, day_folder

if TYPE_CHECKING:
    from raybundle.cache.documents import Cache
    from raybundle.store.base import Store

_KEPT = Kind("history", 16)
"""A document for each store."""
_LARGE = 5_000
"""Marks of fewer keys are listed each time: that takes as many requests as a few days."""
_OPEN = timedelta(days=2)
"""For so long a day may still get marks: the clocks of machines differ."""
_LASTING = 3600 * 10**9
"""Nanoseconds for which marks are kept: `gc` of another machine may forget runs."""


class _Past(NamedTuple):
    listed: int
    """Nanoseconds since the epoch."""
    until: date
    """The first day that has to be listed."""
    keys: list[str]

    @classmethod
    def parse(cls, document: dict[str, Any]) -> _Past:
        return cls(int(document["listed"]), date.fromisoformat(document["until"]), list(document["keys"]))


def all_marks(store: Store, cache: Cache) -> list[str]:
    """Returns the keys of all marks; those of days that are over may be an hour old."""
    name, now = _name(store), cache.clock()
    past = cache.read(_KEPT, name, _Past.parse)
    if past is not None and 0 <= now - past.listed < _LASTING:
        return past.keys + marks_since(store, past.until)
    keys = store.keys(HISTORY)
    until = datetime.fromtimestamp(now / 10**9, timezone.utc) - _OPEN
    over = [key for key in keys if key < day_folder(until)]
    if len(over) >= _LARGE:
        cache.write(_KEPT, name, {"listed": now, "until": f"{until:%Y-%m-%d}", "keys": over})
    return keys


def marks_since(store: Store, first: date) -> list[str]:
    """Returns the keys of marks that were written on a day or later."""
    last = datetime.now(timezone.utc) + timedelta(days=1)  # clocks of other machines may be ahead
    days = (last - timedelta(days=back) for back in range((last.date() - first).days, -1, -1))
    return [key for day in days for key in store.keys(day_folder(day))]


def forget_marks(store: Store, cache: Cache) -> None:
    """Lets the next list ask for all marks: some were removed."""
    cache.write(_KEPT, _name(store), {})


def _name(store: Store) -> str:
    """Returns a name of this store alone: one that was removed and made anew at its place has another."""
    mark = store.entry(STORE_KEY)
    text = f"{store.place} {None if mark is None else mark.modified.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
