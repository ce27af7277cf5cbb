"""`runs --refresh` believes nothing of a record: neither that it is whole, nor where it leads."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from raybundle.model import Digest
from raybundle.publish.layout import run_key
from raybundle.publish.putting import prepare
from raybundle.publish.runs.marks import start_mark
from raybundle.publish.runs.records import record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import open_store
from tests.support.fake_dashboard import FakeDashboard
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.publish.runs.run import Run

CANARY = "kanarie4711zz"
HEADERS = f'{{"X-Key": "{CANARY}"}}'


def run_of(address: str, run_id: str) -> Run:
    return new_run(Digest("sha256:" + "a" * 64), [], {}, address, run_id)


@pytest.mark.slow
@pytest.mark.parametrize("configured", [False, True])
@pytest.mark.parametrize("by", ["token", "file", "headers", "option"])
def test_credentials_go_to_the_configured_cluster_only(tmp_path: Path, by: str, configured: bool) -> None:
    store = open_store(str(tmp_path / "store"), {})
    prepare(store)
    (tmp_path / "token").write_text(CANARY)
    environ = {
        "token": {"RAY_AUTH_TOKEN": CANARY},
        "file": {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "token")},
        "headers": {"RAY_JOB_HEADERS": HEADERS},
    }.get(by, {})
    work = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"), **environ)
    with FakeDashboard() as dashboard:
        record_start(store, run_of(dashboard.address, "nightly"))
        address = dashboard.address if configured else "http://127.0.0.1:9"
        option = ("--headers", HEADERS) if by == "option" else ()

        done = work.raybundle("runs", "--refresh", "--address", address, *option)

    assert done.returncode == 0, done.stderr
    assert dashboard.requests
    assert (CANARY in str(dashboard.requests)) is configured


def test_a_damaged_record_and_a_wrong_address_hold_up_no_other_run(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"), {})
    prepare(store)
    work = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"))
    with FakeDashboard() as dashboard:
        damaged = run_of(dashboard.address, "damaged")
        store.put_new(run_key(damaged.id, damaged.started), b"")
        store.put_new(start_mark(damaged), b"{}")
        record_start(store, run_of("ray://somewhere:10001", "elsewhere"))
        whole = record_start(store, run_of(dashboard.address, "whole"))
        now = time.time_ns() // 1_000_000
        dashboard.jobs["whole"] = {
            "submission_id": "whole",
            "status": "SUCCEEDED",
            "entrypoint": "x",
            "metadata": {"raybundle": whole.bundle},
            "start_time": now,
            "end_time": now,
        }

        done = work.raybundle("runs", "--refresh")

    assert done.returncode == 0, done.stderr
    assert "run damaged stays open: runs/" in done.stderr
    assert "the runs of ray://somewhere:10001 stay open: " in done.stderr
    rows = json.loads(work.raybundle("--json", "runs").stdout)["runs"]
    assert {row["id"]: row["status"] for row in rows} == {
        "damaged": "OPEN",
        "elsewhere": "OPEN",
        "whole": "SUCCEEDED",
    }
