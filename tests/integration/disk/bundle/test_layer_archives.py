"""Layers as they travel: archives of files and of byte-code, and what is found in one that was changed."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.layers import byte_code
from raybundle.bundle.layers.archive import check_archive, layer_members, write_archive
from raybundle.bundle.layers.byte_code import THRESHOLD, find_byte_code
from raybundle.bundle.layers.describe import KEPT, kept_document
from raybundle.bundle.layers.describe_all import describe_layers
from raybundle.cache.documents import Cache
from raybundle.errors import BundleError, DigestMismatchError
from tests.support.booting import find_base
from tests.support.clocks import later
from tests.support.installed import install, set_times
from tests.support.small_project import interpreter

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.bundle.layers.layer import Layer
    from raybundle.model import Interpreter

PACKAGE = {
    "pkg/__init__.py": b"value = 1\n",
    "pkg/sch\u00f6n.txt": b"text",
    "pkg/empty": b"",
    "pkg/run.sh": b"#!/bin/sh\n",
}
LARGE = b"#" * THRESHOLD
"""A source that compiles in no time."""
SOURCES = {
    "big/__init__.py": b"import os\nplace = __file__\ncode = (lambda: 0).__code__.co_filename\n",
    "big/large.py": LARGE,
    "big/broken.py": b"print 'Python 2'\n",
    "big/tests/test_big.py": b"",
    "six.py": b"value = 6\n",
}


@pytest.fixture
def own_cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def ours(tmp_path: Path) -> Interpreter:
    return interpreter(tmp_path)


def packed(layer: Layer, cache: Cache, target: Path) -> bytes:
    assert layer.directory is not None
    document = kept_document(layer.digest, cache)
    members = layer_members(document, layer.directory)
    write_archive(target, layer.digest[7:], document.format(), members, layer.bytes)
    return target.read_bytes()


@pytest.fixture
def layer(tmp_path: Path, ours: Interpreter, own_cache: Cache) -> Layer:
    each = install(tmp_path / "site", "pkg", PACKAGE)
    (tmp_path / "site/pkg/run.sh").chmod(0o755)
    return describe_layers([each], ours, own_cache)[0]


def test_an_archive_is_two_stored_members_and_the_content_is_all_files(
    layer: Layer, own_cache: Cache, tmp_path: Path
) -> None:
    data = packed(layer, own_cache, tmp_path / "a.zip")
    name = layer.digest[7:]
    check_archive(io.BytesIO(data), name, "here")
    with zipfile.ZipFile(io.BytesIO(data)) as outer:
        assert [(each.filename, each.compress_type) for each in outer.infolist()] == [
            (f"{name}.json", zipfile.ZIP_STORED),
            (f"{name}.zip", zipfile.ZIP_STORED),
        ]
        assert outer.read(f"{name}.json") == kept_document(layer.digest, own_cache).format()
        with zipfile.ZipFile(io.BytesIO(outer.read(f"{name}.zip"))) as inner:
            found = {each.filename: inner.read(each) for each in inner.infolist()}
            modes = {each.filename for each in inner.infolist() if each.external_attr >> 16 == 0o100755}

    assert {path: data for path, data in found.items() if path.startswith("pkg/")} == PACKAGE
    assert modes == {"pkg/run.sh"}


def test_an_archive_has_the_same_bytes_whenever_it_is_made(
    layer: Layer, own_cache: Cache, tmp_path: Path
) -> None:
    first = packed(layer, own_cache, tmp_path / "a.zip")
    set_times(tmp_path / "site/pkg/__init__.py")

    assert packed(layer, own_cache, tmp_path / "b.zip") == first


def test_zlib_and_isal_pack_the_same_members_into_other_bytes(
    own_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("isal")
    each = install(tmp_path / "other", "pkg", {**PACKAGE, "pkg/words.txt": b"one two three four " * 5000})
    layer = describe_layers([each], interpreter(tmp_path), own_cache)[0]
    found = {}
    for pure in ("", "1"):
        monkeypatch.setenv("RAYBUNDLE_PURE", pure)
        data = packed(layer, own_cache, tmp_path / f"{pure}.zip")
        check_archive(io.BytesIO(data), layer.digest[7:], "here")
        found[pure] = data

    assert len(found["1"]) < 5000
    assert found[""] != found["1"]


def test_archives_are_packed_where_isal_is_not_installed(
    layer: Layer, own_cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    without = packed(layer, own_cache, tmp_path / "a.zip")
    monkeypatch.setenv("RAYBUNDLE_PURE", "1")

    assert packed(layer, own_cache, tmp_path / "b.zip") == without


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_file_that_changed_since_it_was_described_stops_the_build(
    change: str, layer: Layer, own_cache: Cache, tmp_path: Path
) -> None:
    file = tmp_path / "site/pkg/__init__.py"
    if change == "edited":
        file.write_bytes(b"value = 2\n")
    else:
        file.unlink()

    with pytest.raises(BundleError, match=r"pkg/__init__\.py changed while it was being bundled"):
        packed(layer, own_cache, tmp_path / "a.zip")


def test_an_archive_that_was_changed_anywhere_is_refused(
    layer: Layer, own_cache: Cache, tmp_path: Path
) -> None:
    data = packed(layer, own_cache, tmp_path / "a.zip")
    content = data.index(b"value = 1") if b"value = 1" in data else data.index(b"pkg/empty") + 20
    other = layer.digest[7:][::-1]

    for bad in (
        data[:-30],
        data[:content] + b"\xff" + data[content + 1 :],
        b"",
        data.replace(b'"size"', b'"Size"'),
    ):
        with pytest.raises(DigestMismatchError, match=r"layers/a\.zip"):
            check_archive(io.BytesIO(bad), layer.digest[7:], "layers/a.zip")
    with pytest.raises(DigestMismatchError):
        check_archive(io.BytesIO(data), other, "layers/a.zip")


def test_a_well_made_archive_with_another_file_in_it_is_refused(
    layer: Layer, own_cache: Cache, tmp_path: Path
) -> None:
    document = kept_document(layer.digest, own_cache)
    poison = b"value = 6\n"
    members = [
        replace(each, source=poison, size=len(poison), sha256=hashlib.sha256(poison).hexdigest())
        if each.path == "pkg/__init__.py"
        else each
        for each in layer_members(document, tmp_path / "site")
    ]
    write_archive(tmp_path / "a.zip", layer.digest[7:], document.format(), members, layer.bytes)

    with pytest.raises(DigestMismatchError, match=r"pkg/__init__\.py in layers/a\.zip"):
        check_archive(io.BytesIO((tmp_path / "a.zip").read_bytes()), layer.digest[7:], "layers/a.zip")


@pytest.fixture
def big(tmp_path: Path, ours: Interpreter, own_cache: Cache) -> Layer:
    each = install(tmp_path / "site", "big", SOURCES)
    return describe_layers([each], ours, own_cache)[0]


def test_byte_code_is_of_all_that_compiles_but_tests(big: Layer, ours: Interpreter, own_cache: Cache) -> None:
    (found,) = find_byte_code([big], ours, own_cache)
    tag = sys.implementation.cache_tag
    with zipfile.ZipFile(found.archive) as outer:
        assert outer.namelist() == [f"{found.name}.json", f"{found.name}.zip"]
        names = zipfile.ZipFile(io.BytesIO(outer.read(f"{found.name}.zip"))).namelist()

    assert found.name.startswith(f"{big.digest[7:]}-{tag}-")
    assert names == [
        f"__pycache__/six.{tag}.pyc",
        f"big/__pycache__/__init__.{tag}.pyc",
        f"big/__pycache__/large.{tag}.pyc",
    ]
    check_archive(io.BytesIO(found.archive.read_bytes()), found.name, "here")


def test_python_takes_the_byte_code_without_a_look_at_the_source(
    big: Layer, ours: Interpreter, own_cache: Cache, tmp_path: Path
) -> None:
    (found,) = find_byte_code([big], ours, own_cache)
    site = tmp_path / "site"
    with zipfile.ZipFile(found.archive) as outer:
        zipfile.ZipFile(io.BytesIO(outer.read(f"{found.name}.zip"))).extractall(site)
    (site / "six.py").write_text("value = 'the source'\n")
    program = "import six, big; print(six.value, big.code == big.place == big.__file__)"
    ran = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": str(site)}, capture_output=True, check=True
    )

    assert ran.stdout.split() == [b"6", b"True"]


def test_what_is_compiled_once_is_kept_and_a_small_layer_has_none(
    big: Layer, layer: Layer, ours: Interpreter, own_cache: Cache
) -> None:
    first = find_byte_code([big, layer], ours, own_cache)
    gone = replace(ours, executable="/no/such/python")

    assert [each.layer for each in first] == [big.digest[7:]]
    assert find_byte_code([big, layer], gone, own_cache) == first


@pytest.mark.parametrize("other", [{"executable": "/no/such/python"}, {"version": (3, 9, 0)}])
def test_without_the_target_interpreter_the_nodes_compile(
    other: dict[str, object], big: Layer, ours: Interpreter, own_cache: Cache
) -> None:
    assert find_byte_code([big], replace(ours, **other), own_cache) == ()  # type: ignore[arg-type]


def test_a_source_that_changed_since_it_was_described_is_not_compiled(
    big: Layer, ours: Interpreter, own_cache: Cache, tmp_path: Path
) -> None:
    (tmp_path / "site/six.py").write_text("value = 7\n")

    with pytest.raises(BundleError, match=r"six\.py changed while it was being bundled"):
        find_byte_code([big], ours, own_cache)


def test_kept_byte_code_that_others_can_write_is_not_believed(
    big: Layer, ours: Interpreter, own_cache: Cache
) -> None:
    (found,) = find_byte_code([big], ours, own_cache)
    found.archive.chmod(0o666)

    assert find_byte_code([big], replace(ours, executable="/no/such/python"), own_cache) == ()


def test_what_another_process_takes_away_from_the_kept_byte_code_disturbs_nobody(
    big: Layer, ours: Interpreter, own_cache: Cache
) -> None:
    folder = own_cache.directory / "byte-code"
    folder.mkdir(parents=True)
    (folder / ".1-partial").symlink_to("nowhere")

    assert [each.layer for each in find_byte_code([big], ours, own_cache)] == [big.digest[7:]]


def test_room_for_new_byte_code_is_not_made_of_what_the_same_build_needs(
    big: Layer, tmp_path: Path, ours: Interpreter, own_cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = find_byte_code([big], ours, own_cache)
    set_times(first.archive)
    other = install(tmp_path / "site", "other", {"other/__init__.py": LARGE})
    monkeypatch.setattr(byte_code, "KEPT_BYTES", 1)
    found = find_byte_code([big, *describe_layers([other], ours, own_cache)], ours, own_cache)

    assert [each.archive.is_file() for each in found] == [True, True]


def test_what_a_description_found_warm_outlives_what_is_removed_behind_it(
    tmp_path: Path, ours: Interpreter
) -> None:
    cache = Cache(tmp_path / "cache", later)
    first, other = (install(tmp_path / "site", name, {f"{name}.py": b""}) for name in ("aa", "bb"))
    describe_layers([first], ours, cache)
    folder = tmp_path / "cache/layers"
    for file in folder.iterdir():
        os.utime(file, (1, 1))
    for number in range(KEPT.most):
        (folder / f"unused-{number}").touch()
        set_times(folder / f"unused-{number}")
    (folder / "unused-gone").symlink_to("nowhere")
    found = describe_layers([first, other], ours, cache)

    assert len(list(folder.iterdir())) <= KEPT.most
    assert kept_document(found[0].digest, cache).name == "aa"


SETS = b"def f(x):\n    return x in {'one', 'two', 'three', 'four', 'five', 'six', 'seven'}\n"


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.13"])
def test_the_same_sources_give_the_same_byte_code_each_time(
    version: str, tmp_path: Path, ours: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    executable = find_base(version) or pytest.skip(f"no Python {version} here")
    major, minor = map(int, version.split("."))
    theirs = replace(ours, executable=str(executable), version=(major, minor, 0))
    each = install(tmp_path / "site", "big", {**SOURCES, "sets.py": SETS})
    (tmp_path / "site/json.py").write_text("raise SystemExit('of another program')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
    listings: set[str] = set()
    for number in range(3):
        cache = Cache(tmp_path / f"cache-{number}")
        listings.update(
            found.listing for found in find_byte_code(describe_layers([each], ours, cache), theirs, cache)
        )

    assert len(listings) == 1


@pytest.mark.parametrize("newer", [0, 1])
def test_of_two_archives_of_one_layer_the_newer_one_is_taken(
    newer: int, big: Layer, ours: Interpreter, own_cache: Cache
) -> None:
    (found,) = find_byte_code([big], ours, own_cache)
    other = found.archive.with_name(found.name.replace(found.listing, "0" * 64) + ".zip")
    other.write_bytes(found.archive.read_bytes())
    other.chmod(0o600)
    set_times((other, found.archive)[newer])
    expected = (found.archive, other)[newer]

    assert find_byte_code([big], ours, own_cache)[0].archive == expected
    assert find_byte_code([big], ours, own_cache)[0].archive == expected
