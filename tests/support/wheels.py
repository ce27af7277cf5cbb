"""Writes small wheels, unpacks them, and makes headers of native libraries."""

from __future__ import annotations

import base64
import hashlib
import struct
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def make_wheel(
    directory: Path,
    name: str,
    tag: str = "py3-none-any",
    *,
    requires: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
    pure: bool = True,
) -> Path:
    """Writes a wheel of `name`, such as `alpha-1.0`, and returns its path. By default, it has one module."""
    directory.mkdir(parents=True, exist_ok=True)
    project, _, version = name.partition("-")
    info = f"{name}.dist-info"
    lines = [f"Name: {project}", f"Version: {version}", *(f"Requires-Dist: {each}" for each in requires)]
    content = {
        **(files or {f"{project}.py": f"version = {version!r}\n".encode()}),
        f"{info}/METADATA": "\n".join(["Metadata-Version: 2.1", *lines, ""]).encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: {str(pure).lower()}\nTag: {tag}\n".encode(),
    }
    record = "".join(f"{path},sha256={_record_hash(data)},{len(data)}\n" for path, data in content.items())
    file = directory / f"{name}-{tag}.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, data in {**content, f"{info}/RECORD": f"{record}{info}/RECORD,,\n".encode()}.items():
            archive.writestr(zipfile.ZipInfo(path), data)
    return file


def _record_hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def install_wheel(site: Path, wheel: Path) -> Path:
    """Unpacks a wheel like an installer, and returns its `.dist-info`."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site / f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"


def sha256_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def elf(machine: int = 62, *versions: str, weak: Sequence[str] = (), library: str = "libc.so.6") -> bytes:
    """Returns an ELF library, by default for x86_64.

    Args:
        machine: `e_machine`.
        versions: of symbols that it needs, such as `GLIBC_2.28`.
        weak: versions that may be missing.
        library: that has them.
    """
    names = [library, *versions, *weak]
    strings = b"\0" + b"".join(each.encode() + b"\0" for each in names)
    places = [1 + sum(len(each) + 1 for each in names[:n]) for n in range(len(names))]
    rows = b"".join(
        struct.pack("<IHHII", 0, 2 * (n >= len(versions)), 2, place, 16 * (n < len(versions) + len(weak) - 1))
        for n, place in enumerate(places[1:])
    )
    needed = struct.pack("<HHIII", 1, len(names) - 1, places[0], 16, 0) + rows if rows else b""
    at = 64 + 2 * 56
    dynamic = [(1, places[0]), (5, at), (10, len(strings))]
    if needed:
        dynamic += [(0x6FFFFFFE, at + len(strings)), (0x6FFFFFFF, 1)]
    table = b"".join(struct.pack("<QQ", *each) for each in [*dynamic, (0, 0)])
    behind = at + len(strings) + len(needed)
    size = behind + len(table)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = ((1, 0, 0, size), (2, behind, behind, len(table)))
    for kind, offset, address, length in segments:
        head += struct.pack("<IIQQQQQQ", kind, 5, offset, address, address, length, length, 8)
    return head + strings + needed + table


def mach_o(kind: int = 0x0100000C) -> bytes:
    """Returns the header of a Mach-O library, by default for arm64."""
    return b"\xcf\xfa\xed\xfe" + struct.pack("<I", kind) + bytes(24)


def universal(*kinds: int) -> bytes:
    """Returns the header of a Mach-O file with several libraries."""
    return (
        b"\xca\xfe\xba\xbe"
        + struct.pack(">I", len(kinds))
        + b"".join(struct.pack(">IIIII", each, 0, 0, 0, 0) for each in kinds)
    )


def portable_executable(machine: int = 0x8664) -> bytes:
    """Returns the header of a DLL, by default for x86_64."""
    return b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<H", machine)
