"""Lists the runs of a store from their marks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from raybundle.publish.layout import require_format
from raybundle.publish.refs import look_up
from raybundle.publish.runs.marks import BUNDLE_DIGITS, HISTORY, parse_marks, plain_user

if TYPE_CHECKING:
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


def list_runs(store: Store, wanted: Wanted) -> list[Row]:
    """Returns the wanted runs of a store, the oldest first.

    Raises:
        UsageError: the bundle is no REF.
        StoreError: the store has no such bundle, or cannot be used.
    """
    require_format(store)
    digits = None
    if wanted.bundle is not None:
        digits = look_up(store, wanted.bundle)[: len("sha256:") + BUNDLE_DIGITS]
    rows = parse_marks(_marks(store, wanted.since))
    return [row for row in rows if _is_wanted(row, wanted) and digits in (None, row.bundle)]


def _marks(store: Store, since: datetime | None) -> list[str]:
    """Returns the keys of marks; of a few days, only those days are listed."""
    today = datetime.now(timezone.utc) + timedelta(days=1)  # clocks of other machines may be ahead
    if since is None or today - since > timedelta(days=_DAYS_APART):
        return store.keys(HISTORY)
    days = range((today.date() - since.astimezone(timezone.utc).date()).days + 1)
    return [key for day in days for key in store.keys(f"{HISTORY}{today - timedelta(days=day):%Y/%m/%d}/")]


def _is_wanted(row: Row, wanted: Wanted) -> bool:
    return (
        wanted.name in (None, row.name, row.name.partition("@")[0] or None)
        and wanted.status in (None, row.status)
        and (wanted.user is None or plain_user(wanted.user) == row.user)
        and (wanted.since is None or row.started >= wanted.since)
    )
