"""Reads which version of libc native files need: from ELF files, and from the tags of wheels."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from raybundle.resolve.interpreter.platforms import Platform

Version = tuple[int, int]

MACHINES = {
    3: "i686",
    21: "ppc64le",
    22: "s390x",
    40: "armv7l",
    62: "x86_64",
    183: "aarch64",
    243: "riscv64",
    258: "loongarch64",
}
"""`e_machine` of the ELF header (elf.h), as Linux names it."""

_TAG = re.compile(r"(?P<kind>manylinux|musllinux|macosx)_(?P<major>\d+)_(?P<minor>\d+)_(?P<machine>\w+)")
_LEGACY = {"manylinux1_": "2_5", "manylinux2010_": "2_12", "manylinux2014_": "2_17"}
"""PEP 600 has the versions."""
_KINDS = {"manylinux": "glibc", "musllinux": "musl", "macosx": "macOS"}

_SYMBOLS = re.compile(rb"GLIBC_(\d+)\.(\d+)(?:\.\d+)?")
"""A version of symbols that an ELF file needs."""
_RELATIVE, _RELATIVE_SINCE = b"GLIBC_ABI_DT_RELR", (2, 36)
"""Stands for relative relocations; the first glibc that loads such a file."""
_MUSL = b"libc.musl-"
"""Begins the name of musl, as the libraries of a musllinux wheel need it."""

_LOAD, _DYNAMIC = 1, 2
"""Types of segments."""
_NEEDED, _STRINGS, _VERSIONS = 1, 5, 0x6FFFFFFE
"""DT_NEEDED, DT_STRTAB and DT_VERNEED."""
_WEAK = 2
"""VER_FLG_WEAK: the loader only warns if such a version is missing."""
_LONGEST = 256
"""Bytes of a name that are read."""
_MOST = 4096
"""Entries of a table that are read: a file may name itself as its next entry."""


class Need(NamedTuple):
    """The libc that loads a native file."""

    machine: str
    kind: str
    """`glibc` or `musl`."""
    version: Version
    """The oldest one; (0, 0) if the file does not tell."""

    def __str__(self) -> str:
        return "{} {}.{}".format(self.kind, *self.version)

    def is_newer_than(self, there: Platform) -> bool:
        """Returns whether a platform is the file's, but its libc is too old."""
        same = (self.machine, self.kind) == (there.machine, there.kind)
        return same and there.floor is not None and self.version > there.floor


def need_of(stream: BinaryIO) -> Need | None:
    """Returns the libc that loads an ELF file; None if the file is another one, or needs none."""
    try:
        elf = _Elf(stream)
        tables = elf.tables()
        strings = elf.offset(tables[_STRINGS][0])
        versions = (
            list(elf.versions(elf.offset(tables[_VERSIONS][0]), strings)) if _VERSIONS in tables else []
        )
        if versions:
            return Need(elf.machine, "glibc", max(versions))
        libraries = (elf.text(strings + each) for each in tables.get(_NEEDED, ()))
        return Need(elf.machine, "musl", (0, 0)) if any(map(_is_musl, libraries)) else None
    except (struct.error, ValueError, OverflowError, LookupError, StopIteration):
        return None


def _is_musl(library: bytes) -> bool:
    return library.startswith(_MUSL)


class _Elf:
    """The parts of an ELF file that its loader reads (System V ABI, chapter 5; LSB for the versions)."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._size = stream, stream.seek(0, 2)
        head = self._read(0, 64)
        if head[:4] != b"\x7fELF":
            raise ValueError("not an ELF file")
        self._wide = head[4] == 2  # noqa: PLR2004 - ELFCLASS64
        self._order = "<" if head[5] == 1 else ">"
        self.machine = MACHINES[self._unpack("H", head[18:])[0]]
        segments, size, number = (
            (self._unpack("Q", head[32:])[0], *self._unpack("HH", head[54:]))
            if self._wide
            else (self._unpack("I", head[28:])[0], *self._unpack("HH", head[42:]))
        )
        if size not in (32, 56):
            raise ValueError(f"segments of {size} bytes")
        rows = self._read(segments, size * number)
        self._segments = [self._segment(rows[at : at + size]) for at in range(0, len(rows), size)]

    def tables(self) -> dict[int, list[int]]:
        """Returns the values of the dynamic section by their tag."""
        found: dict[int, list[int]] = {}
        _, offset, _, size = next(each for each in self._segments if each[0] == _DYNAMIC)
        row = struct.Struct(self._order + ("QQ" if self._wide else "II"))
        data = self._read(offset, min(size, row.size * _MOST))
        for tag, value in row.iter_unpack(data[: len(data) // row.size * row.size]):
            if tag == 0:
                break
            found.setdefault(tag, []).append(value)
        return found

    def offset(self, address: int) -> int:
        """Returns the place in the file of what is loaded at an address."""
        for kind, offset, start, size in self._segments:
            if kind == _LOAD and start <= address < start + size:
                return address - start + offset
        raise ValueError(f"nothing is loaded at {address}")

    def versions(self, at: int, strings: int) -> Iterator[Version]:
        """Yields the versions of glibc that must be there."""
        left = _MOST
        while left > 0:
            _, _, _, first, following = self._unpack("HHIII", self._read(at, 16))
            row = at + first
            while left > 0:
                left -= 1
                _, flags, _, name, another = self._unpack("IHHII", self._read(row, 16))
                if not flags & _WEAK:
                    yield from _version(self.text(strings + name))
                if not another:
                    break
                row += another
            if not following:
                break
            at += following

    def text(self, at: int) -> bytes:
        """Returns a name."""
        return self._read(at, _LONGEST).partition(b"\0")[0]

    def _segment(self, row: bytes) -> tuple[int, int, int, int]:
        """Returns type, place in the file, address, and bytes in the file."""
        if self._wide:
            kind, _, offset, start, _, size = self._unpack("IIQQQQ", row)
        else:
            kind, offset, start, _, size = self._unpack("IIIII", row)
        return kind, offset, start, size

    def _read(self, at: int, size: int) -> bytes:
        if at > self._size:
            raise ValueError(f"nothing at {at}")
        self._stream.seek(at)
        return self._stream.read(size)

    def _unpack(self, form: str, data: bytes) -> tuple[int, ...]:
        return struct.unpack_from(self._order + form, data)


def _version(name: bytes) -> Iterator[Version]:
    if name == _RELATIVE:
        yield _RELATIVE_SINCE
    elif known := _SYMBOLS.fullmatch(name):
        yield int(known[1]), int(known[2])


def promised(tags: Iterable[str]) -> dict[tuple[str, str], Version]:
    """Returns the oldest libc or macOS that the tags of a wheel promise, by kind and machine."""
    found: dict[tuple[str, str], Version] = {}
    for tag in (one for each in tags for one in each.rpartition("-")[2].split(".")):
        name = tag
        for old, version in _LEGACY.items():
            name = name.replace(old, f"manylinux_{version}_")
        if known := _TAG.fullmatch(name):
            key = _KINDS[known["kind"]], known["machine"]
            promise = int(known["major"]), int(known["minor"])
            found[key] = min(promise, found.get(key, promise))
    return found


def joined(needs: Iterable[Need], tags: Sequence[str]) -> list[Need]:
    """Returns what the files of a distribution need: for each machine and kind of libc, the oldest version.

    Args:
        needs: of the files.
        tags: of the wheel. What they promise is believed, even if a file of it needs a newer libc: whoever
            installs the wheel on such a node can do without that file.
    """
    if any(tag.endswith("-any") for tag in tags):
        return []
    promises = promised(tags)
    found: dict[tuple[str, str], Version] = {}
    for each in needs:
        key = each.kind, each.machine
        found[key] = max(each.version, found.get(key, (0, 0)))
    for key, version in found.items():
        promise = promises.get(key, version)
        found[key] = promise if key[0] == "musl" else min(version, promise)
    return [
        Need(machine, kind, version) for (kind, machine), version in sorted(found.items()) if version > (0, 0)
    ]


def libc_for(needs: Iterable[Need], abi: str, platform: str) -> str | None:
    """Returns the libc that a manifest names, such as `glibc 2.28`; None if the files for it need none.

    Args:
        needs: of the bundle's native files.
        abi: `SOABI` of the bundle's Python.
        platform: `sysconfig.get_platform()` there.
    """
    kind = "musl" if "musl" in abi else "glibc"
    system, _, machine = platform.partition("-")
    versions = [each.version for each in needs if (each.kind, each.machine) == (kind, machine)]
    return "{} {}.{}".format(kind, *max(versions)) if system == "linux" and versions else None


def newest(names: Iterable[str]) -> str | None:
    """Returns the newest of releases such as `glibc 2.28`; None if there are none."""
    return max(
        names, key=lambda each: [int(part) for part in each.partition(" ")[2].split(".")], default=None
    )
