"""Keeps what benchmarks found in docs/performance.json, and writes the table of docs/performance.md from it.

A row has `figure`, `goal`, `measured`, `anchor`, `taken` (load and date) as texts. `{group.name:format}` in
a text stands for a figure of a benchmark, whose number is in `numbers`. `limit` names a figure and its upper
bound; a row without such a figure says itself whether its goal is `missed`.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

DOCS = Path(__file__).resolve().parents[2] / "docs"
RECORD, PAGE = DOCS / "performance.json", DOCS / "performance.md"
HEAD = "| figure | goal | raybundle | anchor | load, date |\n| --- | --- | --- | --- | --- |\n"
STAGES = "| stage of a submission | ms | CPU, ms | of that imports |\n| --- | --- | --- | --- |\n"
_FIGURE = re.compile(r"\{([\w.]+)(:[^}]*)?\}")
_TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")
_STAGES = re.compile(re.escape(STAGES) + r"(?:\|.*\n)*\n.*\n")


def load() -> list[dict[str, Any]]:
    """Returns the rows in their order."""
    rows: list[dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    return rows


def load_stages() -> dict[str, Any]:
    """Returns the stages of a submission, and when they were measured."""
    stages: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))["stages"]
    return stages


def stage_lines(stages: Mapping[str, Any]) -> str:
    """Returns the table of the stages, their sum, and a line that says how they were measured."""
    rows = stages["rows"]
    total = ["**all**", *(sum(row[column] for row in rows) for column in (1, 2, 3))]
    cells = "".join(f"| {' | '.join(map(str, row))} |\n" for row in [*rows, total])
    return f"{STAGES}{cells}\nMedians of {stages['runs']} runs, load {stages['taken']}.\n"


def lines(rows: list[dict[str, Any]]) -> str:
    """Returns the table; a goal that is not met is bold."""
    return HEAD + "".join(map(_line, rows))


def _line(row: Mapping[str, Any]) -> str:
    numbers = row.get("numbers", {})
    if "limit" in row:
        name, most = row["limit"]
        missed = numbers[name] > most
    else:
        missed = row.get("missed", False)
    goal = f"**{row['goal']}**" if missed else row.get("goal", "")
    texts = (row.get(name, "") for name in ("measured", "anchor"))
    cells = [row["figure"], goal, *(_filled(text, numbers) for text in texts), row.get("taken", "")]
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|\n"


def _filled(text: str, numbers: Mapping[str, float]) -> str:
    return _FIGURE.sub(lambda found: format(numbers[found[1]], (found[2] or ":")[1:]), text)


def taken(document: Mapping[str, Any]) -> str:
    """Returns the load during a result, and its day."""
    loads = sorted({document[side]["load"][0] for side in ("before", "after")})
    return f"{' to '.join(map(str, loads))}, {time.strftime('%m-%d')}"


def record(rows: list[dict[str, Any]], document: Mapping[str, Any]) -> int:
    """Puts the figures of a result into the rows that show them, and returns how many rows these are."""
    measured = {
        f"{group}.{name}": value
        for group, figures in document["results"].items()
        for name, value in figures.items()
        if isinstance(value, int | float)
    }
    changed = [row for row in rows if row.get("numbers") and row["numbers"].keys() <= measured.keys()]
    for row in changed:
        row["numbers"] = {name: measured[name] for name in row["numbers"]}
        row["taken"] = taken(document)
    return len(changed)


def write(rows: list[dict[str, Any]], stages: Mapping[str, Any] | None = None) -> None:
    """Writes the rows and the stages to the record, and their tables to the page."""
    stages = load_stages() if stages is None else stages
    document = {"schema_version": 1, "rows": rows, "stages": stages}
    RECORD.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    page = _TABLE.sub(lambda _: lines(rows), page, count=1)
    PAGE.write_text(_STAGES.sub(lambda _: stage_lines(stages), page, count=1), encoding="utf-8")
