"""Says what a job that is PENDING waits for: resources that no node has, or has free; its environment."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from raybundle.errors import RaybundleError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from raybundle.cluster.jobs import JobInfo, JobsClient

    Amounts = Mapping[str, float]

SUPERVISOR = "_ray_internal_job_actor_{}"
"""Name of the actor that starts a job's driver; ray/dashboard/modules/job/common.py."""
LIMIT = 1000
"""Number of actors and tasks to ask for, to see what is in use."""
GIB = 1 << 30


def why_pending(client: JobsClient, info: JobInfo) -> str:
    """Returns what Ray waits for before it starts a driver; Ray's own words if it says no more."""
    try:
        supervisor = list_state(client, "actors", "name", SUPERVISOR.format(info.submission_id))
        if not supervisor:
            return "the cluster has not started its supervisor yet"
        wanted: Amounts = supervisor[-1]["required_resources"] or {}
        nodes = list_state(client, "nodes", "state", "ALIVE")
        lacking = _lacking(wanted, nodes, _used(client))
    except (RaybundleError, KeyError, TypeError, AttributeError):
        return " ".join(info.message.split()) or "the cluster does not say what the job waits for"
    if lacking:
        return f"its driver asks for {', '.join(lacking)}"
    return "its environment is being set up on a node"


def list_state(client: JobsClient, kind: str, key: str, value: str) -> list[dict[str, Any]]:
    """Returns the rows of Ray's state API in which `key` has a value."""
    words = {"filter_keys": key, "filter_predicates": "=", "filter_values": value}
    answer = client.get(f"/api/v0/{kind}?{urlencode({**words, 'detail': 'true', 'limit': LIMIT})}")
    rows: list[dict[str, Any]] = answer["data"]["result"]["result"]
    return rows


def _used(client: JobsClient) -> Mapping[str, Mapping[str, float]]:
    """Returns the resources that living actors and running tasks hold, by node."""
    used: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in list_state(client, "actors", "state", "ALIVE") + list_state(
        client, "tasks", "state", "RUNNING"
    ):
        for name, amount in (row.get("required_resources") or {}).items():
            if row.get("type") != "ACTOR_TASK":  # it uses the resources of its actor
                used[row["node_id"]][name] += amount
    return used


def _lacking(wanted: Amounts, nodes: Sequence[Mapping[str, Any]], used: Mapping[str, Amounts]) -> list[str]:
    """Returns each resource of which no node has enough for the driver, and the most that one node has."""
    totals = {node["node_id"]: node["resources_total"] for node in nodes}
    free = {
        node: {name: total.get(name, 0.0) - used.get(node, {}).get(name, 0.0) for name in wanted}
        for node, total in totals.items()
    }
    if any(all(amounts[name] >= amount for name, amount in wanted.items()) for amounts in free.values()):
        return []
    lines = []
    for name, amount in sorted(wanted.items()):
        most = max((total.get(name, 0.0) for total in totals.values()), default=0.0)
        most_free = max((amounts[name] for amounts in free.values()), default=0.0)
        asked = f"{_number(name, amount)} {name}"
        if most < amount:
            lines.append(f"{asked}, and no node has more than {_number(name, most)}")
        elif most_free < amount:
            lines.append(f"{asked}, and no node has more than {_number(name, most_free)} free")
    return lines or [", ".join(f"{_number(name, amount)} {name}" for name, amount in sorted(wanted.items()))]


def _number(name: str, amount: float) -> str:
    return f"{amount / GIB:.1f} GiB of" if name == "memory" else f"{max(0.0, amount):g}"
