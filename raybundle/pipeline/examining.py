"""The story of `doctor`: can this cluster run this bundle, and what is to be done where it cannot."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Cache, Kind
from raybundle.config import cache_directory
from raybundle.errors import BundleError, ClusterError, RaybundleError
from raybundle.formats.amounts import counted
from raybundle.pipeline.findings import Answered, Finding, Needs, judge, judge_together
from raybundle.publish import layout, putting
from raybundle.publish.bundles import bytes_of, find_bundle, open_configured
from raybundle.submission.survey import NodeDescription, ask_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from raybundle.cluster.jobs import JobsClient
    from raybundle.config import Settings
    from raybundle.pipeline.findings import State
    from raybundle.planning import Plan
    from raybundle.publish.stored import Stored
    from raybundle.store.base import Store
    from raybundle.submission.attempts import Order
    from raybundle.submission.connecting import Connecting

OLDEST_RAY = (2, 49)
"""The oldest release that is tested."""
INVENTORIES = Kind("inventories", 64)
"""What the nodes said, by session of a cluster, its living nodes, and what they were asked."""
BELIEVED = 600 * 10**9
"""Nanoseconds for which `submit --check` believes it: a disk fills, a driver is replaced."""
REMEMBERED = 600
"""Seconds for which Ray repeats the failure of a runtime_env; BAD_RUNTIME_ENV_CACHE_TTL_SECONDS."""


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


def require_fit(connecting: Connecting, order: Order, notify: Callable[[str], object]) -> None:
    """Refuses a cluster that cannot run what is ordered; tells every check that is not ok.

    Args:
        connecting: how the cluster is reached.
        order: of the job.
        notify: takes a line for each of them.

    Raises:
        BundleError: a check failed.
    """
    manifest = order.stored.manifest
    needs = Needs(manifest.python, manifest.provided, manifest.layers, order.bytes)
    found = list(examine(connecting, needs, kept=True))
    for each in found:
        if each.state != "ok":
            notify(f"{each.state}: {each.check} of {each.where}: {each.found} (next: {each.remedy})")
    if failed := sum(each.state == "failed" for each in found):
        raise BundleError(
            f"{counted(failed, 'check')} of the cluster failed: the job was not submitted",
            hint="`raybundle doctor` looks again after each is fixed",
        )
    notify(f"{counted(len(found), 'check')} of the cluster found nothing that keeps the bundle from running")


def examine(connecting: Connecting, needs: Needs, *, kept: bool = False) -> Iterator[Finding]:
    """Yields what is found: about the store and the cluster from here, then about each node.

    Args:
        connecting: how the cluster is reached.
        needs: of the bundle that shall run there.
        kept: what the nodes said in the last minutes is believed if all are the same and nothing was wrong.
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
        inventory = _Inventory(client, url, needs, Cache(cache_directory(connecting.environ)), kept)
        yield from _nodes(inventory, needs, None if store is None or url is None else store.url)
        yield from _environments(client)
    except RaybundleError as error:
        yield Finding("nodes", client.address, "failed", str(error), error.hint)
    finally:
        client.close()


def _open(connecting: Connecting) -> tuple[Store | None, Finding]:
    try:
        store = open_configured(connecting.settings, connecting.environ)
        putting.prepare(store)
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
        ended = _ended_nodes(_listed_nodes(client))
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


def _listed_nodes(client: JobsClient) -> list[dict[str, Any]]:
    """Returns what Ray's State API says of nodes; nothing if it does not answer."""
    return _rows(client, "nodes")


def _rows(client: JobsClient, what: str) -> list[dict[str, Any]]:
    try:
        rows = client.get(f"/api/v0/{what}?detail=true&limit=1000")["data"]["result"]["result"]
        return [row for row in rows if isinstance(row, dict)]
    except (ClusterError, KeyError, TypeError):
        return []


def _ended_nodes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Returns the names of nodes that were in the cluster, have ended, and did not come back."""
    living = {row["node_ip"] for row in rows if row["state"] == "ALIVE"}
    ended = [row for row in rows if row["node_ip"] not in living]
    return sorted({_name(row) for row in ended})


def _name(row: Mapping[str, Any]) -> str:
    """Returns the name of a node in the State API, which is its address unless somebody gave it another."""
    name, address = row["node_name"], row["node_ip"]
    return str(address) if name == address else f"{name} ({address})"


def _environments(client: JobsClient) -> Iterator[Finding]:
    """Yields the runtime_envs whose failure Ray still repeats."""
    nodes = {row["node_id"]: _name(row) for row in _listed_nodes(client)}
    seen = set()
    for row in _rows(client, "runtime_envs"):
        where = nodes.get(row.get("node_id", ""), str(row.get("node_id")))
        environment = row.get("runtime_env") or {}
        error = str(row.get("error") or "no reason given").strip().splitlines()[-1].strip()[:300]
        if row.get("success") is not False or (where, str(environment)) in seen:
            continue
        seen.add((where, str(environment)))
        digest = (environment.get("env_vars") or {}).get("RAYBUNDLE_DIGEST")
        whose = f"bundle {digest[:19]}" if digest else f"the keys {', '.join(sorted(environment))}"
        text = f"a runtime_env with {whose} could not be made: {error}"
        remedy = (
            f"Ray repeats this for {REMEMBERED // 60} minutes: fix it and wait, or change the runtime_env"
        )
        yield Finding("environment", where, "warning", text, remedy)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the nodes said of themselves."""

    rows: list[dict[str, Any]]
    """One for each node."""
    fault: str | None
    """Why there is none."""
    asked: tuple[float, float]
    """Between which times, in seconds since the epoch."""
    key: str | None = None
    """By which it can be kept; None if it is from the cache."""


@dataclass(frozen=True, slots=True)
class _Inventory:
    """What the nodes say of themselves, and since when that is known."""

    client: JobsClient
    url: str | None
    """Of an object that each node tries to read."""
    needs: Needs
    cache: Cache
    kept: bool

    def look(self) -> _Look:
        """Returns what the nodes say, or what they said some minutes ago."""
        names = [each.name for each in self.needs.provided]
        living = sorted(row["node_id"] for row in _listed_nodes(self.client) if row["state"] == "ALIVE")
        key = self.cache.key(self.client.address, self.client.session(), self.url, *living, *names)
        if self.kept and living and (known := self.cache.read(INVENTORIES, key, self._parse)) is not None:
            return known
        self.client.notify(f"asking the nodes of {self.client.address}")
        begin = time.time()
        rows, fault = ask_nodes(self.client, self.url, names)
        return _Look(rows, fault, (begin, time.time()), key)

    def keep(self, look: _Look) -> None:
        """Keeps what the nodes said just now."""
        if look.key is not None:
            document = {"time": self.cache.clock(), "rows": look.rows, "asked": list(look.asked)}
            self.cache.write(INVENTORIES, look.key, document)

    def _parse(self, document: dict[str, Any]) -> _Look | None:
        age = self.cache.clock() - document["time"]
        begin, end = document["asked"]
        return _Look(document["rows"], None, (begin, end)) if 0 <= age < BELIEVED else None


def _nodes(inventory: _Inventory, needs: Needs, store: str | None) -> Iterator[Finding]:
    look = inventory.look()
    if look.fault is not None:
        remedy = "`raybundle list` shows whether other jobs hold the cluster's workers"
        yield Finding("nodes", inventory.client.address, "failed", look.fault, remedy)
        return
    found = list(_of_rows(look, needs, store))
    if all(each.state == "ok" for each in found):
        inventory.keep(look)
    yield from found


def _of_rows(look: _Look, needs: Needs, store: str | None) -> Iterator[Finding]:
    answered: list[NodeDescription] = []
    for row in sorted(look.rows, key=lambda row: str(row["address"])):
        if "fault" in row:
            name = f"{row['host']} ({row['address']})"
            remedy = "`ray status` on the head; restart Ray there"
            yield Finding("nodes", name, "failed", row["fault"], remedy)
            continue
        facts = dict(row)
        checks: dict[str, Any] = facts.pop("checks")
        node = NodeDescription(**facts)
        answered.append(node)
        yield from judge(Answered(node, checks, look.asked), needs, store)
    yield from judge_together(answered)
