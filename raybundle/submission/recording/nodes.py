"""What the nodes of a cluster are, in the form in which records have it and reruns compare it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from raybundle.cluster.embedded.record import read_record
from raybundle.submission.recording.origin import client_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raybundle.bundle.values import Manifest
    from raybundle.submission.deliver import Cluster
    from raybundle.submission.survey import NodeDescription

KINDS = ("python", "ray", "platform", "libc")
"""Facts of nodes that a rerun compares, in the order of its table."""


class Drift(NamedTuple):
    """A fact that differs from the recorded run."""

    fact: str
    before: str
    now: str


def node_facts(nodes: Iterable[NodeDescription]) -> dict[str, list[str]]:
    """Returns the different values of each fact among the nodes, sorted."""
    rows = [(f"{each.implementation} {each.version}", each.ray, each.platform, each.system) for each in nodes]
    return {
        kind: sorted(set(values) - {""}) for kind, values in zip(KINDS, zip(*rows, strict=True), strict=True)
    }


def recorded_nodes(cluster: Cluster, manifest: Manifest) -> dict[str, Any]:
    """Returns what is known of the nodes when a job is submitted, without asking them for it.

    Nodes that were surveyed have said it. The embedded cluster runs on this machine.
    """
    description = cluster.survey.result() if cluster.survey else None
    if description is not None:
        return {"nodes": node_facts(description.nodes)} if description.nodes else {}
    running = read_record() if cluster.shares_disk else None
    if running is None or running.address != cluster.client.address:
        return {}
    client = client_facts()["client"]
    python = f"{manifest.python.implementation} {manifest.python.minor}"
    own = {
        "python": python,
        "ray": running.ray_version,
        "platform": client["platform"],
        "libc": client["libc"],
    }
    return {"nodes": {kind: [value] for kind, value in own.items() if value}}


def drift_between(before: Mapping[str, Sequence[str]], now: Mapping[str, Sequence[str]]) -> list[Drift]:
    """Returns the facts that differ; a fact that was not recorded does not."""
    return [
        Drift(kind, ", ".join(before[kind]), ", ".join(now[kind]))
        for kind in KINDS
        if before.get(kind) and now.get(kind) and not _alike(before[kind], now[kind])
    ]


def _alike(before: Sequence[str], now: Sequence[str]) -> bool:
    """Whether all values are alike; a version without its last part is like any that begins with it."""
    return all(any(_fits(old, new) for old in before) for new in now) and all(
        any(_fits(old, new) for new in now) for old in before
    )


def _fits(old: str, new: str) -> bool:
    return old == new or new.startswith(f"{old}.")
