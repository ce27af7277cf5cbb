"""The story of `runs`: the history of a store, completed from the clusters if asked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.publish.bundles import open_configured
from raybundle.publish.layout import require_format
from raybundle.publish.refs import find_ref
from raybundle.publish.runs.listing import Wanted, list_runs
from raybundle.publish.runs.records import read_events, read_run
from raybundle.submission.recording.ending import refresh

if TYPE_CHECKING:
    from raybundle.planning import Listener
    from raybundle.publish.runs.marks import Row
    from raybundle.publish.runs.run import Run
    from raybundle.store.base import Store
    from raybundle.submission.connecting import Connecting


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run of the store: what was submitted, and what happened then."""

    run: Run
    events: dict[str, dict[str, Any]]
    """By name: `accepted`, `running`, `end`, `lost`; each has the time in `at`."""

    @property
    def status(self) -> str:
        """How it ended; `OPEN` if no end is recorded."""
        return str(self.end.get("status", "OPEN"))

    @property
    def end(self) -> dict[str, Any]:
        """The recorded end; empty if there is none."""
        return self.events.get("end", self.events.get("lost", {}))


def since(seconds: float | None) -> datetime | None:
    """Returns the time that many seconds ago."""
    return None if seconds is None else datetime.now(timezone.utc) - timedelta(seconds=seconds)


def history(
    connecting: Connecting, wanted: Wanted, listener: Listener, *, refreshed: bool
) -> tuple[Store, list[Row]]:
    """Returns the store and the wanted runs, the oldest first.

    Args:
        connecting: the store's settings, and how clusters are reached.
        wanted: which runs.
        listener: hears of clusters that cannot be asked.
        refreshed: ask the clusters first how runs without an end have ended.

    Raises:
        StoreError: the store cannot be used.
    """
    store = open_configured(connecting.settings, connecting.environ)
    if refreshed:
        rows = list_runs(store, wanted)
        if refresh(store, rows, connecting.at, listener.note):
            return store, list_runs(store, wanted)
        return store, rows
    return store, list_runs(store, wanted, Cache(cache_directory(connecting.environ)))


def find_record(store: Store, ref: str) -> RunRecord | None:
    """Returns the run that a REF is the id of; None if it names a bundle otherwise.

    Raises:
        StoreError: the store has nothing of that name or another format, or the record is damaged.
    """
    require_format(store)
    found = find_ref(store, ref)
    if found.run is None:
        return None
    run = read_run(store, found.run)
    return RunRecord(run, read_events(store, run))
