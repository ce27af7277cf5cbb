"""Writes and reads the record of a run and its events; each object is written once."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from raybundle.errors import ObjectMissingError, RecordedRunError, StoreAccessError
from raybundle.publish.keeping import lease
from raybundle.publish.layout import read_object, require_format, run_key
from raybundle.publish.refs import find_run
from raybundle.publish.runs.events import end_of, parse_event
from raybundle.publish.runs.marks import end_mark, event_key, log_key, start_mark
from raybundle.publish.runs.run import SCHEMA_VERSION, document_of, parse_run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.publish.runs.run import Run
    from raybundle.store.base import Store

LOST = "LOST"
"""The status of a run whose job the cluster no longer knows. Another end that is recorded precedes it."""

_ANOTHER_ID = "choose another --submission-id"


def record_start(store: Store, run: Run) -> Run:
    """Writes the record of a run that is about to be submitted, and returns the run that is recorded.

    An equal record of a run without an end belongs to an attempt that was cut short, and counts for this one
    if the cluster is still the same: one that was started anew does not know what ran before.

    Raises:
        RecordedRunError: an earlier run has this id.
    """
    key = run_key(run.id, run.started)
    if not store.put_new(key, encoded(document_of(run))):
        known = read_object(store, key, parse_run, _ANOTHER_ID)
        _require_same(store, known, run)
        run = replace(run, started=known.started)
        lease(store, run.bundle)  # a collector may have found this record before, and forget it
    store.put_new(start_mark(run), b"{}")
    return run


def forget_start(store: Store, run: Run) -> None:
    """Removes the record of a run that is not submitted: its bundle is gone. The store may not allow it."""
    with contextlib.suppress(StoreAccessError):
        for key in (start_mark(run), run_key(run.id, run.started)):
            store.remove(key)


def find_recorded(store: Store, run_id: str) -> Run | None:
    """Returns the latest run with this id; None if the store has none.

    Raises:
        StoreError: its record is damaged, or the store has another format.
    """
    require_format(store)
    key = find_run(store, run_id)
    return None if key is None else read_run(store, key)


def require_recorded(store: Store, run_id: str) -> Run:
    """Returns the latest run with this id.

    Raises:
        ObjectMissingError: the store has none.
        StoreError: its record is damaged.
    """
    found = find_recorded(store, run_id)
    if found is None:
        hint = "is this the right --store? `raybundle runs` lists its runs"
        raise ObjectMissingError(f"no run {run_id} in {store.url}", hint=hint)
    return found


def read_run(store: Store, key: str) -> Run:
    """Returns the run of a record.

    Raises:
        StoreError: the record is damaged.
    """
    return read_object(store, key, parse_run, "`raybundle runs` lists the other runs")


def record_event(store: Store, run: Run, event: str, facts: dict[str, Any]) -> bool:
    """Writes an event of a run, with the time; returns whether it is the first of its kind."""
    document = {"schema_version": SCHEMA_VERSION, "id": run.id, "at": _now(), **facts}
    return store.put_new(event_key(run, event), encoded(document)) is not None


def record_end(  # noqa: PLR0913 - all that is known of an end
    store: Store,
    run: Run,
    status: str,
    exit_code: int,
    driver_exit_code: int | None = None,
    *,
    error: str | None = None,
    ended: datetime | None = None,
) -> None:
    """Writes how a run ended: as an event, and as a mark by which it is listed."""
    moment = ended or datetime.now(timezone.utc)
    document: dict[str, Any] = {
        "status": status,
        "exit_code": exit_code,
        "ended": moment.isoformat(timespec="milliseconds"),
        **({} if driver_exit_code is None else {"driver_exit_code": driver_exit_code}),
        **({} if error is None else {"error": error}),
    }
    event = "lost" if status == LOST else "end"
    if not record_event(store, run, event, document):  # its writer may have died before the mark
        status, exit_code, moment = read_object(store, event_key(run, event), end_of, "remove the object")
    store.put_new(end_mark(run, status, exit_code, moment, datetime.now(timezone.utc)), b"{}")


def read_events(store: Store, run: Run) -> dict[str, dict[str, Any]]:
    """Returns the events of a run by name, in the order in which they were written.

    Raises:
        StoreError: one is damaged.
    """
    folder = event_key(run, "").removesuffix(".json")
    keys = {key.removeprefix(folder).removesuffix(".json"): key for key in store.keys(folder)}
    found = {
        name: read_object(store, key, partial(parse_event, name), "remove the object")
        for name, key in keys.items()
    }
    return dict(sorted(found.items(), key=lambda item: item[1]["at"]))


def find_log(store: Store, run_id: str) -> Iterator[bytes] | None:
    """Returns the log of a run in pieces; None if the store has no such run, or did not keep its log."""
    run = find_recorded(store, run_id)
    if run is None or store.size(log_key(run)) is None:
        return None
    return store.pieces(log_key(run))


def encoded(document: dict[str, Any]) -> bytes:
    """Returns a record as JSON; it may hold floats, which canonical JSON does not."""
    text = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")  # bytes that are no UTF-8, as JSON escapes them


def _require_same(store: Store, known: Run, run: Run) -> None:
    same = (known.bundle, known.recorded_arguments) == (run.bundle, run.recorded_arguments)
    ended = any(store.size(event_key(known, event)) is not None for event in ("end", "lost"))
    if same and not ended and known.session is not None and known.session != run.session:
        raise RecordedRunError(
            f"a run with the id {run.id} is recorded in {store.url}, and may have run before the cluster "
            "was started anew",
            hint=_ANOTHER_ID,
        )
    if ended or not same:
        raise RecordedRunError(f"a run with the id {run.id} is recorded in {store.url}", hint=_ANOTHER_ID)


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
