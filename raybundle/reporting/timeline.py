"""Where the time of a run went: stages from its record and its events."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from raybundle.reporting.facts import Stage, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SUCCEEDED = "SUCCEEDED"
_OPEN = "OPEN"


def timeline_of(run_id: str, started: datetime, events: Mapping[str, Mapping[str, Any]]) -> Timeline:
    """Returns the stages of a run, as far as its events tell.

    Args:
        run_id: the submission id.
        started: when the record was written, before the request was sent.
        events: by name, as `read_events` returns them.
    """
    end = events.get("end") or events.get("lost") or {}
    status = str(end.get("status", _OPEN))
    return Timeline(
        f"Run {run_id}", tuple(_stages(started, events)), status, status not in (_SUCCEEDED, _OPEN)
    )


def _stages(started: datetime, events: Mapping[str, Mapping[str, Any]]) -> Iterator[Stage]:
    """Yields the stages whose beginning and end are known; each begins where the one before ended.

    Clocks of client, head and node differ: no stage ends before it begins.
    """
    running = events.get("running", {})
    node = running.get("driver_node", "")
    moments = (
        ("submit", events.get("accepted", {}).get("at"), "from the record to the answer of the cluster"),
        ("queue", running.get("started") or running.get("at"), "waiting, environment, start of the driver"),
        ("run", events.get("end", {}).get("ended"), f"driver on {node}" if node else ""),
    )
    begin, skipped = 0.0, list[str]()
    for name, text, note in moments:
        if text is None:
            skipped.append(name)
            continue
        end = max(begin, (datetime.fromisoformat(str(text)) - started).total_seconds())
        yield Stage(" + ".join([*skipped, name]), begin, end - begin, note)
        begin, skipped = end, []
