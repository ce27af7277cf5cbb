"""The stages of a run, from what its record and events tell."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from raybundle.reporting.timeline import timeline_of

START = datetime(2026, 11, 27, 2, 0, tzinfo=timezone.utc)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


ACCEPTED = {"accepted": {"at": at(0.5)}}
RUNNING = {"running": {"at": at(3.5), "driver_node": "10.0.0.7"}}
END = {"end": {"at": at(20), "ended": at(13.5), "status": "FAILED"}}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ({}, []),
        (ACCEPTED, [("submit", 0, 0.5)]),
        (ACCEPTED | RUNNING, [("submit", 0, 0.5), ("queue", 0.5, 3)]),
        (ACCEPTED | RUNNING | END, [("submit", 0, 0.5), ("queue", 0.5, 3), ("run", 3.5, 10)]),
        (ACCEPTED | END, [("submit", 0, 0.5), ("queue + run", 0.5, 13)]),
        (END, [("submit + queue + run", 0, 13.5)]),
        (ACCEPTED | {"running": {"at": at(13.6)}} | END, [("submit", 0, 0.5), ("queue + run", 0.5, 13)]),
    ],
)
def test_a_run_has_the_stages_whose_ends_are_known(events: dict[str, Any], expected: list[Any]) -> None:
    found = timeline_of("rb-1", START, events)

    assert [(each.name, each.start, each.seconds) for each in found.stages] == expected
    assert found.outcome == ("FAILED" if "end" in events else "OPEN")


NODES = {
    "observed": {
        "nodes": [
            {
                "node": "n0",
                "node_id": "a1",
                "processes": {"driver": 1},
                "booted": at(3.25),
                "boot_seconds": 0.75,
            },
            {
                "node": "n1",
                "node_id": "b2",
                "processes": {"worker": 2},
                "booted": at(6),
                "boot_seconds": 1.5,
                "first_task": at(7),
            },
        ]
    }
}


def test_a_run_begins_with_what_its_client_did_and_shows_the_environment_of_each_node() -> None:
    timings = {"build": 0.25, "resolve": 0.5, "submit": 0.75, "upload": 1.0}  # a record sorts its keys
    events = {"accepted": {"at": at(0.5), "timings": timings}} | RUNNING | NODES | END
    found = timeline_of("rb-1", START, events)

    assert [(each.name, each.start, each.seconds) for each in found.stages if not each.inner] == [
        ("resolve", 0, 0.5),
        ("build", 0.5, 0.25),
        ("upload", 0.75, 1.0),
        ("submit", 1.75, 0.75),
        ("queue", 2.5, 3.0),
        ("run", 5.5, 10.0),
    ]
    assert [(each.name, each.start, each.seconds) for each in found.stages if each.inner] == [
        ("n0: environment", 4.5, 0.75),
        ("first task", 5.5, 3.5),
        ("n1: environment", 6.5, 1.5),
    ]


def test_a_node_whose_clock_is_ahead_shows_nothing_after_the_end() -> None:
    late = {"nodes": [NODES["observed"]["nodes"][1] | {"booted": at(900), "first_task": at(900)}]}
    found = timeline_of("rb-1", START, ACCEPTED | RUNNING | END | {"observed": late})

    assert max(each.end for each in found.stages) == 13.5


def test_a_clock_that_is_behind_makes_no_negative_stage() -> None:
    found = timeline_of("rb-1", START, ACCEPTED | {"running": {"at": at(-2)}} | END)

    assert [each.seconds for each in found.stages] == [0.5, 0, 13]


def test_a_run_that_was_lost_says_so() -> None:
    found = timeline_of("rb-1", START, ACCEPTED | {"lost": {"status": "LOST"}})

    assert (found.outcome, found.failed) == ("LOST", True)
