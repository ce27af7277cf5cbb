"""What the history costs in an S3 store on loopback: a list of 10,000 runs, and the record of one more."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Cache
from raybundle.model import Digest
from raybundle.publish.putting import prepare
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
    with s3_server() as server, tempfile.TemporaryDirectory() as folder:
        kept = Path(folder)
        store = open_store(server.prefix(), server.environ)
        prepare(store)
        _fill(store)
        spent: dict[str, list[float]] = defaultdict(list)
        yesterday = datetime.now(timezone.utc) - timedelta(days=1)
        for number in range(rounds):
            fresh, cache = open_store(store.url, server.environ), Cache(kept / str(number))
            for which, wanted in (
                ("first", Wanted()),
                ("again", Wanted()),
                ("a day", Wanted(since=yesterday)),
            ):
                begin, worked = time.perf_counter(), time.process_time()
                rows = list_runs(fresh, wanted, cache)
                spent[which].append(time.perf_counter() - begin)
                spent[f"{which}, CPU"].append(time.process_time() - worked)
                assert len(rows) >= RUNS or wanted.since
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
        ended = began + timedelta(minutes=5)
        store.put_new(end_mark(run, "SUCCEEDED", 0, ended, ended), b"{}")

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(put, range(RUNS)))
