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


def elf(machine: int = 62) -> bytes:
    """Returns the header of an ELF library, by default for x86_64."""
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 3, machine) + bytes(44)


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
