"""Puts runs of a store into tables and documents."""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raybundle.cli.output.table import rows_of
from raybundle.formats.amounts import counted, duration_text
from raybundle.submission.recording.observed import EVENT as OBSERVED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.pipeline.past.runs import RunRecord
    from raybundle.publish.runs.marks import Row

_HEADER = ("ID", "STATUS", "STARTED", "TOOK", "USER", "BUNDLE", "NAME")
_SHOWN = len("sha256:") + 12
"""Characters of a digest in a table: more than a REF needs."""
_ROLES = {"driver": ("driver",), "worker": ("worker",), "child": ("child", "children")}
_UNSHOWN = ("at", "id", "schema_version", "driver_node_id")
"""Facts of an event that its line does not repeat, or that nobody reads."""
_LATER = ("client", "git", "lock", "secrets", "metadata", "resources", "runtime_env")
"""Facts of a record that have a line each, if it has them."""


def run_rows(rows: Sequence[Row]) -> Iterator[str]:
    """Yields a header and a line for each run."""
    yield from rows_of(_HEADER, [_cells(row) for row in rows])


def row_document(row: Row) -> dict[str, Any]:
    """Returns a run as the list of `runs --json` has it."""
    return {
        "id": row.id,
        "status": row.status,
        "exit_code": row.exit_code,
        "started": row.started.isoformat(timespec="seconds"),
        "ended": None if row.ended is None else row.ended.isoformat(timespec="seconds"),
        "user": row.user,
        "bundle": row.bundle,
        "name": row.name or None,
    }


def record_document(record: RunRecord) -> dict[str, Any]:
    """Returns a run as `show --json` has it."""
    run = record.run
    facts = {name: value for name, value in run.facts.items() if name not in ("env_names", "arguments")}
    return {
        "id": run.id,
        "status": record.status,
        "bundle": run.bundle,
        "arguments": run.recorded_arguments,
        "address": run.address,
        "cwd": run.cwd or ".",
        "started": run.started.isoformat(timespec="seconds"),
        "env_names": list(run.facts.get("env_names", [])),
        "facts": facts,
        "events": record.events,
    }


def record_lines(record: RunRecord) -> Iterator[str]:
    """Yields what is known of a run, a line for each fact."""
    run, facts, end = record.run, record.run.facts, record.end
    yield f"run       {run.id}"
    code = f", exit code {end['exit_code']}" if "exit_code" in end else ""
    yield f"status    {record.status}{code}"
    if "error" in end:
        yield f"error     {end['error']}"
    name = f" ({facts['name']})" if "name" in facts else ""
    yield f"bundle    {run.bundle}{name}"
    yield f"arguments {shlex.join(run.recorded_arguments) or '-'}"
    values = [f"{key}={value}" for key, value in run.env.items()]
    if values := [*values, *(f"{key}=?" for key in facts.get("env_names", []))]:
        yield f"env       {' '.join(values)}"
    yield f"cwd       {run.cwd or '.'}"
    yield f"address   {run.address}"
    yield f"user      {facts.get('user') or '-'} on {facts.get('host') or '-'}"
    if "rerun_of" in facts:
        yield f"rerun of  {facts['rerun_of']}"
    for each in _LATER:
        if facts.get(each):
            yield f"{each:<9} {_plain(facts[each])}"
    yield f"started   {_local(run.started)}"
    for event, said in record.events.items():
        if event == OBSERVED:
            yield from _observed_lines(said)
            continue
        at = datetime.fromisoformat(said["at"])
        more = {key: value for key, value in said.items() if key not in _UNSHOWN}
        yield f"{event:<9} {_local(at)} {_plain(more)}".rstrip()


def _observed_lines(said: dict[str, Any]) -> Iterator[str]:
    """Yields what ran on the nodes, a line for nodes that are alike, and what came from elsewhere."""
    alike: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for node in said["nodes"]:
        ray = [each.replace("-", " ") for each in node["provided"] if each.startswith("ray-")]
        alike[", ".join([*node["python"], *ray, node["platform"], node["libc"]])].append(node)
    for facts, nodes in alike.items():
        processes: Counter[str] = sum((Counter(node["processes"]) for node in nodes), Counter())
        ran = ", ".join(counted(processes[role], *words) for role, words in _ROLES.items() if processes[role])
        yield f"nodes     {' '.join(node['node'] for node in nodes)}: {facts}; {ran}"
    if said.get("omitted"):
        yield f"nodes     and {said['omitted']} more, for which the record has no room"
    versions: dict[str, set[str]] = defaultdict(set)
    for node in said["nodes"]:
        for name, _, version in (each.partition("-") for each in node["provided"]):
            versions[name].add(version)
    differ = [f"{name} {' and '.join(sorted(each))}" for name, each in versions.items() if len(each) > 1]
    if differ:
        yield f"differ    {', '.join(differ)}"
    for each in said["outside"]:
        yield f"outside   {each['module']} from {each['file']} (a {each['process']} on {each['node']})"
    if said["nodes"] and not said["outside"]:
        yield "outside   nothing: each process imported from the bundle only"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items() if each not in ({}, [], ""))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(_plain, value))
    return str(value)


def _cells(row: Row) -> tuple[str, ...]:
    took = "-" if row.ended is None else duration_text(max(0.0, (row.ended - row.started).total_seconds()))
    bundle = row.bundle[:_SHOWN]
    return (row.id, row.status, _local(row.started), took, row.user or "-", bundle, row.name or "-")


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
