"""Which manifests a reader takes: those that docs/format.md allows, and a writer makes no others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from raybundle.bundle.manifest import format_manifest, make_manifest, parse_manifest
from raybundle.errors import BundleError, RefusedFileError
from raybundle.formats.archive_paths import archive_path
from raybundle.formats.canonical import canonical_json, digest_of
from raybundle.model import Distribution, ModuleName, ModuleTarget
from tests.support.collected import collected_file
from tests.support.graphs import INTERPRETER, graph

if TYPE_CHECKING:
    from raybundle.bundle.values import Manifest

PATH = ["project:.", "stdlib", "ray"]
LAYERED = ["project:.", "stdlib", "layers", "ray"]
TAG = {"implementation": "cpython", "minor": "3.12"}
NATIVE = {**TAG, "abi": "cpython-312-x86_64-linux-gnu", "platform": "linux-x86_64"}


def row(path: str, size: int = 1) -> dict[str, Any]:
    return {"path": path, "executable": False, "size": size, "sha256": "0" * 64}


def layer(name: str, version: str = "1", digit: str = "a") -> dict[str, str]:
    return {"name": name, "version": version, "digest": f"sha256:{digit * 64}"}


def provided(name: str, version: str = "1") -> dict[str, str]:
    return {"name": name, "version": version}


def read(*paths: str, **changed: Any) -> Manifest:
    """Reads a manifest with a script, these files besides, and what is changed in it."""
    document = {
        "format": 1,
        "target": {"script": "project/job.py"},
        "python": TAG,
        "path": PATH,
        "files": sorted(map(row, ("project/job.py", *paths)), key=lambda each: str(each["path"])),
        "layers": [],
        "provided": [],
    }
    data = canonical_json({**document, **changed})
    return parse_manifest(data, digest_of(data))


@pytest.mark.parametrize(
    ("symbols", "said"),
    [
        (["project:../../etc:x"], "symbol 'project:../../etc:x'"),
        (["project:../.."], "symbol"),
        (["project:/etc"], "symbol"),
        (["project:"], "symbol"),
        (["project:./."], "symbol"),
        (["project:a/./b"], "symbol"),
        (["project:a\\b"], "symbol"),
        (["project:a\u0308"], "symbol"),
        (["root:0"], "symbol"),
        (["root:1:."], "symbol"),
        (["root:1:/etc"], "symbol"),
        (["root:1:a/../.."], "symbol"),
        (["stdlib\nray"], "not one line of text"),
        ([""], "symbol"),
        (["stdlib", "stdlib"], "'stdlib' occurs twice"),
        (["ray", "stdlib"], "'ray' occurs twice"),
        (["layers"], "`layers` must be on the path"),
        (["root:2"], "root 2 is on the path"),
    ],
)
def test_a_symbol_that_section_3_does_not_have_is_refused(symbols: list[str], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        read("root-1/x.py", path=["project:.", *symbols, "ray"])


@pytest.mark.parametrize("path", [["ray", "project:."], ["stdlib"], []])
def test_the_path_ends_with_ray(path: list[str]) -> None:
    with pytest.raises(BundleError, match="`ray` is not the last entry"):
        read(path=path)


def test_roots_are_numbered_from_1_without_gaps() -> None:
    with pytest.raises(BundleError, match="roots 2 are not numbered from 1"):
        read("root-2/x.py", path=["root:2", "ray"])


@pytest.mark.parametrize("symbol", ["project:src/a b", "project:a:b", "root:1", "root:1:sub/dir", "stdlib"])
def test_the_symbols_of_a_resolution_are_read(symbol: str) -> None:
    assert read("root-1/sub/x.py", path=[symbol, "ray"]).path == (symbol, "ray")


@pytest.mark.parametrize(
    ("layers", "others", "said"),
    [
        ([layer("NumPy")], [], "'NumPy' is not the normalised name"),
        ([layer("num_py")], [], "'num_py' is not the normalised name"),
        ([layer("")], [], "'' is not the normalised name"),
        ([layer("a/b")], [], "'a/b' is not the normalised name"),
        ([layer("a", "")], [], "'' is not a version of a"),
        ([layer("a"), layer("a", digit="b")], [], "'a' occurs twice"),
        ([layer("a"), layer("b")], [], "has two names"),
        ([layer("ray")], [], "`ray` is named"),
        ([layer("a")], [provided("a")], "'a' occurs twice"),
        ([], [provided("numpy 9")], "'numpy 9' is not the normalised name"),
        ([], [provided("numpy", "1 ")], "'1 ' is not a version of numpy"),
        ([], [provided("numpy", "")], "not canonical"),
        ([], [provided("numpy"), provided("numpy", "2")], "'numpy' occurs twice"),
        ([], [provided("ray")], "`ray` is named"),
    ],
)
def test_distributions_are_named_in_one_way(
    layers: list[dict[str, str]], others: list[dict[str, str]], said: str
) -> None:
    with pytest.raises(BundleError, match=said):
        read(layers=layers, provided=others, path=LAYERED if layers else PATH)


@pytest.mark.parametrize(
    "paths",
    [
        ["project/A/x.py", "project/a/y.py"],
        ["project/A.py", "project/a.py"],
        ["project/stra\u00dfe.py", "project/strasse.py"],
    ],
)
def test_paths_and_folders_that_differ_only_in_case_are_refused(paths: list[str]) -> None:
    with pytest.raises(BundleError, match="` differ only in case"):
        read(*paths)


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ({**TAG, "abi": "x"}, "abi 'x' with platform None"),
        ({**TAG, "platform": "x"}, "abi None with platform 'x'"),
        ({**TAG, "abi": "", "platform": "x"}, "abi '' with platform 'x'"),
        ({**TAG, "libc": "glibc 2.28"}, "libc 'glibc 2.28' with platform None"),
        ({**NATIVE, "libc": "glibc 2"}, "libc 'glibc 2' with platform 'linux-x86_64'"),
        ({**NATIVE, "libc": "glibc 2.08"}, "libc 'glibc 2.08'"),
        ({**NATIVE, "libc": "glibc 2.28.1"}, "libc 'glibc 2.28.1'"),
        ({**NATIVE, "libc": "GLIBC 2.28"}, "libc 'GLIBC 2.28'"),
        ({**NATIVE, "libc": ""}, "libc ''"),
        ({**TAG, "implementation": "cpython 3.9"}, "python 'cpython 3.9'"),
        ({**TAG, "minor": ""}, "python 'cpython' ''"),
        ({**TAG, "minor": "3.012"}, "python 'cpython' '3.012'"),
    ],
)
def test_the_python_of_a_bundle_is_what_a_node_can_compare(python: dict[str, str], said: str) -> None:
    with pytest.raises(BundleError, match=said):
        read(python=python)


def test_native_files_need_a_platform() -> None:
    with pytest.raises(BundleError, match=r"'project/x\.so' runs on one platform only"):
        read("project/x.so")


@pytest.mark.parametrize("module", ["", "-c", "a..b", ".a", "a b", "a/b"])
def test_a_target_that_is_no_module_is_refused(module: str) -> None:
    with pytest.raises(BundleError, match="is not the name of a module"):
        read(target={"module": module})


@pytest.mark.parametrize("module", ["a", "a.b", "my-job", "pkg.my-job", "gr\u00fc\u00dfe"])
def test_what_python_takes_after_m_is_a_target(module: str) -> None:
    assert format_manifest(read(target={"module": module}))


@pytest.mark.parametrize("size", [2**53, 10**40, -1])
def test_a_size_is_an_integer_that_every_reader_of_json_keeps(size: int) -> None:
    with pytest.raises(BundleError, match="size"):
        read(files=[row("project/job.py", size)])


UNSEEN = ["\n", "\x85", "\u2028", "\u2029", "\u202e", "\u2066"]


@pytest.mark.parametrize("character", UNSEEN)
def test_a_reader_refuses_names_with_characters_that_hide_or_turn_others(character: str) -> None:
    with pytest.raises(BundleError):
        read(f"project/x{character}y.py")


@pytest.mark.parametrize("character", [*UNSEEN, "\\", "\udcff"])
def test_a_writer_refuses_what_a_reader_would_and_names_the_file(character: str) -> None:
    with pytest.raises(RefusedFileError, match="file name 'project/x") as refused:
        archive_path(f"project/x{character}y.py")
    assert refused.value.hint == "rename the file, or `exclude` it"


def test_names_with_joiners_are_names() -> None:
    """Persian, the languages of India and emoji write with them."""
    path = "project/\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f469\u200d\U0001f52c.txt"

    assert archive_path(path) in {file.path for file in read(path).files}


def test_a_writer_refuses_texts_of_more_than_a_line_as_a_reader_does() -> None:
    numpy = Distribution("numpy", "1\x7f2", "cluster", bytes=0)
    resolution = graph(distributions=(numpy,), target=ModuleTarget(ModuleName("a\x7fb")))

    with pytest.raises(
        BundleError, match=r"'a\\x7fb' is not one line of text; '1\\x7f2' is not one line of text"
    ):
        make_manifest(resolution, [])
    with pytest.raises(BundleError, match=r"a\\+x7fb' is not one line of text"):
        read(target={"module": "a\x7fb"})


def test_a_python_without_soabi_makes_no_bundle_with_native_files() -> None:
    files = [collected_file(path, b"") for path in ("project/job.py", "project/x.so")]
    resolution = graph(interpreter=replace(INTERPRETER, abi=""))

    with pytest.raises(BundleError, match=r"this Python has no SOABI: /python") as caught:
        make_manifest(resolution, files)
    assert "--python" in str(caught.value.hint)
    assert make_manifest(resolution, files[:1]).python.abi is None
