"""What the history costs in an S3 store on loopback: a list of 10,000 runs, and the record of one more."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from raybundle.model import Digest
from raybundle.publish.layout import prepare
from raybundle.publish.runs.listing import Wanted, list_runs
from raybundle.publish.runs.marks import end_mark, start_mark
from raybundle.publish.runs.records import record_event, record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import open_store
from tests.support.s3_server import s3_server

if TYPE_CHECKING:
    from raybundle.store.base import Store

RUNS, DAYS, WRITERS = 10_000, 90, 16
BUNDLE = Digest("sha256:" + "ab" * 32)


def measure(rounds: int) -> dict[str, Any]:
    """Returns the seconds of lists and records, for each round."""
    with s3_server() as server:
        store = open_store(server.prefix(), server.environ)
        prepare(store)
        _fill(store)
        spent: dict[str, list[float]] = {"first": [], "again": [], "a day": [], "record": []}
        for number in range(rounds):
            fresh = open_store(store.url, server.environ)
            begin = time.perf_counter()
            assert len(list_runs(fresh, Wanted())) >= RUNS
            spent["first"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            list_runs(fresh, Wanted())
            spent["again"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            list_runs(fresh, Wanted(since=datetime.now(timezone.utc) - timedelta(days=1)))
            spent["a day"].append(time.perf_counter() - begin)
            begin = time.perf_counter()
            run = record_start(fresh, new_run(BUNDLE, ["--round", str(number)], {}, "http://127.0.0.1:8265"))
            record_event(fresh, run, "accepted", {})
            spent["record"].append(time.perf_counter() - begin)
    return spent


def _fill(store: Store) -> None:
    now = datetime.now(timezone.utc).replace(microsecond=0)

    def put(number: int) -> None:
        began = now - timedelta(days=DAYS) * (number / RUNS)
        run = new_run(BUNDLE, [], {}, "http://127.0.0.1:8265", f"rb-{began:%Y%m%d-%H%M%S}-{number:08x}")
        run = replace(run, started=began, facts={"user": "ann", "name": "fraud@3"})
        store.put_new(start_mark(run), b"{}")
        store.put_new(end_mark(run, "SUCCEEDED", 0, began + timedelta(minutes=5)), b"{}")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(RUNS)))
