"""The text of `show RUN`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from raybundle.cli.output.history import record_lines
from raybundle.formats.canonical import digest_of
from raybundle.pipeline.past.runs import RunRecord
from raybundle.publish.runs.run import new_run

AT = datetime(2026, 11, 26, 12, 0, tzinfo=timezone.utc)
RUN = replace(new_run(digest_of(b""), (), {}, "http://127.0.0.1:1", "run-1"), started=AT)
SHOWN = AT.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def test_facts_without_a_value_are_left_out_and_others_are_words() -> None:
    git = {"changed": [], "commit": "abc", "dirty": False}
    running = {"at": AT.isoformat(), "driver_node": "http://10.0.0.7:1", "driver_node_id": "cfa3"}
    run = replace(RUN, facts={"git": git, "user": "me", "host": "laptop"})

    lines = list(record_lines(RunRecord(run, {"running": running})))

    assert lines[2:] == [
        f"bundle    {run.bundle}",
        "arguments -",
        "cwd       .",
        "address   http://127.0.0.1:1",
        "user      me on laptop",
        "git       commit abc, dirty no",
        f"started   {SHOWN}",
        f"running   {SHOWN} driver_node http://10.0.0.7:1",
    ]
