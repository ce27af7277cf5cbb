"""The table of docs/performance.md is what the benchmarks have recorded."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "scripts/benchmarks"


@pytest.fixture(scope="module")
def table() -> Any:
    spec = importlib.util.spec_from_file_location("table", BENCHMARKS / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_has_the_table_of_the_record(table: Any) -> None:
    page = table.PAGE.read_text(encoding="utf-8")

    assert table._TABLE.findall(page) == [table.lines(table.load())], "run scripts/bench --table"
    assert table._STAGES.findall(page) == [table.stage_lines(table.load_stages())], (
        "run scripts/bench --table"
    )


def test_a_result_changes_its_rows_and_whether_their_goals_are_met(table: Any) -> None:
    row = {
        "figure": "a job",
        "goal": "0.5 s",
        "limit": ["job.s", 0.5],
        "measured": "{job.s:.1f} s",
        "numbers": {"job.s": 0.4},
        "taken": "before",
    }
    rows = [row, {"figure": "by hand", "measured": "7", "missed": True, "goal": "6"}]
    before = table.lines(rows)
    load = {"load": [1.5]}
    changed = table.record(rows, {"before": load, "after": load, "results": {"job": {"s": 0.66, "n": 3}}})
    after = table.lines(rows)

    assert changed == 1
    assert "| a job | 0.5 s | 0.4 s | | before |" in before
    assert "| a job | **0.5 s** | 0.7 s | | 1.5, " in after
    assert "| by hand | **6** | 7 | | |" in after


def test_each_figure_that_a_row_shows_has_its_number(table: Any) -> None:
    for row in table.load():
        shown = {
            name
            for text in (row.get("measured", ""), row.get("anchor", ""))
            for name, _ in table._FIGURE.findall(text)
        }
        named = {row["limit"][0]} if "limit" in row else set()

        assert shown | named == set(row.get("numbers", {})), row["figure"]
