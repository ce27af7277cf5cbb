"""How a bundle reaches the nodes: this machine sends its archive; they fetch layers, or get them relayed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.errors import (
    BundleError,
    ClusterError,
    DigestMismatchError,
    ObjectMissingError,
    UntrustedError,
)
from raybundle.node.cache.raybundle_record import LARGE
from raybundle.publish.layout import STORE_KEY, archive_sha256, find_sizes, open_checked, source_of
from raybundle.resolve.interpreter.platforms import known_platform
from raybundle.submission.packages import LARGEST, packages_of
from raybundle.submission.relay import Relay

if TYPE_CHECKING:
    from raybundle.bundle.values import Manifest, PythonTag
    from raybundle.cache.documents import Cache
    from raybundle.cluster.jobs import JobsClient
    from raybundle.publish.stored import Archives, Stored
    from raybundle.store.base import Store
    from raybundle.submission.survey import ClusterDescription, NodeDescription, Survey

MOST_RELAYED = 2 << 30
"""Largest total of relayed archives, in bytes: the cluster's head keeps them in memory."""
REASONS = 3
"""Largest number of reasons that are shown; further ones usually differ only in an address."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a job goes; `shares_disk` if its only node is this machine, as with the embedded cluster."""

    client: JobsClient
    shares_disk: bool
    cache: Cache | None = None
    """What can be found out again; None keeps nothing and asks no node."""
    survey: Survey | None = None
    """A survey of the nodes that has begun."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """How the nodes get a bundle."""

    bundle: str
    """URL of its archive."""
    boot: str
    """Hex digest of the boot in the archive."""
    layers: tuple[str, ...] = ()
    """URLs of relayed packages with its layers and large files."""
    source: str | None = None
    """URL of the store from which the boot fetches them; None if they are relayed, or if there are none."""


@dataclass(frozen=True, slots=True)
class Damage:
    """An archive of the store that differs from what its name says."""

    key: str
    expected: str
    found: str


def begin_survey(cluster: Cluster, store: Store) -> Cluster:
    """Returns the cluster with a survey of its nodes under way: what they are, whether they read the store.

    A cluster on a loopback address is not surveyed if everything is relayed anyway. It is usually on this
    machine, with this Python, and a survey takes longer than a small job.
    """
    url = store.node_url(STORE_KEY)
    relayed = url is None or url.startswith("file://")
    if cluster.shares_disk or cluster.cache is None or (relayed and cluster.client.access.is_loopback):
        return cluster
    from raybundle.submission.survey import Survey  # noqa: PLC0415 - the embedded cluster needs none

    return replace(cluster, survey=Survey(cluster.client, None if relayed else store, cluster.cache))


def deliver(stored: Stored, store: Store, cluster: Cluster) -> Delivered:
    """Returns how the nodes get a bundle: they fetch its layers from the store if they can read it.

    Raises:
        BundleError: nodes have another Python than the bundle, or an archive is damaged.
        ClusterError: the archives are too large to be relayed, or the cluster refuses them.
        StoreError: the store lacks them, or cannot be reached.
    """
    cluster = cluster if cluster.survey else begin_survey(cluster, store)
    description = cluster.survey and cluster.survey.result()
    if description:
        require_python(description, stored.manifest)
    source = source_of(store)
    if source is None or source.startswith("file://") != cluster.shares_disk:
        return _relay(stored, store, cluster, f"its nodes cannot read {store.url}")
    if description and description.blind:
        why = why_blind(description, store)
        cluster.client.notify(f"warning: {why}: relaying the bundle through the cluster's head")
        return _relay(stored, store, cluster, why)
    fetched = source if stored.layers or stored.data else None
    small = sum(file.size for file in stored.manifest.files if file.size <= LARGE)
    if small > LARGEST:
        if stored.signatures:
            raise UntrustedError(
                f"the files of bundle {stored.digest} up to 1 MiB have {small >> 20} MiB together: Ray would "
                f"fetch them from {store.url}, and compares nothing",
                hint="keep fewer of them in the bundle, or leave out --require-signature",
            )
        return Delivered(f"{source}/{stored.archive_key}", stored.boot, source=fetched)
    relay = Relay(cluster.client, store, cluster.cache)
    return Delivered(*relay.send_bundle(stored), source=fetched)


def why_blind(description: ClusterDescription, store: Store) -> str:
    """Returns a node for each reason, and how many more have it."""
    reasons: dict[str, list[str]] = {}
    for node in description.blind:
        reasons.setdefault(str(node.store), []).append(node.name)
    return "; ".join(
        f"node {first} cannot read {store.url}{f' (nor can {len(more)} more)' if more else ''}: {why}"
        for why, (first, *more) in list(reasons.items())[:REASONS]
    )


def _relay(stored: Stored, store: Store, cluster: Cluster, why: str) -> Delivered:
    archives = (*stored.layers, *stored.data)
    sizes = find_sizes(store, [each.key for each in archives])
    if missing := [key for key, size in sizes.items() if size is None]:
        raise ObjectMissingError(
            f"objects are missing in {store.url}: {', '.join(missing)}",
            hint="build the bundle again from its sources",
        )
    total = sum(each.packed.size for each in archives)
    if total > MOST_RELAYED:
        raise ClusterError(
            f"layers and large files are {total >> 20} MiB, and at most {MOST_RELAYED >> 20} MiB are relayed "
            f"through the head of {cluster.client.address}: {why}",
            hint="use a store that all nodes read (`--store s3://…`: they need boto3, smart_open and "
            "credentials), or let the cluster provide the largest distributions (`cluster-provides`)",
        )
    relay = Relay(cluster.client, store, cluster.cache)
    bundle = relay.send_bundle(stored)
    sent = relay.send_layers(archives) if archives else {}
    return Delivered(*bundle, tuple(url for each in archives for url in sent[each.key]))


def require_python(description: ClusterDescription, manifest: Manifest) -> None:
    """Refuses nodes that cannot run a bundle.

    Raises:
        BundleError: names all of them, with what is wanted and what they have.
    """
    wanted = manifest.python
    lines = [
        f"node {node.name} has {_python_of(node, wanted)}, and the bundle is for {wanted_text(wanted)}"
        for node in description.nodes
        if not runs_on(node, wanted)
    ]
    if lines:
        other = next(node for node in description.nodes if not runs_on(node, wanted))
        raise BundleError("\n".join(lines), hint=how_to_build_for(other, wanted))


def how_to_build_for(node: NodeDescription, wanted: PythonTag) -> str:
    """Returns what builds a bundle that runs on a node which cannot run this one."""
    if _loads(node, wanted):
        return f"`--python {node.minor}` builds for it"
    if node.native is None:
        return "build it on a machine like the node"
    if (node.minor, _of_python(node.abi)) == (wanted.minor, _of_python(wanted.abi or node.abi)):
        return f"`--platform {node.native.setting}` builds for it"
    return f"`--python {node.minor} --platform {node.native.setting}` builds for it"


def _of_python(abi: str) -> list[str]:
    """Returns what an ABI such as `cpython-311-x86_64-linux-gnu` says of Python, without its platform."""
    return abi.split("-")[:2]


def runs_on(node: NodeDescription, wanted: PythonTag) -> bool:
    """Whether a node has the Python and the platform that a bundle is for."""
    return (
        (node.implementation, node.minor) == (wanted.implementation, wanted.minor)
        and wanted.abi in (None, node.abi)
        and _loads(node, wanted)
    )


def _loads(node: NodeDescription, wanted: PythonTag) -> bool:
    """Whether a node has the bundle's platform, if it has one, and its libc or macOS is not older."""
    if wanted.platform is None:
        return True
    native, bundle = node.native, known_platform(wanted.platform, wanted.abi or "", release=wanted.libc or "")
    if native is None or bundle is None:  # only their names are known
        return node.platform == wanted.platform
    return native.runs_files_of(bundle)


def _python_of(node: NodeDescription, wanted: PythonTag) -> str:
    abi, system = node.abi if wanted.abi else "", node.system if wanted.libc else ""
    return _words(node.implementation, node.version, abi, node.platform, system)


def wanted_text(wanted: PythonTag) -> str:
    """Returns the Python and the platform of a bundle in words."""
    platform = wanted.platform or "any platform"
    libc = f"{wanted.libc} or newer" if wanted.libc else ""
    return _words(wanted.implementation, wanted.minor, wanted.abi or "", platform, libc)


def _words(implementation: str, version: str, *details: str) -> str:
    return f"{implementation} {version} ({', '.join(filter(None, details))})"


def find_damage(archives: Archives, store: Store) -> Damage | None:
    """Returns the first archive of a bundle that is missing in the store, or is not as it was written.

    Raises:
        StoreError: the store cannot be asked.
    """
    damage = _damage(archives.bundle, store, archive_sha256(archives.bundle))
    if damage is not None:
        return damage
    in_layers = (_damage(key, store) for key in archives.layers)
    return next((each for each in in_layers if each is not None), None)


def _damage(key: str, store: Store, sha256: str | None = None) -> Damage | None:
    """Returns what is wrong with an object: with its bytes, or with the content of a layer's archive."""
    try:
        if sha256 is not None:
            with open_checked(store, key, sha256):
                return None
        with store.open(key) as stream:
            packages_of(key, stream)
    except ObjectMissingError:
        return Damage(key, f"sha256 {sha256}" if sha256 else "an archive", "no such object")
    except DigestMismatchError as error:
        return Damage(key, *(each.replace("sha256:", "sha256 ") for each in (error.expected, error.found)))
    return None
