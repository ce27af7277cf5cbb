"""`verify` and `check` name what was flipped, swapped, truncated or deleted in a directory and in S3."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.manifest import format_manifest
from raybundle.bundle.values import Manifest, ManifestFile, ModuleEntry, PythonTag
from raybundle.errors import DigestMismatchError, ObjectMissingError, StoreError
from raybundle.formats.canonical import canonical_json, digest_of
from raybundle.model import ArchivePath, ConsoleScriptTarget, ModuleName, ModuleTarget, RootSymbol
from raybundle.node.cache.raybundle_materialise import member_name
from raybundle.pipeline.rebuilding import plan_again
from raybundle.planning import plan
from raybundle.publish.bundles import build, find_bundle
from raybundle.publish.catalogue import tag_bundle
from raybundle.publish.content.checking import Checked, check_store
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.content.verifying import Part, Verified, verify_bundle
from raybundle.publish.gc.reach import Reader
from raybundle.publish.layout import (
    archive_key,
    delivery_key,
    layer_key,
    manifest_key,
    move_key,
    name_key,
    signature_key,
)
from raybundle.publish.names import record_name
from raybundle.publish.putting import prepare
from raybundle.publish.repack import pack_again
from raybundle.publish.runs.records import record_end, record_start
from raybundle.publish.runs.run import new_run
from raybundle.publish.trust.envelope import MANIFEST
from raybundle.request import prepare as prepared
from raybundle.resolve.driver.project import find_target
from raybundle.store import Store, open_store
from raybundle.store.base import LARGEST_DOCUMENT
from raybundle.submission.asking import Given, ask
from raybundle.submission.ray_environment import RayEnvironment
from tests.support.installed import install
from tests.support.layered import plan_with
from tests.support.slow import rest_slow
from tests.support.small_project import tree
from tests.support.store_damage import DAMAGES, damage, overwrite, remove
from tests.support.workplace import make_workplace

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.model import Target
    from raybundle.publish.stored import Stored

LARGE = b'"""' + b"text " * 250_000 + b'"""\n'
"""Enough sources for byte-code of its own."""
FILES = {"one": LARGE, "two": b""}
RECORDED = "2026-11-26T00:00:00+00:00"


@pytest.fixture
def stored(tmp_path: Path, store: Store) -> Stored:
    """A bundle with two layers, one of which has byte-code, two versions of a name, and a run."""
    found = [install(tmp_path / "site", name, {f"{name}.py": data}) for name, data in FILES.items()]
    first = build(plan_with(tmp_path, found[1:], sites=[tmp_path / "site"]), store)
    made = build(plan_with(tmp_path, found, sites=[tmp_path / "site"]), store)
    for bundle in (first, made):
        record_name(store, "name", bundle.digest)
    tag_bundle(store, first.digest, "name")
    run = record_start(store, new_run(made.digest, ["1"], {}, "http://cluster"))
    record_end(store, run, "SUCCEEDED", 0)
    return made


def key_of(what: str, stored: Stored) -> str:
    layers = [layer_key(each.digest) for each in stored.manifest.layers]
    return {
        "manifest": manifest_key(stored.digest),
        "archive": stored.archive_key,
        "delivery": delivery_key(stored.archive_key),
        "layer": layers[0],
        "byte-code": next(key for key in stored.layer_keys if key not in layers),
    }[what]


def other_of(what: str, stored: Stored) -> str:
    """Returns an object of the same kind, or one that is as much like it as there is."""
    return layer_key(stored.manifest.layers[1].digest) if what != "delivery" else manifest_key(stored.digest)


def verified(store: Store, stored: Stored, cache: Cache) -> Verified:
    return verify_bundle(open_shelf(store, cache), stored.digest)


def checked(store: Store, cache: Cache, *, read_data: bool = False) -> Checked:
    return check_store(open_shelf(store, cache), read_data=read_data)


def test_a_store_as_it_was_written_has_nothing_wrong(store: Store, stored: Stored, cache: Cache) -> None:
    found = verified(store, stored, cache)
    walked = checked(store, cache, read_data=True)

    assert [each for each in found.parts if each.state != "ok"] == []
    assert {each.key for each in found.parts} >= {stored.archive_key, *stored.layer_keys}
    assert walked.findings == ()
    assert walked.objects == len(store.keys(""))
    assert not list((cache.directory / "incoming").iterdir())


@pytest.mark.parametrize("kind", rest_slow(DAMAGES, 1))
@pytest.mark.parametrize("what", ["archive", "delivery", "layer", "byte-code", "manifest"])
def test_what_is_damaged_is_named(store: Store, stored: Stored, cache: Cache, what: str, kind: str) -> None:
    key = key_of(what, stored)
    optional = kind == "deleted" and what in {"delivery", "byte-code"}
    damage(store, key, kind, other_of(what, stored))

    if what == "manifest" and kind == "deleted":
        with pytest.raises(ObjectMissingError, match=r"manifest\.json"):
            verified(store, stored, cache)
    else:
        parts = {each.key: each.state for each in verified(store, stored, cache).parts}
        missing = "lost" if optional else "missing"
        named = f"{key.rpartition('/')[0]}/*.zip" if what == "archive" and kind == "deleted" else key
        assert parts[named] == (missing if kind == "deleted" else "damaged")
    assert bool(checked(store, cache, read_data=True).faults) is not optional


@pytest.mark.parametrize(
    ("what", "kind"),
    [("layer", "truncated"), ("layer", "deleted"), ("archive", "deleted"), ("manifest", "flipped")],
)
def test_a_walk_without_data_sees_what_a_list_and_the_documents_show(
    store: Store, stored: Stored, cache: Cache, what: str, kind: str
) -> None:
    damage(store, key_of(what, stored), kind, "")

    assert checked(store, cache).faults


@pytest.mark.usefixtures("stored")
def test_what_breaks_a_rule_is_found_with_its_kind(store: Store, cache: Cache) -> None:
    gone = canonical_json({"bundle": "sha256:" + "0" * 64, "format": 1, "recorded": RECORDED})
    other = "1" * 64
    remove(store, name_key("name", 1))
    overwrite(store, move_key("name", 1), b"{}")
    store.put_new(name_key("lonely", 1), gone)
    store.put_new("notes.txt", b"")
    store.put_new(f"bundles/{other}/graph.json", b"{}")
    store.put_new(f"layers/{other}.zip", b"")
    store.put_new("events/2026/11/q/end.json", b"{}")
    store.put_new("history/2026/11/26/20261126T215712Z!p!SUCCEEDED!0!20261126T215712Z", b"{}")

    findings = checked(store, cache).findings
    found = {(each.kind, each.key) for each in findings}

    assert "no field 'version'" in {each.found for each in findings}
    assert found == {
        ("gap", "names/name/1.json"),
        ("damaged", "names/name/moves/1.json"),
        ("missing", f"bundles/{'0' * 64}/manifest.json"),
        ("unknown", "notes.txt"),
        ("incomplete", f"bundles/{other}/"),
        ("unreachable", f"layers/{other}.zip"),
        ("missing", "runs/2026/11/p.json"),
        ("missing", "runs/2026/11/q.json"),
    }


@pytest.mark.usefixtures("stored")
def test_a_store_of_another_format_is_refused(store: Store, cache: Cache) -> None:
    overwrite(store, "store.json", b'{"features":[],"format":2}')

    with pytest.raises(StoreError, match="has format 2"):
        checked(store, cache)


def test_a_document_of_a_gigabyte_is_refused_before_it_is_in_memory(tmp_path: Path, cache: Cache) -> None:
    store = open_store(str(tmp_path / "store"), {})
    two = [install(tmp_path / "site", "two", {"two.py": b""})]
    made = build(plan_with(tmp_path, two, sites=[tmp_path / "site"]), store)
    with (tmp_path / "store" / manifest_key(made.digest)).open("r+b") as stream:
        stream.truncate(1 << 30)

    [part] = verified(store, made, cache).faults

    assert part.fault is not None
    assert "found more" in part.fault


@pytest.mark.slow
def test_the_exit_codes_are_3_for_a_bundle_and_4_for_a_store(tmp_path: Path) -> None:
    work = make_workplace(tmp_path / "work", RAYBUNDLE_STORE=str(tmp_path / "store"))
    (work.directory / "job.py").write_text("")
    digest = work.build("job.py")
    words = (
        ("verify", digest),
        ("verify", "--rebuild", digest),
        ("check", "--read-data"),
        ("verify", "fedcba98"),
    )

    def codes() -> list[int]:
        return [work.raybundle(*each).returncode for each in words]

    before = codes()
    (work.directory / "job.py").write_text("print(1)\n")
    changed = codes()
    [archive] = (tmp_path / "store/bundles").glob("*/*-*.zip")
    archive.chmod(0o600)
    archive.write_bytes(b"")
    damaged = codes()

    assert (before, changed, damaged) == ([0, 0, 0, 4], [0, 3, 0, 4], [3, 3, 4, 4])
    document = json.loads(work.raybundle("--json", "verify", digest).stdout)
    assert [each["key"] for each in document["objects"] if each["state"] == "damaged"] == [
        archive.relative_to(tmp_path / "store").as_posix()
    ]


PROJECT = {
    "pyproject.toml": '[project]\nname = "acme"\n[project.scripts]\ntrain = "pkg.mod:main"\n'
    '[tool.raybundle]\nroots = ["src"]\n',
    "src/pkg/mod.py": "import sys\n\ndef main(): print(sys.version)\n",
    "job.py": "import sys\nif sys.version_info >= (3, 12):\n    import newer\nfrom pkg import mod\n",
    "newer.py": "",
    "book.ipynb": json.dumps(
        {"cells": [{"cell_type": "code", "source": "from pkg import mod", "metadata": {}}], "nbformat": 4}
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "settings"),
    [
        (ModuleTarget(ModuleName("pkg.mod")), {}),
        ("book.ipynb", {}),
        (ConsoleScriptTarget("train"), {}),
        ("job.py", {"python": "3.12" if sys.version_info < (3, 12) else "3.11"}),
        ("job.py", {"platform": "linux-s390x"}),
        ("job.py", {"platform": f"{os.uname().machine}-unknown-linux-musl"}),
    ],
)
def test_a_target_is_planned_again_for_the_python_and_platform_of_its_bundle(
    tmp_path: Path, target: Target | str, settings: dict[str, str]
) -> None:
    project = tree(tmp_path / "project", {**PROJECT, "src/pkg/__init__.py": ""})
    if "platform" in settings:  # without native files, no bundle names one
        (project / "pkg_data.so").write_bytes(b"")
        (project / "job.py").write_text("import newer\nopen('pkg_data.so')\n")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "VIRTUAL_ENV": sys.prefix}
    found = find_target(str(project / target)) if isinstance(target, str) else target
    given = Given({}, environ, project)
    first = plan(prepared(ask(found, (), replace(given, flags=settings), RayEnvironment(), traces=False)))
    own = plan(prepared(ask(found, (), given, RayEnvironment(), traces=False)))

    assert plan_again(first.manifest, given).digest == first.digest
    assert (own.digest == first.digest) == (not settings)


BOMB = 64 << 20


def with_bomb(archive: bytes, name: str, size: int) -> bytes:
    """Returns an archive with a member that inflates to `BOMB` bytes at once, and tells another size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(buffer, "w") as target:
        for each in source.infolist():
            if each.filename == name:
                target.writestr(name, bytes(BOMB), zipfile.ZIP_BZIP2)
                target.getinfo(name).file_size = size
            else:
                target.writestr(each, source.read(each))
    return buffer.getvalue()


def test_a_bomb_in_an_archive_is_refused_before_it_is_inflated(
    store: Store, stored: Stored, cache: Cache
) -> None:
    """`zipfile` inflates what is packed by bzip2 or LZMA without a bound. Anybody can name an archive."""
    file, layer = stored.manifest.files[0], stored.layers[0].key
    archive = with_bomb(store.get(stored.archive_key), member_name(file.path), file.size)
    key = archive_key(stored.digest, "0" * 64, hashlib.sha256(archive).hexdigest())
    store.put_new(key, archive)
    name = layer.rpartition("/")[2].removesuffix(".zip")
    with zipfile.ZipFile(io.BytesIO(store.get(layer))) as outer:
        document, inner = outer.read(f"{name}.json"), outer.read(f"{name}.zip")
    packed = json.loads(document)["files"][0]
    spoilt = io.BytesIO()
    with zipfile.ZipFile(spoilt, "w") as outer:
        outer.writestr(f"{name}.json", document)
        outer.writestr(f"{name}.zip", with_bomb(inner, packed["path"], packed["size"]))
    overwrite(store, layer, spoilt.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(DigestMismatchError, match="packed in another way"):
            pack_again(io.BytesIO(archive), stored.manifest, stored.delivery, "here")
        faults = {each.key: each.fault for each in verified(store, stored, cache).faults}
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert {key, layer} == faults.keys()
    assert all("packed in another way" in str(fault) for fault in faults.values())
    assert peak < 24 << 20


def test_odd_names_among_the_data_are_unknown_and_stop_no_walk(tmp_path: Path, cache: Cache) -> None:
    store = open_store(str(tmp_path / "store"), {})
    prepare(store)
    odd = {"data/notes.txt", r"data/a\b"}
    for key in odd:
        (tmp_path / "store" / key).parent.mkdir(exist_ok=True)
        (tmp_path / "store" / key).write_bytes(b"x")

    found = checked(store, cache, read_data=True)

    assert [(each.kind, each.key) for each in found.findings] == [("unknown", key) for key in sorted(odd)]


@pytest.mark.slow
def test_the_manifest_of_a_large_project_is_within_the_bounds(tmp_path: Path, cache: Cache) -> None:
    store = open_store(str(tmp_path / "store"), {})
    prepare(store)
    long = "/".join(["x" * 240] * 16)
    files = tuple(
        ManifestFile(ArchivePath(f"project/{long}/{number:05}.py"), executable=False, size=1, sha256="0" * 64)
        for number in range(17_000)
    )
    manifest = Manifest(
        target=ModuleEntry("job"),
        python=PythonTag("cpython", "3.11"),
        path=tuple(map(RootSymbol, ("project:.", "stdlib", "ray"))),
        files=files,
        provided=(),
    )
    data = format_manifest(manifest)
    assert len(data) > LARGEST_DOCUMENT
    store.put_new(manifest_key(digest_of(data)), data)

    with pytest.raises(ObjectMissingError, match="has no archive"):  # the manifest is read
        find_bundle(store, digest_of(data))
    envelope = {
        "payload": base64.b64encode(data).decode(),
        "payloadType": MANIFEST,
        "signatures": [{"keyid": "0" * 64, "sig": base64.b64encode(bytes(64)).decode()}],
    }
    signature = signature_key(digest_of(data), "0" * 64)
    store.put_new(signature, canonical_json(envelope))
    shelf = open_shelf(store, cache)
    found = verify_bundle(shelf, digest_of(data))
    assert found.parts[0] == Part(manifest_key(digest_of(data)), "ok")
    assert found.parts[-1].key == signature
    assert found.parts[-1].fault is None
    assert signature not in [each.key for each in check_store(shelf).findings]
    reader = Reader(store)
    (entry,) = [each for each in store.entries("bundles/") if each.key.endswith("/manifest.json")]
    assert reader.read([entry], lambda _, data: len(data)) == {entry.key: len(data)}
