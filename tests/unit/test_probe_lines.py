"""The lines by which a probe and the client understand each other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from raybundle.node import raybundle_probe
from raybundle.submission.survey import PATIENCE, Patience, _rows

if TYPE_CHECKING:
    import pytest


def node(name: str) -> dict[str, Any]:
    return {"NodeManagerAddress": f"10.0.0.{name}", "NodeManagerHostname": f"n{name}"}


def test_what_many_nodes_say_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = {"path": [{"path": "/x" * 500, "origin": "stdlib"}], "shaping": []}

    for name in ("1", "2", "3"):
        raybundle_probe.say(node(name), {"process": "task", **view})
    raybundle_probe.say(node("4"), {"process": "task", "path": []})
    raybundle_probe.say(node("5"), {"process": "task", "fault": "its raylet has ended"})
    said = capsys.readouterr().out

    rows = _rows(f"Ray says\n{said}RAYBUNDLE-NODE {{half a li")
    assert [row["host"] for row in rows] == ["n1", "n2", "n3", "n4", "n5"]
    assert all({key: row[key] for key in view} == view for row in rows[:3])
    assert rows[3]["path"] == []
    assert rows[4]["fault"] == "its raylet has ended"
    assert said.count("/x" * 500) == 1
    assert json.loads(said.splitlines()[1].partition(" ")[2])["host"] == "n2"


def test_a_survey_that_begins_late_has_its_whole_time_once_it_runs() -> None:
    late, silent, stuck = (Patience(0.0) for _ in range(3))

    assert not late.over(PATIENCE - 1, running=False)
    assert not late.over(PATIENCE - 1, running=True)
    assert not late.over(2 * PATIENCE - 2, running=True)
    assert late.over(2 * PATIENCE, running=True)
    assert not silent.over(1.0, running=True)
    assert silent.over(PATIENCE + 2, running=True)
    assert stuck.over(PATIENCE + 1, running=False)
