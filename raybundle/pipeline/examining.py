"""The story of `doctor`: can this cluster run this bundle, and what is to be done where it cannot."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from raybundle.errors import ClusterError, RaybundleError
from raybundle.pipeline.findings import Answered, Finding, Needs, judge, judge_together
from raybundle.publish import layout
from raybundle.publish.bundles import bytes_of, find_bundle, open_configured
from raybundle.submission.survey import NodeDescription, ask_nodes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.cluster.jobs import JobsClient
    from raybundle.config import Settings
    from raybundle.pipeline.findings import State
    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store
    from raybundle.submission.connecting import Connecting

OLDEST_RAY = (2, 49)
"""The oldest release that is tested."""


def needs_of_plan(planned: Plan) -> Needs:
    """Returns what a bundle that is planned asks of nodes."""
    manifest = planned.manifest
    return Needs(manifest.python, manifest.provided, manifest.layers, planned.bytes)


def needs_of_stored(ref: str, settings: Settings, environ: Mapping[str, str]) -> Needs:
    """Returns what a bundle of the store asks of nodes.

    Raises:
        StoreError: the store has no such bundle, or cannot be used.
    """
    store = open_configured(settings, environ)
    stored: Stored = find_bundle(store, ref)
    manifest = stored.manifest
    return Needs(manifest.python, manifest.provided, manifest.layers, bytes_of(store, stored))


def examine(connecting: Connecting, needs: Needs) -> Iterator[Finding]:
    """Yields what is found: about the store and the cluster from here, then about each node.

    Args:
        connecting: how the cluster is reached.
        needs: of the bundle that shall run there.
    """
    store, finding = _open(connecting)
    yield finding
    client, findings = _reach(connecting)
    yield from findings
    if client is None:
        return
    shared = connecting.address is None
    url = None if store is None else store.node_url(layout.STORE_KEY)
    url = None if url is None or (url.startswith("file://") and not shared) else url
    try:
        yield from _nodes(client, needs, url, None if store is None or url is None else store.url)
    except RaybundleError as error:
        yield Finding("nodes", client.address, "failed", str(error), error.hint)
    finally:
        client.close()


def _open(connecting: Connecting) -> tuple[Store | None, Finding]:
    try:
        store = open_configured(connecting.settings, connecting.environ)
        layout.prepare(store)
    except RaybundleError as error:
        remedy = error.hint or "`raybundle config show` says which store is used"
        return None, Finding("store", "this machine", "failed", str(error), remedy)
    return store, Finding("store", "this machine", "ok", f"reads and writes {store.url}")


def _reach(connecting: Connecting) -> tuple[JobsClient | None, list[Finding]]:
    """Returns a client of the cluster, and what the cluster says of itself."""
    try:
        if connecting.address is None and (absent := _not_running()) is not None:
            return None, [absent]
        client = connecting.client()
        version = client.version()
        ended = _ended_nodes(client)
    except RaybundleError as error:
        remedy = error.hint or "check the address and the credentials"
        return None, [Finding("cluster", connecting.address or "embedded", "failed", str(error), remedy)]
    text = f"answers with Ray {'.'.join(map(str, version))}"
    old = version < OLDEST_RAY
    text += f", older than {'.'.join(map(str, OLDEST_RAY))}" if old else ""
    state: State = "warning" if old else "ok"
    remedy = "start Ray there again, or remove the machine"
    return client, [
        Finding("cluster", client.address, state, text, "use a newer Ray"),
        *(Finding("nodes", name, "warning", "its raylet has ended", remedy) for name in ended),
    ]


def _not_running() -> Finding | None:
    """Returns what is found of the embedded cluster if it is not running: whether it could be started."""
    from raybundle.cluster.embedded import cluster

    if cluster.status() is not None:
        return None
    try:
        python = cluster.interpreter(sys.executable)
    except ClusterError as error:
        return Finding("cluster", "embedded", "failed", str(error), error.hint)
    return Finding("cluster", "embedded", "ok", f"not running; `raybundle submit` starts it with {python}")


def _ended_nodes(client: JobsClient) -> list[str]:
    """Returns the names of nodes that were in the cluster, have ended, and did not come back."""
    try:
        rows = client.get("/api/v0/nodes?detail=true&limit=1000")["data"]["result"]["result"]
        living = {row["node_ip"] for row in rows if row["state"] == "ALIVE"}
        ended = [row for row in rows if row["node_ip"] not in living]
        return sorted({f"{row['node_name']} ({row['node_ip']})" for row in ended})
    except (ClusterError, KeyError, TypeError):
        return []


def _nodes(client: JobsClient, needs: Needs, url: str | None, store: str | None) -> Iterator[Finding]:
    names = [each.name for each in needs.provided]
    begin = time.time()
    rows, fault = ask_nodes(client, url, names)
    asked = (begin, time.time())
    if fault is not None:
        remedy = "`raybundle list` shows whether other jobs hold the cluster's workers"
        yield Finding("nodes", client.address, "failed", fault, remedy)
        return
    answered: list[NodeDescription] = []
    for row in sorted(rows, key=lambda row: str(row["address"])):
        if "fault" in row:
            name = f"{row['host']} ({row['address']})"
            remedy = "`ray status` on the head; restart Ray there"
            yield Finding("nodes", name, "failed", row["fault"], remedy)
            continue
        checks: dict[str, Any] = row.pop("checks")
        node = NodeDescription(**row)
        answered.append(node)
        yield from judge(Answered(node, checks, asked), needs, store)
    yield from judge_together(answered)
