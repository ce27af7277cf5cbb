"""Which libc native files need: what an ELF file says, what a wheel promises, what a manifest names."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
import sysconfig

import pytest

from raybundle.node.raybundle_boot import check_python
from raybundle.resolve.interpreter.libc import Need, joined, libc_for, need_of, newest
from tests.support.wheels import elf, mach_o

GNU, MUSL = "cpython-312-x86_64-linux-gnu", "cpython-312-x86_64-linux-musl"
X86 = Need("x86_64", "glibc", (2, 34))


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (elf(62, "GLIBC_2.4", "GLIBC_2.34", "GLIBC_2.2.5"), (2, 34)),
        (elf(62, "GLIBC_2.4", weak=["GLIBC_2.38"]), (2, 4)),
        (elf(62, "GLIBC_ABI_DT_RELR", "GLIBC_2.4"), (2, 36)),
        (elf(62, "GLIBC_PRIVATE"), None),
        (elf(62, "CXXABI_1.3.15", library="libstdc++.so.6"), None),
        (elf(), None),
        (elf(62, "GLIBC_2.4") + b"\0GLIBC_2.38\0", (2, 4)),
        (mach_o(), None),
        (b"", None),
        (b"\x7fELF", None),
        (elf(9999, "GLIBC_2.34"), None),
    ],
)
def test_a_file_needs_the_highest_version_of_symbols_that_must_be_there(
    data: bytes, version: tuple[int, int] | None
) -> None:
    need = need_of(io.BytesIO(data))

    assert (need and need.version) == version


def test_musl_has_no_versions_of_symbols() -> None:
    assert need_of(io.BytesIO(elf(library="libc.musl-x86_64.so.1"))) == Need("x86_64", "musl", (0, 0))


def test_a_file_that_was_cut_or_points_anywhere_is_read_in_bounded_time() -> None:
    data = elf(62, "GLIBC_2.4", "GLIBC_2.34")
    faults = [data[:size] for size in range(len(data))]
    for at in range(len(data) - 4):
        faults += [data[:at] + struct.pack("<I", value) + data[at + 4 :] for value in (0, 16, 2**32 - 1)]

    found = [need_of(io.BytesIO(each)) for each in faults]

    assert len(found) == len(faults)
    assert None in found


@pytest.mark.parametrize(
    ("tags", "version"),
    [
        ([], (2, 34)),
        (["cp311-cp311-linux_x86_64"], (2, 34)),
        (["cp311-cp311-manylinux_2_28_x86_64"], (2, 28)),
        (["cp311-cp311-manylinux2014_x86_64", "cp311-cp311-manylinux_2_28_x86_64"], (2, 17)),
        (["cp311-cp311-manylinux2014_x86_64.manylinux_2_28_x86_64"], (2, 17)),
        (["cp311-cp311-manylinux_2_39_x86_64"], (2, 34)),
        (["cp311-cp311-manylinux_2_17_aarch64"], (2, 34)),
    ],
)
def test_what_a_wheel_promises_is_believed(tags: list[str], version: tuple[int, int]) -> None:
    assert joined([Need("x86_64", "glibc", (2, 4)), X86], tags) == [X86._replace(version=version)]


def test_a_wheel_for_any_platform_needs_no_libc() -> None:
    assert joined([X86], ["py3-none-any"]) == []


def test_the_version_of_musl_is_that_of_the_wheel() -> None:
    need = Need("x86_64", "musl", (0, 0))

    assert joined([need], ["cp312-cp312-musllinux_1_2_x86_64"]) == [need._replace(version=(1, 2))]
    assert joined([need], ["cp312-cp312-linux_x86_64"]) == []


@pytest.mark.parametrize(
    ("needs", "abi", "platform", "libc"),
    [
        ([X86, Need("x86_64", "glibc", (2, 4))], GNU, "linux-x86_64", "glibc 2.34"),
        ([X86, Need("x86_64", "musl", (1, 2))], MUSL, "linux-x86_64", "musl 1.2"),
        ([Need("aarch64", "glibc", (2, 34))], GNU, "linux-x86_64", None),
        ([X86], "cpython-312-darwin", "macosx-11.0-x86_64", None),
        ([], GNU, "linux-x86_64", None),
    ],
)
def test_a_manifest_names_the_libc_of_its_own_platform(
    needs: list[Need], abi: str, platform: str, libc: str | None
) -> None:
    assert libc_for(needs, abi, platform) == libc


def test_versions_are_numbers() -> None:
    assert newest(["glibc 2.9", "glibc 2.28"]) == "glibc 2.28"
    assert newest([]) is None


@pytest.mark.parametrize(
    ("release", "runs"),
    [("2.20-2014.11", True), ("2.38.9000", True), ("2.17", True), ("2.12-2014.11", False), ("2.9", False)],
)
def test_the_boot_reads_the_releases_of_vendors(
    release: str, runs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linaro's glibc was 2.20-2014.11; between releases, glibc itself is 2.38.9000."""
    monkeypatch.setattr(os, "confstr", lambda _: f"glibc {release}")  # this machine has one glibc
    own = {"abi": sysconfig.get_config_var("SOABI"), "platform": sysconfig.get_platform()}
    asked = {"python": "{} {}.{}".format(sys.implementation.name, *sys.version_info), **own}

    with contextlib.nullcontext() if runs else pytest.raises(RuntimeError, match=f"found glibc {release} on"):
        check_python({**asked, "libc": "glibc 2.17"})
