"""Layers as they are in a store and on a node of the tests."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from tests.support.bed import processes_in

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.nodes import Nodes
    from tests.support.proxy import Proxy
    from tests.support.s3_server import S3Server

PATIENCE = 150.0
"""Seconds until something that should happen on a node counts as missing."""


@dataclass(frozen=True, slots=True)
class StoredLayers:
    """The layers of one store, read with the keys of its user."""

    server: S3Server
    store: str

    @property
    def names(self) -> set[str]:
        """The names of all layer archives and byte-code archives, without `.zip`."""
        prefix = f"{self.store.removeprefix(f's3://{self.server.bucket}/')}/layers/"
        return {item.key.removeprefix(prefix).removesuffix(".zip") for item in self._bucket(prefix)}

    def document(self, name: str, among: Iterable[str]) -> dict[str, Any]:
        """Returns the document of a distribution's layer, which is among some archives."""
        for archive in (self._document(each) for each in among if "-" not in each):
            if archive["name"] == name:
                return archive
        raise AssertionError(f"no layer of {name} in {self.store}")

    def _document(self, digest: str) -> dict[str, Any]:
        prefix = self.store.removeprefix(f"s3://{self.server.bucket}/")
        [item] = self._bucket(f"{prefix}/layers/{digest}.zip")
        with zipfile.ZipFile(io.BytesIO(item.get()["Body"].read())) as archive:
            document: dict[str, Any] = json.loads(archive.read(f"{digest}.json"))
        return {**document, "digest": digest}

    def _bucket(self, prefix: str) -> Iterable[Any]:
        keys = self.server.rw
        session = boto3.Session(keys.access, keys.secret, region_name="us-east-1")
        bucket = session.resource("s3", endpoint_url=self.server.endpoint).Bucket(self.server.bucket)
        # The listing's items know no version of the object, their full ones do.
        return [bucket.Object(item.key) for item in bucket.objects.filter(Prefix=prefix)]


def fetches(proxy: Proxy, nodes: Nodes, start: int = 0) -> Counter[tuple[str, str]]:
    """How often each node has fetched each layer archive, by both names; counted from request `start`."""
    names = {node.address: node.name for node in nodes.bed.nodes}
    seen = list(zip(proxy.peers, proxy.requests, strict=False))[start:]  # the proxy may be at work
    return Counter(
        (names[peer], request.path.partition("?")[0].rpartition("/")[2].removesuffix(".zip"))
        for peer, request in seen
        if request.method == "GET" and "/layers/" in request.path and peer in names
    )


def inside(nodes: Nodes, node: str, path: str) -> Path:
    """Returns where a path of a node is seen from here."""
    return Path(f"/proc/{nodes.node(node).holder}/root{path}")


def unpacked(nodes: Nodes, node: str, digest: str) -> list[Path]:
    """What a node has of a layer, whole or not."""
    return sorted(inside(nodes, node, "/tmp/raybundle-0/layers").glob(f"*{digest}*"))


def torn(directory: Path, document: dict[str, Any]) -> list[str]:
    """The files of a layer that are not in `directory` as its document says."""
    return [
        each["path"]
        for each in document["files"]
        if not (directory / each["path"]).is_file()
        or hashlib.sha256((directory / each["path"]).read_bytes()).hexdigest() != each["sha256"]
    ]


def kill_while_materialising(nodes: Nodes, node: str, digest: str) -> list[Path]:
    """Kills the worker of a node that has begun to unpack a layer; returns what there was of the layer."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = unpacked(nodes, node, digest)
        busy = [pid for pid in processes_in(nodes.node(node).namespace) if found and is_materialising(pid)]
        if busy:
            break
        assert time.monotonic() < deadline, f"no worker of {node} was seen with {found}"
        time.sleep(0.001)
    for pid in busy:
        os.kill(pid, signal.SIGKILL)
    return found


def is_materialising(pid: int) -> bool:
    """Tells whether a process is a worker of Ray that waits for, or holds, the lock of unpacking."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # raylets name it within a word
        if any(word.endswith(b"default_worker.py") for word in words):
            return any(
                each.readlink().name == "materialise.lock" for each in Path(f"/proc/{pid}/fd").iterdir()
            )
    return False
