"""Layers in a store, and on a node of the tests."""

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
"""Seconds to wait for an event on a node."""


@dataclass(frozen=True, slots=True)
class StoredLayers:
    """The layers of a store, read with its user's credentials."""

    server: S3Server
    store: str

    @property
    def names(self) -> set[str]:
        """The names of all layer archives and byte-code archives, without `.zip`."""
        prefix = f"{self.store.removeprefix(f's3://{self.server.bucket}/')}/layers/"
        return {item.key.removeprefix(prefix).removesuffix(".zip") for item in self._bucket(prefix)}

    def remove(self, name: str) -> None:
        """Removes an archive from the store."""
        prefix = self.store.removeprefix(f"s3://{self.server.bucket}/")
        [item] = self._bucket(f"{prefix}/layers/{name}.zip")
        item.delete()

    def document(self, name: str, among: Iterable[str]) -> dict[str, Any]:
        """Returns the document of a distribution's layer, which is one of the archives `among`."""
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
        # The items of the listing have no version id, but full objects have one.
        return [bucket.Object(item.key) for item in bucket.objects.filter(Prefix=prefix)]


def fetches(proxy: Proxy, nodes: Nodes, start: int = 0) -> Counter[tuple[str, str]]:
    """Counts how often each node has fetched each layer archive since request `start`."""
    names = {node.address: node.name for node in nodes.bed.nodes}
    seen = list(zip(proxy.peers, proxy.requests, strict=False))[start:]  # the proxy may be adding to them
    return Counter(
        (names[peer], request.path.partition("?")[0].rpartition("/")[2].removesuffix(".zip"))
        for peer, request in seen
        if request.method == "GET" and "/layers/" in request.path and peer in names
    )


def inside(nodes: Nodes, node: str, path: str) -> Path:
    """Returns the path on this machine of a path on a node."""
    return Path(f"/proc/{nodes.node(node).holder}/root{path}")


def unpacked(nodes: Nodes, node: str, digest: str) -> list[Path]:
    """Returns the directories of a layer on a node, complete or not."""
    found = inside(nodes, node, "/tmp/raybundle-0/layers").glob(f"*{digest}*")
    return sorted(each for each in found if each.is_dir())


def torn(directory: Path, document: dict[str, Any]) -> list[str]:
    """Returns the files of a layer that are missing in `directory` or do not match the document."""
    return [
        each["path"]
        for each in document["files"]
        if not (directory / each["path"]).is_file()
        or hashlib.sha256((directory / each["path"]).read_bytes()).hexdigest() != each["sha256"]
    ]


def kill_while_materialising(nodes: Nodes, node: str, digest: str) -> list[Path]:
    """Kills the worker that has begun to unpack a layer, and returns the directories of the layer then."""
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
    """Returns whether a process is a Ray worker that holds `materialise.lock` or waits for it."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")  # raylets name it within a word
        if any(word.endswith(b"default_worker.py") for word in words):
            return any(
                each.readlink().name == "materialise.lock" for each in Path(f"/proc/{pid}/fd").iterdir()
            )
    return False
