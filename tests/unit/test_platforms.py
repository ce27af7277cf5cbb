from __future__ import annotations

from dataclasses import replace

import pytest

from raybundle.errors import UsageError
from raybundle.resolve.interpreter import platforms
from raybundle.resolve.interpreter.markers import environment_of
from raybundle.resolve.interpreter.node_python import NodePython, as_on_nodes, find_node_python
from raybundle.resolve.interpreter.platforms import (
    Platform,
    common_platform,
    described_platform,
    parse_platform,
)
from tests.support.graphs import INTERPRETER

LINUX = Platform("linux", "x86_64", "gnu")
MACOS = replace(INTERPRETER, abi="cpython-311-darwin", platform="macosx-11.0-arm64")


@pytest.mark.parametrize(
    ("name", "sysconfig", "uv"),
    [
        ("linux", "linux-x86_64", "x86_64-unknown-linux-gnu"),
        ("x86_64-manylinux_2_28", "linux-x86_64", "x86_64-manylinux_2_28"),
        ("x86_64-manylinux_2_30", "linux-x86_64", "x86_64-manylinux_2_28"),
        ("aarch64-manylinux2014", "linux-aarch64", "aarch64-manylinux_2_17"),
        ("aarch64-unknown-linux-musl", "linux-aarch64", "aarch64-unknown-linux-musl"),
        ("linux-aarch64", "linux-aarch64", "aarch64-unknown-linux-gnu"),
        ("riscv64-unknown-linux", "linux-riscv64", "riscv64-unknown-linux"),
        ("macos", "macosx-13.0-arm64", "aarch64-apple-darwin"),
        ("x86_64-apple-darwin", "macosx-13.0-x86_64", "x86_64-apple-darwin"),
        ("macosx-11.0-arm64", "macosx-11.0-arm64", "aarch64-apple-darwin"),
        ("macosx-14-arm64", "macosx-14.0-arm64", "aarch64-apple-darwin"),
        ("windows", "win-amd64", "x86_64-pc-windows-msvc"),
        ("win-arm64", "win-arm64", "aarch64-pc-windows-msvc"),
        ("win32", "win32", "i686-pc-windows-msvc"),
    ],
)
def test_a_platform_has_the_names_of_uv_and_of_sysconfig(name: str, sysconfig: str, uv: str) -> None:
    found = parse_platform(name)

    assert (found.sysconfig, found.uv) == (sysconfig, uv)


@pytest.mark.parametrize(
    ("name", "hint"), [("linnux", "did you mean `linux`?"), ("q", "such as linux, macos")]
)
def test_a_name_of_no_platform_is_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match=name) as caught:
        parse_platform(name)

    assert str(caught.value.hint).startswith(hint)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x86_64-manylinux_2_5", r"glibc older than 2\.17"),
        ("macosx-10.9-universal2", "of which machine"),
    ],
)
def test_what_no_wheels_can_be_asked_for_is_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_platform(name)


@pytest.mark.parametrize(
    ("name", "abi", "machine", "release", "sysconfig", "floor"),
    [
        ("linux-x86_64", "cpython-311-x86_64-linux-gnu", "x86_64", "glibc 2.36", "linux-x86_64", (2, 36)),
        (
            "linux-x86_64",
            "cpython-311-x86_64-linux-gnu",
            "x86_64",
            "glibc 2.36.9000",
            "linux-x86_64",
            (2, 36),
        ),
        ("linux-x86_64", "cpython-311-x86_64-linux-gnu", "x86_64", "", "linux-x86_64", None),
        ("linux-x86_64", "cpython-311-x86_64-linux-musl", "x86_64", "musl 1.2.5", "linux-x86_64", (1, 2)),
        ("macosx-10.9-universal2", "cpython-311-darwin", "arm64", "macOS 14.5", "macosx-14.5-arm64", (14, 5)),
        ("macosx-10.9-universal2", "cpython-311-darwin", "x86_64", "", "macosx-10.9-x86_64", (10, 9)),
        ("macosx-11.0-arm64", "cpython-311-darwin", "arm64", "macOS 14", "macosx-14.0-arm64", (14, 0)),
        ("macosx-14-arm64", "cpython-311-darwin", "arm64", "macOS 14.5", "macosx-14.5-arm64", (14, 5)),
    ],
)
def test_a_node_is_what_its_interpreter_and_its_system_say(  # noqa: PLR0917 - a row of a table
    name: str, abi: str, machine: str, release: str, sysconfig: str, floor: tuple[int, int] | None
) -> None:
    found = described_platform(name, abi, machine, release)

    assert (found.sysconfig, found.floor) == (sysconfig, floor)
    assert parse_platform(found.setting).sysconfig == sysconfig


def test_of_nodes_with_several_glibcs_the_oldest_counts() -> None:
    nodes = [replace(LINUX, floor=floor) for floor in ((2, 36), (2, 28), None, (2, 31))]

    assert common_platform(nodes) == replace(LINUX, floor=(2, 28))
    assert common_platform([*nodes, replace(LINUX, libc="musl")]) is None


@pytest.mark.parametrize(
    ("bundle", "node", "runs"),
    [
        ("macosx-11.0-arm64", Platform("macosx", "aarch64", "", (14, 0)), True),
        ("macosx-14.0-arm64", Platform("macosx", "aarch64", "", (13, 6)), False),
        ("macosx-11.0-x86_64", Platform("macosx", "aarch64", "", (14, 0)), False),
        ("macosx-10.9-universal2", Platform("macosx", "aarch64", "", (14, 0)), True),
        ("linux-x86_64", Platform("macosx", "x86_64", "", (14, 0)), False),
    ],
)
def test_a_mac_runs_what_is_for_its_machine_and_for_no_newer_system(
    bundle: str, node: Platform, runs: bool
) -> None:
    assert node.runs_files_of(described_platform(bundle, "cpython-311-darwin")) is runs


@pytest.mark.parametrize(
    ("name", "abi"),
    [
        ("linux", "cpython-311-x86_64-linux-gnu"),
        ("aarch64-unknown-linux-musl", "cpython-311-aarch64-linux-musl"),
        ("linux-armv7l", "cpython-311-arm-linux-gnueabihf"),
        ("linux-i686", "cpython-311-i386-linux-gnu"),
        ("macos", "cpython-311-darwin"),
        ("windows", "cp311-win_amd64"),
    ],
)
def test_extensions_have_the_tag_of_their_platform(name: str, abi: str) -> None:
    assert parse_platform(name).soabi("3.11") == abi


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("linux", True),
        ("x86_64-manylinux_2_40", True),
        ("x86_64-manylinux_2_17", False),
        ("linux-aarch64", False),
    ],
)
def test_files_of_a_newer_glibc_are_not_those_of_an_older(target: str, runs: bool) -> None:
    assert parse_platform(target).runs_files_of(replace(LINUX, floor=(2, 36))) is runs


@pytest.mark.parametrize(
    ("python", "platform", "expected"),
    [
        (None, None, None),
        ("3.11", None, None),
        ("/usr/bin/python3.11", None, None),
        (None, "linux", None),
        (None, "linux-x86_64", None),
        ("3.12", None, "Python 3.12 on linux-x86_64"),
        ("3.12", "linux", "Python 3.12 on linux-x86_64"),
        (None, "macos", "Python 3.11 on macosx-13.0-arm64"),
        ("3.10", "windows", "Python 3.10 on win-amd64"),
    ],
)
def test_only_another_minor_or_platform_is_another_target(
    python: str | None, platform: str | None, expected: str | None
) -> None:
    tag = find_node_python(python, platform, INTERPRETER)

    assert (tag and str(tag)) == expected


def test_what_the_cluster_says_counts_where_no_setting_does() -> None:
    cluster = NodePython("cpython", "3.12", parse_platform("linux-aarch64"))

    assert find_node_python(None, None, INTERPRETER, cluster) == cluster
    assert find_node_python("3.11", "linux", INTERPRETER, cluster) is None
    assert find_node_python(None, None, INTERPRETER, NodePython("cpython", "3.11", LINUX)) is None


def test_nodes_with_an_older_glibc_are_another_target_that_is_much_like_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platforms, "own_release", lambda: "glibc 2.36")
    older, newer = (NodePython("cpython", "3.11", replace(LINUX, floor=each)) for each in ((2, 28), (2, 39)))

    assert find_node_python(None, None, INTERPRETER, older) == replace(older, alike=True)
    assert str(older) == "Python 3.11 on linux-x86_64 with glibc 2.28"
    assert find_node_python(None, None, INTERPRETER, newer) is None
    assert find_node_python("3.11", "linux", INTERPRETER, older) == replace(older, alike=True)
    assert find_node_python(None, "x86_64-manylinux_2_40", INTERPRETER, older) is None
    other = find_node_python("3.12", None, INTERPRETER, older)
    assert other == NodePython("cpython", "3.12", older.platform)


def test_pypy_has_no_other_target() -> None:
    with pytest.raises(UsageError, match="only CPython"):
        find_node_python("3.10", None, replace(INTERPRETER, implementation="pypy"))


def test_an_interpreter_as_on_the_target_answers_for_it_and_finds_files_here() -> None:
    there = as_on_nodes(INTERPRETER, NodePython("cpython", "3.10", parse_platform("windows")))

    assert (there.version, there.abi, there.platform) == ((3, 10, 0), "cp310-win_amd64", "win-amd64")
    assert (there.path, there.suffixes) == (INTERPRETER.path, (".cp310-win_amd64.pyd", ".py"))
    assert there.executable_differs
    asked = environment_of(there)
    assert (asked.sys_platform, asked.machine, asked.system) == ("win32", "AMD64", "Windows")


def test_another_platform_of_the_same_minor_keeps_the_micro_version() -> None:
    there = as_on_nodes(MACOS, NodePython("cpython", "3.11", LINUX))

    assert (there.version, there.platform) == ((3, 11, 7), "linux-x86_64")
    assert not there.executable_differs
