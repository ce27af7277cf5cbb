"""Puts what `doctor` found into a table or a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raybundle.formats.amounts import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.pipeline.findings import Finding

_STATES = ("failed", "warning", "ok")


def finding_lines(found: Sequence[Finding]) -> Iterator[str]:
    """Yields a line for each finding, with what is to be done below it, and the totals."""
    checks = max(len(one.check) for one in found)
    places = max(len(one.where) for one in found)
    for each in found:
        yield f"{each.state:<7}  {each.check:<{checks}}  {each.where:<{places}}  {each.found}"
        if each.remedy and each.state != "ok":
            yield f"{'':7}  {'':{checks}}  next: {each.remedy}"
    yield ", ".join(
        f"{counted(number, 'check')} {state}"
        for state in _STATES
        if (number := sum(one.state == state for one in found))
    )


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
