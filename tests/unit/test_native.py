from __future__ import annotations

import io

import pytest

from raybundle.errors import RefusedFileError
from raybundle.resolve.interpreter.node_python import NodePython
from raybundle.resolve.interpreter.platforms import parse_platform
from raybundle.wheels.native import NativeFile, check_native
from tests.support.wheels import elf, mach_o, portable_executable, universal

LINUX = NodePython("cpython", "3.11", parse_platform("linux"))
OLD_LINUX = NodePython("cpython", "3.11", parse_platform("x86_64-manylinux_2_28"))
MACOS = NodePython("cpython", "3.11", parse_platform("macos"))
WINDOWS = NodePython("cpython", "3.11", parse_platform("windows"))
X86, ARM = 0x01000007, 0x0100000C


def native(name: str, data: bytes) -> NativeFile:
    return NativeFile.read(name, io.BytesIO(data))


@pytest.mark.parametrize(
    ("name", "head", "tag"),
    [
        ("a.cpython-311-x86_64-linux-gnu.so", elf(), LINUX),
        ("a.abi3.so", elf(), LINUX),
        ("a.so", elf(), LINUX),
        ("a.cpython-311-darwin.so", mach_o(), MACOS),
        ("a.abi3.so", universal(X86, ARM), MACOS),
        ("a.cp311-win_amd64.pyd", portable_executable(), WINDOWS),
        ("a.so", b"INPUT(libm.so.6)", LINUX),
        ("a.so", b"", LINUX),
        ("a.so", b"MZ", LINUX),
        ("a.so", elf(62, "GLIBC_2.17", "GLIBC_2.2.5", "GLIBC_PRIVATE"), OLD_LINUX),
        ("a.so", elf(62, "GLIBC_2.38"), LINUX),
    ],
)
def test_what_loads_or_says_nothing_is_taken(name: str, head: bytes, tag: NodePython) -> None:
    check_native([native(f"project/{name}", head)], tag)


@pytest.mark.parametrize(
    ("name", "head", "tag", "built"),
    [
        ("a.cpython-312-x86_64-linux-gnu.so", elf(), LINUX, "CPython 3.12"),
        ("a.cpython-310-darwin.so", mach_o(), LINUX, "CPython 3.10"),
        ("a.cp312-win_amd64.pyd", portable_executable(), WINDOWS, "CPython 3.12"),
        ("a.cpython-311-darwin.so", mach_o(), LINUX, "macOS on aarch64"),
        ("a.cpython-311-darwin.so", b"", LINUX, "darwin"),
        ("a.abi3.so", elf(183), LINUX, "Linux on aarch64"),
        ("a.so", universal(X86), MACOS, "macOS on x86_64"),
        ("a.pyd", portable_executable(0xAA64), WINDOWS, "Windows on aarch64"),
        ("a.so", elf(62, "GLIBC_2.38", "GLIBC_2.4"), OLD_LINUX, r"glibc 2\.38"),
        ("a.so.1.2", elf(62, "GLIBC_ABI_DT_RELR", "GLIBC_2.4"), OLD_LINUX, r"glibc 2\.36"),
        ("a.cpython-311d-x86_64-linux-gnu.so", elf(), LINUX, "a CPython with the flags d"),
    ],
)
def test_what_does_not_load_is_refused_with_what_it_is_for(
    name: str, head: bytes, tag: NodePython, built: str
) -> None:
    with pytest.raises(RefusedFileError, match=f"project/{name} is built for {built}"):
        check_native([native(f"project/{name}", head)], tag)


def test_all_files_that_do_not_load_are_named_at_once() -> None:
    with pytest.raises(RefusedFileError, match=r"(?s)Python 3.11 on linux-x86_64.*a\.so is.*b\.so is"):
        check_native([native(f"project/{name}", mach_o()) for name in ("b.so", "a.so")], LINUX)


def test_one_for_another_python_may_lie_beside_one_that_loads() -> None:
    names = ("p/a.cpython-312-x86_64-linux-gnu.so", "p/a.cpython-311-x86_64-linux-gnu.so")

    check_native([native(name, elf()) for name in names], LINUX)


@pytest.mark.parametrize("names", [("a.so", "a.abi3.so"), ("a.abi3.so", "a.cpython-311-x86_64-linux-gnu.so")])
def test_one_that_loads_excuses_none_that_python_takes_before_it(names: tuple[str, str]) -> None:
    loads, first = names

    with pytest.raises(RefusedFileError, match=f"p/{first} is built for Linux on aarch64"):
        check_native([native(f"p/{loads}", elf()), native(f"p/{first}", elf(183))], LINUX)
    check_native([native(f"p/{first}", elf()), native(f"p/{loads}", elf(183))], LINUX)


def test_one_that_loads_excuses_none_whose_name_says_is() -> None:
    files = [native("p/a.so", elf()), native("p/a is b.so", elf(183))]

    with pytest.raises(RefusedFileError, match=r"p/a is b\.so is built for Linux on aarch64"):
        check_native(files, LINUX)


def test_one_that_loads_elsewhere_excuses_nothing() -> None:
    names = ("p/a.cpython-312-x86_64-linux-gnu.so", "q/a.cpython-311-x86_64-linux-gnu.so")

    with pytest.raises(RefusedFileError, match="p/a"):
        check_native([native(name, elf()) for name in names], LINUX)
