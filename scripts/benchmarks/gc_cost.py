"""What `gc` costs without `--delete` in an S3 store on loopback with 50,000 objects, all manifests read."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from raybundle.bundle.manifest import format_manifest
from raybundle.bundle.values import LayerEntry, Manifest, ManifestFile, PythonTag, ScriptEntry
from raybundle.formats.canonical import digest_of
from raybundle.model import ArchivePath, Digest, RootSymbol
from raybundle.publish.gc.collect import collect
from raybundle.publish.gc.reach import Policy
from raybundle.publish.layout import graph_key, manifest_key
from raybundle.publish.putting import prepare
from raybundle.publish.runs.records import record_end, record_start
from raybundle.publish.runs.run import new_run
from raybundle.store import open_store
from tests.support.s3_server import s3_server

if TYPE_CHECKING:
    from raybundle.store.base import Store

BUNDLES, WRITERS = 5_000, 16
"""Each has four objects, a run with four, and a layer of its own with byte-code: 50,000 in all."""
LAYERS, FILES = 10, 20
"""Of each bundle; it shares layers with the ones before it."""


def measure(rounds: int) -> dict[str, Any]:
    """Returns the seconds for each round, and the number of objects."""
    with s3_server() as server:
        store = open_store(server.prefix(), server.environ)
        prepare(store)
        with ThreadPoolExecutor(WRITERS) as pool:
            list(pool.map(lambda number: _put(store, number), range(BUNDLES)))
        spent: dict[str, list[float]] = {"shown": [], "own CPU": []}
        for _ in range(rounds):
            fresh = open_store(store.url, server.environ)
            begin, worked = time.perf_counter(), time.process_time()
            found = collect(fresh, Policy(timedelta(0)))
            spent["shown"].append(time.perf_counter() - begin)
            spent["own CPU"].append(time.process_time() - worked)
            assert not found.bundles
    return {**spent, "objects": found.objects}


def _layer(number: int) -> Digest:
    return Digest(f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}")


def _put(store: Store, number: int) -> None:
    layers = [
        LayerEntry(f"d{each:05}", "1.0", _layer(each))
        for each in range(max(0, number - LAYERS + 1), number + 1)
    ]
    sources = [f"project/module_{each:02}.py" for each in range(FILES)]
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    manifest = Manifest(
        ScriptEntry(ArchivePath(sources[0])),
        PythonTag("cpython", "3.12"),
        (RootSymbol("project:."), RootSymbol("stdlib"), RootSymbol("layers"), RootSymbol("ray")),
        tuple(ManifestFile(ArchivePath(each), False, 1000, digest) for each in sources),  # noqa: FBT003
        provided=(),
        layers=tuple(layers),
    )
    data = format_manifest(manifest)
    bundle = digest_of(data)
    folder = manifest_key(bundle).removesuffix("manifest.json")
    own = _layer(number).removeprefix("sha256:")
    for key in (f"layers/{own}.zip", f"layers/{own}-cpython-312-{'0' * 64}.zip"):
        store.put_new(key, b"x")
    for key in (
        f"{folder}{'1' * 64}-{'2' * 64}.zip",
        f"{folder}{'1' * 64}-{'2' * 64}.json",
        graph_key(bundle),
    ):
        store.put_new(key, b"x")
    store.put_new(manifest_key(bundle), data)
    began = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=number)
    run = new_run(bundle, [], {}, "http://127.0.0.1:8265", f"rb-{began:%Y%m%d-%H%M%S}-{number:08x}")
    record_end(store, record_start(store, replace(run, started=began)), "SUCCEEDED", 0)
