"""Every reader refuses what it cannot read, or makes it anew; no error but raybundle's own leaves it."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raybundle.bundle.delivery import Packed, parse_delivery
from raybundle.bundle.layers.archive import NO_ARCHIVE, check_archive
from raybundle.bundle.layers.document import parse_document
from raybundle.bundle.manifest import format_manifest, parse_manifest
from raybundle.cache.documents import Cache
from raybundle.cli.output.history import record_lines
from raybundle.cluster.embedded.record import LocalCluster, read_record
from raybundle.errors import BundleError, RaybundleError, StoreError
from raybundle.formats.canonical import canonical_json, digest_of
from raybundle.formats.deterministic_zip import member_info, plain_bytes
from raybundle.model import ScriptTarget
from raybundle.pipeline.past.runs import RunRecord
from raybundle.publish import layout
from raybundle.publish.bundles import build, bytes_of, find_bundle
from raybundle.publish.names import record_name
from raybundle.publish.receipts import KEPT, Receipts
from raybundle.publish.refs import look_up
from raybundle.publish.runs.marks import event_key
from raybundle.publish.runs.records import read_events, record_start
from raybundle.publish.runs.run import document_of, new_run
from raybundle.publish.stored import LayerArchive
from raybundle.reporting.path_view import seen_by
from raybundle.reporting.timeline import timeline_of
from raybundle.resolve.trace.lock import read_lock
from raybundle.store import open_store
from raybundle.store.base import Entry
from raybundle.submission.packages import packages_of
from raybundle.submission.recording.observed import EVENT as OBSERVED
from raybundle.submission.recording.observed import gather
from raybundle.submission.relay import _PACKAGES, Relay
from tests.support.damage import VALUES, bent, damaged
from tests.support.installed import install, set_times
from tests.support.layer_archives import make_layer
from tests.support.layered import plan_with
from tests.support.small_project import interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.planning import Plan
    from raybundle.store.base import Store

pytestmark = pytest.mark.slow

USUAL, WIDE = 30, 400
SIZES = pytest.mark.parametrize("examples", [USUAL, pytest.param(WIDE, marks=pytest.mark.all_jobs)])
"""Examples of each test; the wide run is one of `scripts/test --all`."""
LARGE = b"value = 1\n" * (1 << 17)
LAYER, LAYER_KEY, ARCHIVE = make_layer("small", {"small.py": b"value = 1\n"})


def tried(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, database=None, suppress_health_check=checks)


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A plan with a layer whose byte-code travels."""
    work = tmp_path_factory.mktemp("work")
    found = plan_with(
        work, [install(work / "site", "big", {"big/__init__.py": LARGE})], sites=[work / "site"]
    )
    return replace(found, resolution=replace(found.resolution, mentioned=("big",)))


@pytest.fixture
def store(planned: Plan, tmp_path: Path) -> Store:
    found = open_store(str(tmp_path / "store"), {})
    build(planned, found)
    record_name(found, "name", planned.digest)
    return found


RUN = new_run(digest_of(b""), ("a", "b"), {}, "http://127.0.0.1:1", "run-1")
AT = "2026-11-26T12:00:00.000+00:00"
LINES = (
    b"node\thost\tlinux\tglibc 2.36\tray-2.60.0\n",
    b"process\tdriver\t1\t3.11\t1\t0.5\nready\t1\t2.0\n",
)
NODE = gather({"0" * 56: b"".join(LINES)})
OUTSIDE = {"module": "os", "file": "/os.py", "process": "driver", "node": "host"}
EVENTS: dict[str, dict[str, Any]] = {
    "accepted": {"timings": {"resolve": 0.5}},
    "running": {"driver_node": "host", "driver_node_id": "0"},
    OBSERVED: {**NODE, "outside": [OUTSIDE], "omitted": 1},
    "end": {"status": "FAILED", "exit_code": 10, "driver_exit_code": 1, "ended": AT, "error": "no"},
}


def show(store: Store, planned: Plan) -> None:
    bytes_of(store, find_bundle(store, planned.digest))


def look(store: Store, _planned: Plan) -> None:
    look_up(store, "name")


def start(store: Store, _planned: Plan) -> None:
    record_start(store, RUN)


def tell(store: Store, _planned: Plan) -> None:
    record = RunRecord(RUN, read_events(store, RUN))
    list(record_lines(record))
    timeline_of(RUN.id, RUN.started, record.events)
    if OBSERVED in record.events:
        seen_by(record.events[OBSERVED])


OBJECTS = {
    "store.json": (show, {"features": [], "format": 1}),
    "names/name/1.json": (
        look,
        {"bundle": digest_of(b""), "format": 1, "recorded": "2026-11-26T12:00:00+00:00"},
    ),
    "names/name/moves/1.json": (
        look,
        {"after": 1, "format": 1, "recorded": "2026-11-26T12:00:00+00:00", "version": 1},
    ),
    layout.run_key(RUN.id, RUN.started): (
        start,
        document_of(RUN),
    ),
    **{
        event_key(RUN, event): (tell, {"schema_version": 1, "id": RUN.id, "at": AT, **facts})
        for event, facts in EVENTS.items()
    },
    "graph.json": (show, {"distributions": [{"name": "big", "bytes": 1}]}),
    "delivery": (
        show,
        {"absent": {"x": "y 1"}, "byte_code": {"0" * 64: f"cpython-311-{'0' * 64}"}, "format": 1},
    ),
}


@SIZES
@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_of_the_store(
    store: Store, planned: Plan, tmp_path: Path, name: str, examples: int
) -> None:
    read, document = OBJECTS[name]
    key = {
        "graph.json": layout.graph_key(planned.digest),
        "delivery": layout.delivery_key(find_bundle(store, planned.digest).archive_key),
    }.get(name, name)
    file = tmp_path / "store" / key
    file.parent.mkdir(parents=True, exist_ok=True)

    @tried(examples)
    @given(damaged(document))
    def check(data: bytes) -> None:
        file.unlink(missing_ok=True)
        file.write_bytes(data)
        with suppress(RaybundleError):
            read(store, planned)

    check()


@SIZES
def test_a_manifest_a_delivery_and_a_document_of_the_right_digest(planned: Plan, examples: int) -> None:
    document = make_layer("x", {"x.py": b""})[2]
    with zipfile.ZipFile(io.BytesIO(document)) as zipped:
        listed = json.loads(zipped.read(zipped.namelist()[0]))
    delivery = {"absent": {}, "byte_code": {"0" * 64: f"cpython-311-{'0' * 64}"}, "format": 1}

    @tried(examples * 3)
    @given(damaged(json.loads(planned.manifest_bytes)), damaged(delivery), damaged(listed))
    def check(manifest: bytes, sent: bytes, layer: bytes) -> None:
        with suppress(BundleError):
            assert format_manifest(parse_manifest(manifest, digest_of(manifest))) == manifest
        with suppress(BundleError):
            assert parse_delivery(sent, "delivery.json").format() == sent
        with suppress(ValueError):
            assert parse_document(layer).format() == layer

    check()


def hostile(document: dict[str, Any]) -> dict[str, bytes]:
    """Returns documents that JSON parsers read, if at all, in more than one way."""
    text = canonical_json(document).decode()
    name = next(iter(sorted(document)))
    value = canonical_json(document[name]).decode()
    return {
        "deep lists": b"[" * 100_000,
        "deep objects": b'{"files":' * 100_000,
        "deep within": text.replace(value, "[" * 100_000 + "]" * 100_000, 1).encode(),
        "twice the same key": text.replace("{", f'{{"{name}":{value},', 1).encode(),
        "a float": text.replace('"format":1', '"format":1.0', 1).replace('"size":', '"size":0.', 1).encode(),
        "no number": text.replace('"format":1', '"format":NaN', 1)
        .replace('"size":', '"size":1e9999,"x":', 1)
        .encode(),
        "a number of 100,000 digits": text.replace('"format":1', f'"format":{"1" * 100_000}', 1).encode()
        + b" ",
        "an unknown key": text.replace("{", '{"":0,', 1).encode(),
        "spaces": json.dumps(document).encode() + b" ",
        "a byte order mark": b"\xef\xbb\xbf" + text.encode(),
    }


@pytest.mark.parametrize("kind", hostile({"a": {}}))
def test_documents_that_two_parsers_may_read_differently_are_refused(planned: Plan, kind: str) -> None:
    manifest = hostile(json.loads(planned.manifest_bytes))[kind]
    file = {"executable": False, "path": "x.py", "sha256": "0" * 64, "size": 1}
    layer = hostile({"files": [file], "format": 1, "name": "x", "version": "1"})[kind]
    delivery = hostile(
        {"absent": {}, "archives": {"a": {"sha256": "0" * 64, "size": 1}}, "byte_code": {}, "format": 1}
    )[kind]

    with pytest.raises(BundleError):
        parse_manifest(manifest, digest_of(manifest))
    with pytest.raises(BundleError):
        parse_delivery(delivery, "delivery.json")
    with pytest.raises(ValueError, match="layer document"):
        parse_document(layer)


@SIZES
def test_an_archive_of_a_layer_and_one_of_a_bundle(
    store: Store, planned: Plan, tmp_path: Path, examples: int
) -> None:
    stem = LAYER_KEY[7:-4]
    found = find_bundle(store, planned.digest)
    whole = store.get(found.archive_key)
    boot = found.boot
    for lost in (found.archive_key, layout.delivery_key(found.archive_key)):
        (tmp_path / "store" / lost).unlink()

    @tried(examples * 2)
    @given(bent(ARCHIVE), bent(whole))
    def check(layer: bytes, bundle: bytes) -> None:
        with suppress(BundleError):
            check_archive(io.BytesIO(layer), stem, "an archive")
        with suppress(BundleError):
            [*packages_of(LAYER_KEY, io.BytesIO(layer))]
        key = layout.archive_key(planned.digest, boot, hashlib.sha256(bundle).hexdigest())
        store.put_new(key, bundle)
        with suppress(RaybundleError):
            find_bundle(store, planned.digest)
        (tmp_path / "store" / key).unlink()

    check()


@SIZES
def test_a_member_that_is_read_at_once_is_what_zipfile_reads(examples: int) -> None:
    written, names = io.BytesIO(), ["a.py", "é.py", "empty", "stored"]
    with zipfile.ZipFile(written, "w") as archive:
        for number, name in enumerate(names):
            packing = zipfile.ZIP_STORED if name == "stored" else zipfile.ZIP_DEFLATED
            archive.writestr(member_info(name, compression=packing), b"value = 1\n" * number * 9)

    def read(data: bytes) -> list[tuple[bytes | None, bytes | None]]:
        found = []
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                expected = None
                with suppress(*NO_ARCHIVE):
                    expected = archive.read(info)
                found.append((plain_bytes(archive, info), expected))
        return found

    @tried(examples * 10)
    @given(bent(written.getvalue()))
    def check(data: bytes) -> None:
        with suppress(*NO_ARCHIVE):
            assert [(at_once, whole) for at_once, whole in read(data) if at_once not in {None, whole}] == []

    check()
    assert all(at_once == whole is not None for at_once, whole in read(written.getvalue()))


@SIZES
def test_the_record_of_the_embedded_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, examples: int
) -> None:
    monkeypatch.setenv("RAYBUNDLE_LOCAL_STATE", str(tmp_path))
    record = {
        "address": "http://127.0.0.1:1",
        "python": "/usr/bin/python3",
        "ray_version": "2.60.0",
        "temp_dir": "/nowhere",
        "processes": [{"pid": 1, "started": "x"}],
    }

    @tried(examples * 2)
    @given(damaged(record))
    def check(data: bytes) -> None:
        (tmp_path / "cluster.json").write_bytes(data)
        assert isinstance(read_record(), (LocalCluster, type(None)))

    check()


@SIZES
def test_the_lock_file_of_a_project(tmp_path: Path, examples: int) -> None:
    python = interpreter(tmp_path)
    entry = {"python": "3.11", "modules": ["a"], "third_party": {"b": "1"}, "files": ["c"]}
    document = {"format": 1, "targets": {"job.py": entry}}

    @tried(examples * 2)
    @given(damaged(document))
    def check(data: bytes) -> None:
        (tmp_path / "raybundle-trace.json").write_bytes(data)
        with suppress(RaybundleError):
            read_lock(tmp_path, ScriptTarget(tmp_path / "job.py"), python)

    check()


@SIZES
def test_documents_of_the_cache_that_outlive_the_code(store: Store, tmp_path: Path, examples: int) -> None:
    cache = Cache(tmp_path / "cache")
    name = Receipts(cache, store.place)._name()
    packed = Packed("ab" * 32, 7)
    entry = Entry("key", 7, datetime.now(timezone.utc), "mark")
    relay = Relay(None, store, cache)  # type: ignore[arg-type]  # it asks no cluster

    @tried(examples * 2)
    @given(VALUES)
    def check(document: Any) -> None:
        cache.write(KEPT, name, document)
        receipts = Receipts(cache, store.place)
        assert receipts.find(entry._replace(key="no such key")) is None
        receipts.add("key", packed, "mark")
        receipts.save()
        assert Receipts(cache, store.place).find(entry) == packed
        cache.write(_PACKAGES, cache.key(packed.sha256), document)
        assert all(isinstance(each, str) for each in relay._recall(LayerArchive("key", packed)))

    check()


@SIZES
def test_any_damaged_file_of_the_cache_is_made_anew(planned: Plan, tmp_path: Path, examples: int) -> None:
    """Every file that a build keeps, with the layer's byte-code, which the build sends to a new store."""
    work = planned.cache.directory.parents[1]
    site = work / "site"
    set_times(site)

    def built() -> tuple[str, tuple[str, ...]]:
        again = plan_with(work, planned.resolution.distributions, sites=[site])
        again = replace(again, resolution=planned.resolution)
        found = build(again, open_store(str(tmp_path / "new"), {}))
        shutil.rmtree(tmp_path / "new")
        return found.digest, found.layer_keys

    right, cache = built(), planned.cache.directory
    whole = shutil.copytree(cache, tmp_path / "whole")
    kept = {str(each.relative_to(whole)): each.read_bytes() for each in whole.rglob("*") if each.is_file()}
    assert {name.partition("/")[0] for name in kept} >= {"byte-code", "layers", "receipts", "answers"}

    @tried(max(10, examples // 4))
    @given(st.sampled_from(sorted(kept)).flatmap(lambda name: st.tuples(st.just(name), bent(kept[name]))))
    def check(damage: tuple[str, bytes]) -> None:
        shutil.rmtree(cache)
        shutil.copytree(whole, cache)
        (cache / damage[0]).write_bytes(damage[1])
        assert built() == right

    check()


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"features":[],"format":2}', b'{"format":1}', b"\xff"])
def test_a_store_of_another_format_is_refused_by_all_that_read_it(
    store: Store, planned: Plan, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "store/store.json").unlink()
    (tmp_path / "store/store.json").write_bytes(data)

    with pytest.raises(StoreError):
        find_bundle(store, planned.digest)
    with pytest.raises(StoreError):
        build(planned, store)
    other = open_store(str(tmp_path / "other"), {})
    assert find_bundle(other, build(planned, other).digest).digest == planned.digest  # what the hint says
