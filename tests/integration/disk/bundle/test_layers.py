"""What travels of an installed distribution, and what is said where it is not as its RECORD has it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import distribution as installed
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from raybundle.bundle.layers.describe import KEPT, kept_document
from raybundle.bundle.layers.describe_all import describe_layers
from raybundle.cache.documents import Cache
from raybundle.errors import RefusedFileError
from raybundle.model import Distribution
from tests.support.clocks import early, later
from tests.support.installed import in_base64, install
from tests.support.small_project import interpreter

if TYPE_CHECKING:
    from collections.abc import Callable

    from raybundle.bundle.layers.layer import Layer
    from raybundle.model import Interpreter

PACKAGE = {"pkg/__init__.py": b"value = 1\n", "pkg/data.bin": bytes(range(256))}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "site"


@pytest.fixture
def own_cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def ours(tmp_path: Path) -> Interpreter:
    return interpreter(tmp_path)


def one(each: Distribution, ours: Interpreter, cache: Cache) -> Layer:
    (layer,) = describe_layers([each], ours, cache)
    return layer


def paths(layer: Layer, cache: Cache) -> list[str]:
    return [file.path for file in kept_document(layer.digest, cache).files]


def test_what_an_installer_adds_does_not_travel(site: Path, ours: Interpreter, own_cache: Cache) -> None:
    left = {
        "pkg-1.0.dist-info/INSTALLER": b"uv",
        "pkg-1.0.dist-info/REQUESTED": b"",
        "pkg-1.0.dist-info/direct_url.json": b'{"url": "https://user:password@host/"}',
        "pkg-1.0.dist-info/uv_cache.json": b"{}",
        "pkg/__pycache__/__init__.cpython-311.pyc": b"byte-code",
        "pkg/__init__.pyc": b"byte-code",
        "pkg.pth": b"# import pkg",
        "bin/tool": b"#!/bin/sh",
        "pkg/weights.pth": b"data, and not for `site`",
    }
    each = install(site, "pkg", {**PACKAGE, **left}, rows=["../../../bin/tool,,", "/usr/share/man/x.1,,"])
    layer = one(each, ours, own_cache)

    assert paths(layer, own_cache) == [
        "pkg-1.0.dist-info/METADATA",
        "pkg-1.0.dist-info/RECORD",
        "pkg/__init__.py",
        "pkg/data.bin",
        "pkg/weights.pth",
    ]
    assert (layer.name, layer.version, layer.native, layer.warnings) == ("pkg", "1.0", False, ())


def test_the_record_that_travels_lists_what_travels(site: Path, ours: Interpreter, own_cache: Cache) -> None:
    layer = one(install(site, "pkg", {**PACKAGE, "a,b.py": b"x"}), ours, own_cache)
    document = kept_document(layer.digest, own_cache)
    metadata = (site / "pkg-1.0.dist-info/METADATA").read_bytes()

    assert document.record().decode().splitlines() == [
        f'"a,b.py",sha256={in_base64(b"x")},1',
        f"pkg-1.0.dist-info/METADATA,sha256={in_base64(metadata)},{len(metadata)}",
        "pkg-1.0.dist-info/RECORD,,",
        f"pkg/__init__.py,sha256={in_base64(b'value = 1' + bytes([10]))},10",
        f"pkg/data.bin,sha256={in_base64(bytes(range(256)))},256",
    ]
    assert layer.bytes == len(metadata) + len(document.record()) + 1 + 10 + 256


def test_a_real_distribution_is_described_and_others_are_not(ours: Interpreter, own_cache: Cache) -> None:
    metadata = Path(str(installed("packaging").locate_file(""))) / (
        f"packaging-{installed('packaging').version}.dist-info"
    )
    each = Distribution("packaging", installed("packaging").version, "bundle", 0, (), metadata)
    layers = describe_layers([each, replace(each, provided_by="cluster")], ours, own_cache)

    assert [layer.name for layer in layers] == ["packaging"]
    assert {"packaging/__init__.py", f"{metadata.name}/METADATA"} <= set(paths(layers[0], own_cache))


@pytest.mark.parametrize("name", ["lib.so", "lib.so.1", "lib.so.1.2.3", "lib.pyd", "lib.dylib"])
def test_a_library_makes_a_layer_native(name: str, site: Path, ours: Interpreter, own_cache: Cache) -> None:
    assert one(install(site, "pkg", {**PACKAGE, f"pkg.libs/{name}": b""}), ours, own_cache).native


def test_all_missing_files_are_named_at_once(site: Path, ours: Interpreter, own_cache: Cache) -> None:
    broken = [install(site, name, {f"{name}.py": b""}) for name in ("one", "two")]
    (site / "one.py").unlink()
    (site / "two.py").unlink()

    with pytest.raises(
        RefusedFileError, match=r"(?s)one 1.0: .*one\.py is listed.*two\.py is listed"
    ) as caught:
        describe_layers(broken, ours, own_cache)
    assert "--no-deps one==1.0 two==1.0" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"only,two", "not a path"),
        (b"\xff.py,,", "not UTF-8"),
        (b"a\x01b,,", "not the path"),
        (b'"x,,', "unexpected end"),
    ],
)
def test_a_line_of_record_that_makes_no_sense_is_named(
    row: bytes, said: str, site: Path, ours: Interpreter, own_cache: Cache
) -> None:
    each = install(site, "pkg", PACKAGE)
    record = site / "pkg-1.0.dist-info/RECORD"
    lines = record.read_bytes().count(b"\n")
    record.write_bytes(record.read_bytes() + row)

    with pytest.raises(RefusedFileError, match=rf"RECORD:{lines + 1}: .*{said}"):
        one(each, ours, own_cache)


def test_a_record_that_was_emptied_is_named(site: Path, ours: Interpreter, own_cache: Cache) -> None:
    each = install(site, "pkg", PACKAGE)
    (site / "pkg-1.0.dist-info/RECORD").write_bytes(b"")

    with pytest.raises(RefusedFileError, match=r"pkg-1\.0\.dist-info/RECORD: it lists no files"):
        one(each, ours, own_cache)


def test_a_link_counts_as_what_it_leads_to_if_that_is_inside(
    site: Path, ours: Interpreter, own_cache: Cache
) -> None:
    plain = one(install(site, "pkg", PACKAGE), ours, own_cache)
    (site / "elsewhere").mkdir()
    (site / "pkg/data.bin").rename(site / "elsewhere/data.bin")
    (site / "pkg/data.bin").symlink_to(site / "elsewhere/data.bin")

    assert one(install_again(site), ours, own_cache).digest == plain.digest


def install_again(site: Path) -> Distribution:
    return Distribution("pkg", "1.0", "bundle", 0, (), site / "pkg-1.0.dist-info")


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_link_that_leads_out_is_refused(
    what: str, site: Path, ours: Interpreter, own_cache: Cache, tmp_path: Path
) -> None:
    each = install(site, "pkg", PACKAGE)
    moved = site / "pkg/data.bin" if what == "file" else site / "pkg"
    moved.rename(tmp_path / "outside")
    moved.symlink_to(tmp_path / "outside")

    with pytest.raises(RefusedFileError, match="leads out of") as caught:
        one(each, ours, own_cache)
    assert "--link-mode copy" in str(caught.value.hint)


def test_an_edited_file_travels_as_it_is_and_is_warned_of(
    site: Path, ours: Interpreter, own_cache: Cache
) -> None:
    each = install(site, "pkg", PACKAGE)
    before = one(each, ours, own_cache)
    (site / "pkg/__init__.py").write_bytes(b"value = 2\n")
    layer = one(each, ours, own_cache)

    assert layer.digest != before.digest
    assert [warning.text for warning in layer.warnings] == [
        "pkg/__init__.py of pkg 1.0 differs from RECORD and is bundled as it is"
    ]
    assert "pkg==1.0" in str(layer.warnings[0].hint)


def test_a_file_that_another_wrote_over_travels_with_that_one_alone(
    site: Path, ours: Interpreter, own_cache: Cache
) -> None:
    first = install(site, "first", {"shared/__init__.py": b"first", "shared/a.py": b""})
    second = install(site, "second", {"shared/__init__.py": b"second"})
    one_of, other = describe_layers([first, second], ours, own_cache)

    assert "shared/__init__.py" not in paths(one_of, own_cache)
    assert "shared/__init__.py" in paths(other, own_cache)
    [warning] = one_of.warnings
    assert warning.text == (
        "shared/__init__.py belongs to first 1.0 and to second 1.0: the environment, and so the bundle, has "
        "the content of second, which was installed last"
    )
    # Alone it has to take the file along.
    assert "shared/__init__.py" in paths(one(first, ours, own_cache), own_cache)


def test_many_files_that_two_distributions_own_are_named_by_their_folder(
    site: Path, ours: Interpreter, own_cache: Cache
) -> None:
    first = install(site, "first", {f"shared/lib/{name}.so": b"first" for name in "abcd"})
    second = install(site, "second", {f"shared/lib/{name}.so": b"second" for name in "abcd"})
    told = [each for layer in describe_layers([first, second], ours, own_cache) for each in layer.warnings]
    after = describe_layers([first, second], ours, own_cache, ["shared/lib"])

    assert ['`exclude = ["shared/lib"]`' in str(each.hint) for each in told] == [True]
    assert [layer.warnings for layer in after] == [(), ()]


@pytest.mark.parametrize(
    ("tags", "native"),
    [
        (["py3-none-manylinux2014_x86_64"], True),
        (["py3-none-macosx_11_0_arm64", "py3-none-macosx_10_9_x86_64"], True),
        (["py2-none-any", "py3-none-any"], False),
        ([], False),
    ],
)
def test_machine_code_of_a_wheel_of_one_platform_is_native_whatever_it_is_called(
    site: Path, ours: Interpreter, own_cache: Cache, tags: list[str], native: bool
) -> None:
    wheel = "Wheel-Version: 1.0\n" + "".join(f"Tag: {tag}\n" for tag in tags)
    files = {**PACKAGE, "pkg/driver": b"\x7fELF\x02", "pkg-1.0.dist-info/WHEEL": wheel.encode()}
    each = install(site, "pkg", files)

    assert one(each, ours, own_cache).native == native


@pytest.mark.parametrize(
    ("start", "native"),
    [
        (b"\xcf\xfa\xed\xfe", True),
        (b"\xca\xfe\xba\xbe", True),
        (b"MZ\x90\x00", True),
        (b"#!/bin/sh\n", False),
        (b"", False),
    ],
)
def test_a_wheel_of_one_platform_of_which_no_machine_code_travels_runs_on_any(
    site: Path, ours: Interpreter, own_cache: Cache, start: bytes, native: bool
) -> None:
    wheel = b"Wheel-Version: 1.0\nTag: py3-none-manylinux_2_17_x86_64\n"
    program = {"bin/driver": b"\x7fELF\x02", "pkg/driver": start}
    each = install(site, "pkg", {**PACKAGE, **program, "pkg-1.0.dist-info/WHEEL": wheel})

    assert one(each, ours, own_cache).native == native


def test_of_two_site_directories_the_first_one_wins_as_on_the_path(
    tmp_path: Path, ours: Interpreter, own_cache: Cache
) -> None:
    sites = [tmp_path / "user", tmp_path / "system"]
    later = install(sites[1], "later", {"ns/x.py": b"later", "ns/same.py": b""})
    earlier = install(sites[0], "sooner", {"ns/x.py": b"earlier", "ns/same.py": b""})
    layers = describe_layers([later, earlier], replace(ours, site=tuple(map(str, sites))), own_cache)
    found = {layer.name: paths(layer, own_cache) for layer in layers}

    assert [name for name in found if "ns/x.py" in found[name]] == ["sooner"]
    assert [name for name in found if "ns/same.py" in found[name]] == ["later", "sooner"]
    assert "comes first" in layers[0].warnings[0].text


def test_a_file_where_another_distribution_has_a_folder_is_refused_with_both_named(
    tmp_path: Path, ours: Interpreter, own_cache: Cache
) -> None:
    sites = [tmp_path / "user", tmp_path / "system"]
    both = [
        install(sites[0], "flat", {"ns/data": b"a file"}),
        install(sites[1], "deep", {"ns/data/one.txt": b"", "ns/data/two.txt": b""}),
    ]

    with pytest.raises(RefusedFileError) as refused:
        describe_layers(both, replace(ours, site=tuple(map(str, sites))), own_cache)

    assert str(refused.value) == (
        f"cannot take ns/data: a file of flat 1.0 in {sites[0]}, and a folder of deep 1.0 in {sites[1]}"
    )
    assert "`cluster-provides`" in str(refused.value.hint)


def test_a_second_look_reads_nothing_and_sees_an_edit_in_place(
    site: Path, ours: Interpreter, own_cache: Cache
) -> None:
    each = install(site, "pkg", PACKAGE)
    file, own_cache = site / "pkg/__init__.py", Cache(own_cache.directory, later)
    first = one(each, ours, own_cache)
    status = file.stat()
    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    again = one(each, ours, own_cache)
    read = [name for name in opened if name.startswith(str(site))]
    file.write_bytes(b"value = 2\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert again == first
    assert read == [str(site)]  # the directory, to ask for what is in it
    assert one(each, ours, own_cache).digest != first.digest


@pytest.mark.parametrize(("clock", "kept"), [(early, 0), (later, 1)])
def test_the_description_of_what_was_installed_just_now_is_not_kept(
    site: Path, ours: Interpreter, tmp_path: Path, clock: Callable[[], int], kept: int
) -> None:
    cache = Cache(tmp_path / "cache", clock)
    layer = one(install(site, "pkg", PACKAGE), ours, cache)
    document = cache.path(KEPT, layer.digest.removeprefix("sha256:"))

    assert len({*document.parent.iterdir()} - {document}) == kept


def test_an_installed_environment_of_another_installer_gives_the_same_layer(
    tmp_path: Path, ours: Interpreter, own_cache: Cache
) -> None:
    wheel_like = install(tmp_path / "one", "pkg", PACKAGE)
    other = install(
        tmp_path / "two",
        "pkg",
        {**dict(reversed(PACKAGE.items())), "pkg-1.0.dist-info/INSTALLER": b"pip\n"},
    )
    subprocess.run([sys.executable, "-m", "compileall", "-q", tmp_path / "two"], check=True)

    assert one(wheel_like, ours, own_cache).digest == one(other, ours, own_cache).digest
