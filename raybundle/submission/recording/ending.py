"""Completes the record of a run from what the cluster says: by its own client, or by any other later."""

from __future__ import annotations

import contextlib
import threading
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from raybundle.cluster.outcome import exit_code, job_error
from raybundle.errors import ClusterError, JobLostError, StoreAccessError, StoreError, UsageError
from raybundle.formats.credentials import masked
from raybundle.publish.runs.records import LOST, find_recorded, record_end, record_event
from raybundle.submission.recording.observed import observe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.publish.runs.marks import Row
    from raybundle.publish.runs.run import Run
    from raybundle.store.base import Store

YOUNG = timedelta(minutes=10)
"""A younger run that the cluster does not know may be about to be submitted."""


def end_run(store: Store, run: Run, info: JobInfo, code: int | None = None) -> None:
    """Records how a run ended. The error is told without the log, which is the user's.

    Args:
        store: that has the run.
        run: that ended.
        info: what the cluster says of its job.
        code: the exit code of the client that waited; by default, the one that the status means.
    """
    error = job_error(info)
    record_end(
        store,
        run,
        info.status,
        exit_code(info, error) if code is None else code,
        info.driver_exit_code,
        error=None if error is None else masked(str(error)),
        ended=_moment(info.end_time),
    )


def end_attached(store: Store, client: JobsClient, info: JobInfo) -> str | None:
    """Records how a job ended, if the store has the record of its run; returns why it could not."""
    try:
        run = find_recorded(store, info.submission_id)
        if run is not None and info.ended and info.metadata.get("raybundle") == run.bundle:
            _record_all(store, run, client, info)
    except StoreError as failure:
        return f"the end of the run is not recorded: {failure}"
    return None


def note_running(store: Store, run: Run, info: JobInfo) -> None:
    """Records that and where the driver of a run runs, if it does; a failure costs only that."""
    if info.node is None:
        return
    facts = {"driver_node": info.node, "driver_node_id": info.node_id}
    with contextlib.suppress(StoreError):
        record_event(store, run, "running", {name: fact for name, fact in facts.items() if fact})


def noting(store: Store, run: Run) -> Callable[[JobInfo], None]:
    """Returns what records that a run is running, without holding up who follows it."""

    def note(info: JobInfo) -> None:
        threading.Thread(target=note_running, args=(store, run, info), name="running").start()

    return note


def refresh(
    store: Store, rows: Iterable[Row], connect: Callable[[str], JobsClient], notify: Callable[[str], None]
) -> int:
    """Completes runs that have ended, and returns how many.

    Args:
        store: that has them.
        rows: runs; those with an end are passed over.
        connect: returns a client for an address.
        notify: takes a line for each cluster that cannot be asked.
    """
    clients: dict[str, JobsClient | None] = {}
    completed = 0
    for row in rows:
        try:
            run = None if row.ended else find_recorded(store, row.id)
        except StoreAccessError:
            raise
        except StoreError as error:
            notify(f"warning: run {row.id} stays open: {error}")
            continue
        if run is None:
            continue
        try:
            if run.address not in clients:
                clients[run.address] = connect(run.address)
            client = clients[run.address]
            completed += client is not None and _complete(store, run, client)
        except (ClusterError, UsageError) as error:
            notify(f"warning: the runs of {run.address} stay open: {error}")
            if (client := clients.get(run.address)) is not None:
                client.close()
            clients[run.address] = None
    for client in filter(None, clients.values()):
        client.close()
    return completed


def _complete(store: Store, run: Run, client: JobsClient) -> bool:
    """Records the end of a run, if its cluster knows of one; returns whether it did."""
    try:
        info = client.info(run.id)
    except JobLostError as error:
        if datetime.now(timezone.utc) - run.started < YOUNG:
            return False
        record_end(store, run, LOST, error.exit_code, error=str(error))
        return True
    if not info.ended or info.metadata.get("raybundle") != run.bundle:  # another cluster may have this id
        return False
    _record_all(store, run, client, info)
    return True


def _record_all(store: Store, run: Run, client: JobsClient, info: JobInfo) -> None:
    note_running(store, run, info)
    end_run(store, run, info)
    observe(client, store, run, info)


def _moment(milliseconds: int | None) -> datetime | None:
    return None if not milliseconds else datetime.fromtimestamp(milliseconds / 1000, timezone.utc)
