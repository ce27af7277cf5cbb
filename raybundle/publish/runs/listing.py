"""Lists the runs of a store from their marks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from raybundle.publish.layout import require_format
from raybundle.publish.refs import look_up
from raybundle.publish.runs.days import all_marks, marks_since
from raybundle.publish.runs.marks import BUNDLE_DIGITS, HISTORY, parse_marks, plain_user

if TYPE_CHECKING:
    from raybundle.cache.documents import Cache
    from raybundle.publish.runs.marks import Row
    from raybundle.store.base import Store

_DAYS_APART = 45
"""Most days that are listed one by one; beyond that, the whole history is one list."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs are wanted; None is any."""

    name: str | None = None
    """`fraud` or `fraud@3`."""
    status: str | None = None
    user: str | None = None
    since: datetime | None = None
    bundle: str | None = None
    """A REF."""


def list_runs(store: Store, wanted: Wanted, cache: Cache | None = None) -> list[Row]:
    """Returns the wanted runs of a store, the oldest first.

    Args:
        store: that has them.
        wanted: which runs.
        cache: may have what was listed within an hour; a run that was forgotten since is then listed still.

    Raises:
        UsageError: the bundle is no REF.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require_format(store)
    digits = None
    if wanted.bundle is not None:
        digits = look_up(store, wanted.bundle)[: len("sha256:") + BUNDLE_DIGITS]
    rows = parse_marks(_marks(store, wanted.since, cache))
    return [row for row in rows if _is_wanted(row, wanted) and digits in (None, row.bundle)]


def _marks(store: Store, since: datetime | None, cache: Cache | None) -> list[str]:
    """Returns the keys of marks; of a few days, only those days are listed."""
    if since is not None and datetime.now(timezone.utc) - since < timedelta(days=_DAYS_APART):
        return marks_since(store, since.astimezone(timezone.utc).date())
    return store.keys(HISTORY) if cache is None else all_marks(store, cache)


def _is_wanted(row: Row, wanted: Wanted) -> bool:
    return (
        wanted.name in (None, row.name, row.name.partition("@")[0] or None)
        and wanted.status in (None, row.status)
        and (wanted.user is None or plain_user(wanted.user) == row.user)
        and (wanted.since is None or row.started >= wanted.since)
    )
