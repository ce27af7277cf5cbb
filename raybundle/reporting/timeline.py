"""Where the time of a run went: stages from its record and its events."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from raybundle.reporting.facts import Stage, Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_NODES = 12
"""Nodes whose boots are shown: those with the longest."""
_SUCCEEDED = "SUCCEEDED"
_OPEN = "OPEN"
_NOTES = {  # in their order: a record sorts them by name
    "resolve": "finding what the target imports",
    "build": "collecting files, naming the bundle",
    "upload": "to the store",
    "submit": "to the cluster's answer",
}


def timeline_of(run_id: str, started: datetime, events: Mapping[str, Mapping[str, Any]]) -> Timeline:
    """Returns the stages of a run, as far as its events tell.

    Args:
        run_id: the submission id.
        started: when the record was written, before the request was sent.
        events: by name, as `read_events` returns them.
    """
    end = events.get("end") or events.get("lost") or {}
    status = str(end.get("status", _OPEN))
    client = dict(events.get("accepted", {}).get("timings", {}))
    if client:  # the record's own time has whole seconds only
        started = _time(events["accepted"]["at"]) - timedelta(seconds=sum(client.values()))
    stages = [*_of_client(client), *_of_job(started, events, counted=bool(client))]
    last = stages[-1].end if stages else 0.0
    stages += _of_nodes(started, events, last)
    return Timeline(
        f"Run {run_id}",
        tuple(sorted(stages, key=lambda each: (each.start, each.inner))),
        status,
        status not in (_SUCCEEDED, _OPEN),
    )


def _of_client(timings: Mapping[str, float]) -> Iterator[Stage]:
    begin = 0.0
    for name in (*_NOTES, *sorted(set(timings) - set(_NOTES))):
        if name in timings:
            yield Stage(name, begin, timings[name], _NOTES.get(name, ""))
            begin += timings[name]


def _of_job(started: datetime, events: Mapping[str, Mapping[str, Any]], *, counted: bool) -> Iterator[Stage]:
    """Yields the stages whose beginning and end are known; each begins where the one before ended.

    Clocks of client, head and node differ: no stage ends before it begins.
    """
    node = events.get("running", {}).get("driver_node", "")
    moments = (
        ("submit", events.get("accepted", {}).get("at"), "from the record to the answer of the cluster"),
        ("queue", _runs_since(events), "waiting, environment, start of the driver"),
        ("run", events.get("end", {}).get("ended"), f"driver on {node}" if node else ""),
    )
    begin, skipped = 0.0, list[str]()
    for name, text, note in moments:
        if text is None:
            skipped.append(name)
            continue
        end = max(begin, (_time(text) - started).total_seconds())
        if not (counted and name == "submit"):
            yield Stage(" + ".join([*skipped, name]), begin, end - begin, note)
        begin, skipped = end, []


def _of_nodes(started: datetime, events: Mapping[str, Mapping[str, Any]], last: float) -> Iterator[Stage]:
    """Yields the boot of the first process on each node, and the way to the first task.

    Args:
        started: the beginning of the run.
        events: by name.
        last: the end of the run, in seconds from its beginning; a clock that is ahead shows nothing later.
    """
    nodes = [each for each in events.get("observed", {}).get("nodes", ()) if "booted" in each]
    slowest = sorted(nodes, key=lambda each: -each["boot_seconds"])[:MOST_NODES]
    hosts = [each["node"].partition(".")[0] for each in slowest]
    for each in slowest:
        end = min(max(0.0, (_time(each["booted"]) - started).total_seconds()), last)
        begin = max(0.0, end - each["boot_seconds"])
        short = each["node"].partition(".")[0]
        host = short if hosts.count(short) == 1 else f"{short} {each['node_id'][:6]}"
        roles = " and ".join(role for role in each["processes"] if role != "child")
        note = f"first process there ({roles}): fetches what is missing, verifies, sets the path"
        yield Stage(f"{host}: environment", begin, end - begin, note, inner=True)
    tasks = [(_time(each["first_task"]), each["node"]) for each in nodes if "first_task" in each]
    if tasks and (since := _runs_since(events)) is not None:
        at, host = min(tasks)
        begin = min(max(0.0, (_time(since) - started).total_seconds()), last)
        end = min(max(begin, (at - started).total_seconds()), last)
        note = f"from the start of the driver until a worker on {host} takes a task"
        yield Stage("first task", begin, end - begin, note, inner=True)


def _runs_since(events: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Returns when a job was first seen to run; None if nobody looked before it ended.

    Ray's own `start_time` is that of the request; ray/dashboard/modules/job/job_manager.py.
    """
    seen: str | None = events.get("running", {}).get("at")
    ended = events.get("end", {}).get("ended")
    return None if seen and ended and _time(seen) > _time(ended) else seen


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
