"""A fake cluster, and a store with a bundle and its layers to deliver."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.bundle.manifest import format_manifest
from raybundle.bundle.pack import pack
from raybundle.bundle.values import Manifest, PythonTag, ScriptEntry
from raybundle.cache.documents import Cache
from raybundle.cluster.access import make_access
from raybundle.cluster.jobs import JobsClient
from raybundle.formats.canonical import digest_of
from raybundle.model import ArchivePath, RootSymbol
from raybundle.publish.layout import archive_key, manifest_key
from raybundle.publish.stored import Stored
from raybundle.store.local import LocalStore
from raybundle.submission.deliver import Cluster, Delivered, deliver
from tests.support.fake_dashboard import FakeDashboard
from tests.support.layer_archives import bound, make_layer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_dashboard import Exchange

LAYERS = [make_layer(name, {f"{name}/__init__.py": name.encode() * 300}) for name in ("one", "two", "three")]
MANIFEST = Manifest(
    ScriptEntry(ArchivePath("project/job.py")),
    PythonTag("cpython", "3.11", "cpython-311-x86_64-linux-gnu", "linux-x86_64"),
    (RootSymbol("project:."), RootSymbol("stdlib"), RootSymbol("layers"), RootSymbol("ray")),
    (),
    (),
    tuple(entry for entry, _, _ in LAYERS),
)
PACKED = pack(format_manifest(MANIFEST), [])
BUNDLE = archive_key(digest_of(format_manifest(MANIFEST)), PACKED.boot, PACKED.sha256)
STORED = Stored(
    digest_of(format_manifest(MANIFEST)),
    MANIFEST,
    BUNDLE,
    PACKED.boot,
    layers=tuple(bound(key, archive) for _, key, archive in LAYERS),
)
NODE: dict[str, Any] = {
    "address": "10.0.0.2",
    "host": "n1",
    "implementation": "cpython",
    "version": "3.11.9",
    "abi": "cpython-311-x86_64-linux-gnu",
    "platform": "linux-x86_64",
    "machine": "x86_64",
    "system": "glibc 2.36",
    "ray": "2.60.0",
    "free": 10**9,
    "store": None,
}


class NodesReadIt(LocalStore):
    """A local directory that claims to be readable by nodes."""

    def node_url(self, key: str) -> str:
        return f"s3://bucket/{key}"


@dataclass
class Scene:
    """A dashboard, a store with a bundle, and the messages to the user."""

    dashboard: FakeDashboard
    directory: Path
    store: LocalStore
    cluster: Cluster
    said: list[str]

    @property
    def uploads(self) -> int:
        return sum(method == "PUT" for method, _, _ in self.dashboard.requests)

    def deliver(self) -> Delivered:
        return deliver(STORED, self.store, self.cluster)

    def nodes(self, *nodes: dict[str, Any], status: str = "SUCCEEDED") -> None:
        """Makes the cluster answer the survey of its nodes."""
        lines = "".join(f"RAYBUNDLE-NODE {json.dumps({**NODE, **node})}\n" for node in nodes)
        self.dashboard.log = f"a line of Ray's\n{lines}".encode()

        def end(exchange: Exchange) -> bool:
            for name, job in self.dashboard.jobs.items():
                if name.startswith("raybundle-probe-") and name in exchange.path:
                    job["status"] = status
            return False

        self.dashboard.faults.append(end)


@contextlib.contextmanager
def made(directory: Path, store: LocalStore) -> Iterator[Scene]:
    store.put_new(BUNDLE, PACKED.data)
    store.put_new(manifest_key(STORED.digest), b"{}")  # a submission looks whether it is still there
    for _, key, archive in LAYERS:
        store.put_new(key, archive)
    said: list[str] = []
    with FakeDashboard() as dashboard:
        client = JobsClient(make_access(dashboard.address, {}), said.append)
        with contextlib.closing(client):
            cluster = Cluster(client, shares_disk=False, cache=Cache(directory / "cache"))
            yield Scene(dashboard, directory, store, cluster, said)
