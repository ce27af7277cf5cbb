"""What the boot saw on the nodes of a job: processes, what the nodes provide, and imports from elsewhere."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from raybundle.cluster.pending import list_state
from raybundle.errors import ClusterError, RaybundleError
from raybundle.publish.runs.records import record_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.cluster.jobs import JobInfo, JobsClient
    from raybundle.publish.runs.run import Run
    from raybundle.store.base import Store

EVENT = "observed"
PATIENCE = 3.0
"""Seconds after which no further node is asked."""
LARGEST = 512 << 10
"""Bytes that are read from a node; the boot writes at most half of that."""
MOST = 200
"""Modules from outside the bundle that a record has."""
PROVIDED = 500
"""Distributions of a node that a record has."""
LARGEST_NODES = 1 << 20
"""Bytes of the descriptions of nodes that a record has, about; a record of 8 MiB could not be read again."""
LONGEST = 300
"""Characters of a word in a record."""
LONGEST_BOOT = 3600.0
"""Seconds for a boot, at most: a process that was suspended says more."""
LATEST = 2.0**33
"""Seconds since 1970 that a date of a record has, at most."""
_ROLES = ("driver", "worker", "child")
_KEYS = ("module", "file", "process", "node")
"""Of a module from outside the bundle."""
_SHOWN = 3
"""Modules in a line of text."""
_NODE, _PROCESS, _OUTSIDE, _READY = 4, 4, 5, 3
"""Words of a line of each kind (node/raybundle_seen.py); a node's goes on with what it provides, and a
process's with when its boot was done, and how long before it was started."""


def observe(client: JobsClient, store: Store, run: Run, info: JobInfo) -> str | None:
    """Records what the boot saw on the nodes of a job that has ended; a failure costs only that.

    Returns:
        A sentence if modules came from outside the bundle, else None.
    """
    if info.node_id is None:
        return None
    with suppress(RaybundleError):
        seen = gather({node: _read(client, node, run.id) for node in _nodes(client, info.node_id)})
        if seen["nodes"]:
            record_event(store, run, EVENT, seen)
            return describe_outside(seen["outside"])
    return None


def gather(files: Mapping[str, bytes]) -> dict[str, Any]:
    """Returns the facts of an event; `omitted` counts nodes for which a record has no room.

    Args:
        files: what the boot has written, by Ray's id of the node. Any process of the job could write there.
    """
    nodes: list[dict[str, Any]] = []
    outside: dict[tuple[str, str, str, str], None] = {}
    size = omitted = 0
    for node, data in files.items():
        lines = _words(data)
        described = next((words for words in lines if words[0] == "node" and len(words) >= _NODE), None)
        processes = [
            each for each in lines if each[0] == "process" and len(each) >= _PROCESS and each[1] in _ROLES
        ]
        if described is None or not processes:
            continue
        _, name, platform, libc, *provided = described
        for _, role, _, module, file in _outside(lines):
            if len(outside) < MOST:
                outside.setdefault((module, file, role, name), None)
        if size > LARGEST_NODES:
            omitted += 1
            continue
        nodes.append(
            {
                "node": name,
                "node_id": node,
                "platform": platform,
                "libc": libc,
                "python": sorted({each[3] for each in processes})[:MOST],
                "processes": dict(sorted(Counter(each[1] for each in processes).items())),
                "provided": provided[:PROVIDED],
                **_moments(processes, [each for each in lines if each[0] == "ready"]),
            }
        )
        size += len(json.dumps(nodes[-1]))
    found = {"nodes": nodes, "outside": [dict(zip(_KEYS, each, strict=True)) for each in outside]}
    return {**found, "omitted": omitted} if omitted else found


def _outside(lines: list[list[str]]) -> Iterator[list[str]]:
    return (each for each in lines if each[0] == "outside" and len(each) == _OUTSIDE and each[1] in _ROLES)


def _moments(processes: list[list[str]], ready: list[list[str]]) -> dict[str, Any]:
    """Returns when a node's first process had booted, how long it took, and when its first task began."""
    boots = [
        (done, max(0.0, min(took, LONGEST_BOOT)))
        for _, role, _, _, *times in processes
        if role != "child" and len(times) == 2  # noqa: PLR2004 - as above
        if (done := _number(times[0])) is not None and (took := _number(times[1])) is not None
    ]
    tasks = [at for each in ready if len(each) == _READY and (at := _number(each[2])) is not None]
    found: dict[str, Any] = {}
    if boots:
        done, took = min(boots)
        found["booted"], found["boot_seconds"] = _moment(done), round(took, 2)
    if tasks:
        found["first_task"] = _moment(min(tasks))
    return found


def _number(word: str) -> float | None:
    """Returns a number of seconds; None if a word is not one, or is out of reach for a date."""
    try:
        found = float(word)
    except ValueError:
        return None
    return found if 0 <= found < LATEST else None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")


def _words(data: bytes) -> list[list[str]]:
    """Returns the words of each line, each cut to the length that a record has."""
    lines = data.decode("utf-8", "replace").splitlines()
    return [[word[:LONGEST] for word in line.split("\t")] for line in lines]


def describe_outside(outside: Iterable[Mapping[str, str]]) -> str | None:
    """Returns a sentence that names modules from outside the bundle; None if there are none."""
    found = {(each["module"], each["file"]): each["process"] for each in outside}
    if not found:
        return None
    named = [f"{module} ({file}, in a {process})" for (module, file), process in found.items()]
    more = f", and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
    return f"imported from outside the bundle: {', '.join(named[:_SHOWN])}{more}"


def _nodes(client: JobsClient, first: str) -> Iterator[str]:
    """Yields Ray's ids of the nodes that live, the driver's first, until the time is over."""
    began = time.monotonic()
    yield first
    for row in list_state(client, "nodes", "state", "ALIVE"):
        if time.monotonic() - began > PATIENCE:
            return
        if row["node_id"] != first:
            yield row["node_id"]


def _read(client: JobsClient, node: str, run_id: str) -> bytes:
    """Returns what the boot has written on a node; empty if no process of the job was there."""
    found = bytearray()
    with suppress(ClusterError):
        for block in client.node_log(node, f"raybundle-seen-{run_id}.txt"):
            found += block
            if len(found) > LARGEST:
                break
    return bytes(found)
