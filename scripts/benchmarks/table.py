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
_FIGURE = re.compile(r"\{([\w.]+)(:[^}]*)?\}")
_TABLE = re.compile(re.escape(HEAD) + r"(?:\|.*\n)*")


def load() -> list[dict[str, Any]]:
    """Returns the rows in their order."""
    rows: list[dict[str, Any]] = json.loads(RECORD.read_text(encoding="utf-8"))["rows"]
    return rows


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


def record(rows: list[dict[str, Any]], document: Mapping[str, Any]) -> int:
    """Puts the figures of a result into the rows that show them, and returns how many rows these are."""
    measured = {
        f"{group}.{name}": value
        for group, figures in document["results"].items()
        for name, value in figures.items()
        if isinstance(value, int | float)
    }
    loads = sorted({document[side]["load"][0] for side in ("before", "after")})
    taken = f"{' to '.join(map(str, loads))}, {time.strftime('%m-%d')}"
    changed = [row for row in rows if row.get("numbers") and row["numbers"].keys() <= measured.keys()]
    for row in changed:
        row["numbers"] = {name: measured[name] for name in row["numbers"]}
        row["taken"] = taken
    return len(changed)


def write(rows: list[dict[str, Any]]) -> None:
    """Writes the rows to the record, and the table to the page."""
    document = {"schema_version": 1, "rows": rows}
    RECORD.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: lines(rows), page, count=1), encoding="utf-8")
