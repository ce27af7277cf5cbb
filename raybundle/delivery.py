"""How a bundle reaches the nodes: they fetch its archives from the store, or get them from here."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.cluster.nodes import Survey
from raybundle.cluster.packages import damage_of
from raybundle.cluster.relay import Relay
from raybundle.errors import BundleError, ClusterError, ObjectMissingError

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.bundle.manifest import Manifest, PythonTag
    from raybundle.cluster.jobs import JobsClient
    from raybundle.cluster.nodes import ClusterDescription, NodeDescription
    from raybundle.store.base import Store

MOST_RELAYED = 2 << 30
"""Bytes of all archives of a bundle that are relayed: they lie in the memory of the cluster's head."""
READERS = 8
"""Requests to a store at once."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a job goes; `shares_disk` where its one node is this machine, as with the embedded cluster."""

    client: JobsClient
    shares_disk: bool
    cache: Path | None = None
    """Directory of what can be found out again; None keeps nothing and asks no node."""
    survey: Survey | None = None
    """A look at the nodes that has begun."""


@dataclass(frozen=True, slots=True)
class Archives:
    """Keys of what makes up a bundle: its own archive, and its layers' in the order of `py_modules`."""

    bundle: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivered:
    """URLs by which the nodes get a bundle."""

    bundle: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Damage:
    """An archive of the store that is not what its name says."""

    key: str
    expected: str
    found: str


def begin_survey(cluster: Cluster, store: Store) -> Cluster:
    """Returns the cluster with a look at its nodes under way, if they would read the store themselves."""
    url = store.node_url("store.json")
    if cluster.shares_disk or cluster.cache is None or url is None or url.startswith("file://"):
        return cluster
    return replace(cluster, survey=Survey(cluster.client, store, cluster.cache))


def deliver(archives: Archives, manifest: Manifest, store: Store, cluster: Cluster) -> Delivered:
    """Returns the URLs by which the nodes get a bundle; what they cannot read themselves is relayed.

    Raises:
        BundleError: nodes have another Python than the bundle.
        ClusterError: the archives are too large to be relayed, or the cluster refuses them.
        StoreError: the store has them not, or cannot be reached.
    """
    found = _direct(archives, store, cluster)
    if found is None:
        return _relay(archives, store, cluster, f"its nodes cannot read {store.url}")
    cluster = cluster if cluster.survey else begin_survey(cluster, store)
    description = cluster.survey and cluster.survey.result()
    if not description:
        return found
    require_python(description, manifest)
    if not description.blind:
        return found
    why = _why_blind(description, store)
    cluster.client.notify(f"warning: {why}: relaying the bundle through the cluster's head")
    return _relay(archives, store, cluster, why)


def _direct(archives: Archives, store: Store, cluster: Cluster) -> Delivered | None:
    """Returns the URLs of the store's own objects, where nodes may be able to read them."""
    urls = [store.node_url(key) for key in (archives.bundle, *archives.layers)]
    known = [url for url in urls if url is not None and url.startswith("file://") == cluster.shares_disk]
    return Delivered(known[0], tuple(known[1:])) if len(known) == len(urls) else None


def _why_blind(description: ClusterDescription, store: Store) -> str:
    first, *others = description.blind
    more = f" (nor can {len(others)} more)" if others else ""
    return f"node {first.name} cannot read {store.url}{more}: {first.store}"


def _relay(archives: Archives, store: Store, cluster: Cluster, why: str) -> Delivered:
    with ThreadPoolExecutor(READERS) as pool:
        sizes = list(pool.map(store.size, archives.layers))
    missing = [key for key, size in zip(archives.layers, sizes, strict=True) if size is None]
    if missing:
        raise ObjectMissingError(
            f"layers are missing in {store.url}: {', '.join(missing)}",
            hint="build the bundle again from its sources",
        )
    known = [(key, size) for key, size in zip(archives.layers, sizes, strict=True) if size is not None]
    total = sum(size for _, size in known)
    if total > MOST_RELAYED:
        raise ClusterError(
            f"the layers are {total >> 20} MiB, and at most {MOST_RELAYED >> 20} MiB are relayed through the "
            f"head of {cluster.client.address}: {why}",
            hint="use a store that all nodes read (`--store s3://…`: they need boto3, smart_open and "
            "credentials), or let the cluster provide the largest distributions (`cluster-provides`)",
        )
    relay = Relay(cluster.client, store, cluster.cache)
    return Delivered(relay.send_bundle(archives.bundle), relay.send_layers(known) if known else ())


def require_python(description: ClusterDescription, manifest: Manifest) -> None:
    """Refuses nodes that cannot run a bundle.

    Raises:
        BundleError: names all of them, with what is wanted and what they have.
    """
    wanted = manifest.python
    lines = [
        f"node {node.name} has {_python_of(node, wanted)}, and the bundle is for {_wanted(wanted)}"
        for node in description.nodes
        if not _runs(node, wanted)
    ]
    if lines:
        other = next(node for node in description.nodes if not _runs(node, wanted))
        raise BundleError(
            "\n".join(lines),
            hint=f"`--python {other.minor}` builds for it"
            + ("" if wanted.platform in (None, other.platform) else f", `--platform {other.platform}` too"),
        )


def _runs(node: NodeDescription, wanted: PythonTag) -> bool:
    return (
        (node.implementation, node.minor) == (wanted.implementation, wanted.minor)
        and wanted.abi in (None, node.abi)
        and wanted.platform in (None, node.platform)
    )


def _python_of(node: NodeDescription, wanted: PythonTag) -> str:
    return _words(node.implementation, node.version, node.abi if wanted.abi else "", node.platform)


def _wanted(wanted: PythonTag) -> str:
    return _words(wanted.implementation, wanted.minor, wanted.abi or "", wanted.platform or "any platform")


def _words(implementation: str, version: str, abi: str, platform: str) -> str:
    return f"{implementation} {version} ({', '.join(filter(None, [abi, platform]))})"


def find_damage(archives: Archives, store: Store) -> Damage | None:
    """Returns the first archive of a bundle that the store has not, or not as it was written.

    Raises:
        StoreError: the store cannot be asked.
    """
    expected = archives.bundle.rpartition("-")[2].removesuffix(".zip")
    try:
        found = hashlib.sha256(store.get(archives.bundle)).hexdigest()
    except ObjectMissingError:
        return Damage(archives.bundle, f"sha256 {expected}", "no such object")
    if found != expected:
        return Damage(archives.bundle, f"sha256 {expected}", f"sha256 {found}")
    found_in_layers = (_damage_of_layer(key, store) for key in archives.layers)
    return next((damage for damage in found_in_layers if damage is not None), None)


def _damage_of_layer(key: str, store: Store) -> Damage | None:
    try:
        fault = damage_of(key, store.get(key))
    except ObjectMissingError:
        return Damage(key, "an archive", "no such object")
    return fault and Damage(key, *fault)
