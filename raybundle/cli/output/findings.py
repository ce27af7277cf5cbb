"""Puts what `doctor` found into a table or a document."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from raybundle.formats.amounts import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.pipeline.findings import Finding

_STATES = ("failed", "warning", "ok")
_INDENT = 9
"""Columns before what is found, if the terminal has too few to put it beside its place."""
_NARROW = 30
"""Columns for it that are too few."""


def finding_lines(found: Sequence[Finding], columns: int | None = None) -> Iterator[str]:
    """Yields a line for each finding, with what is to be done below it, and the totals.

    Args:
        found: what is shown.
        columns: of the terminal: a finding that is longer continues below itself. Neither a remedy nor a
            word (a path, a URL) is broken, so that they can be copied. None if there is no terminal.
    """
    checks = max(len(one.check) for one in found)
    places = max(len(one.where) for one in found)
    for each in found:
        yield from _beside(f"{each.state:<7}  {each.check:<{checks}}  {each.where:<{places}}", each, columns)
        if each.remedy and each.state != "ok":
            yield f"{'':7}  {'':{checks}}  next: {each.remedy}"
    yield ", ".join(
        f"{counted(number, 'check')} {state}"
        for state in _STATES
        if (number := sum(one.state == state for one in found))
    )


def _beside(label: str, finding: Finding, columns: int | None) -> Iterator[str]:
    """Yields what is found beside its label, or below it on a narrow terminal."""
    if columns is None or len(label) + 2 + len(finding.found) <= columns:
        yield f"{label}  {finding.found}"
        return
    beside = columns - len(label) - 2 >= max(_NARROW, *map(len, finding.found.split()))
    indent = len(label) + 2 if beside else _INDENT
    width = max(columns - indent, 1)
    lines = textwrap.wrap(finding.found, width, break_on_hyphens=False, break_long_words=False)
    first, *rest = lines or [""]
    if beside:
        yield f"{label}  {first}"
    else:
        yield label.rstrip()
        rest = [first, *rest]
    yield from (f"{'':{indent}}{line}" for line in rest)


def findings_document(found: Sequence[Finding]) -> dict[str, Any]:
    """Returns the document of `doctor --json`."""
    return {
        "ok": not any(one.state == "failed" for one in found),
        "checks": [
            {
                "check": one.check,
                "where": one.where,
                "state": one.state,
                "found": one.found,
                "remedy": one.remedy,
            }
            for one in found
        ],
    }
