"""Refuses native files that do not load where a bundle runs."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from raybundle.content import opened
from raybundle.errors import RefusedFileError
from raybundle.formats.archive_paths import is_native
from raybundle.resolve.distributions.installed import InstalledDistribution
from raybundle.resolve.interpreter.libc import MACHINES, Need, need_of
from raybundle.wheels.oldest import native_files_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.model import CollectedFile, Distribution
    from raybundle.resolve.interpreter.node_python import NodePython

HEAD = 4096
"""Bytes at the start of a file that include its headers."""

_TAGGED = re.compile(
    r"(?P<stem>[^.]+)\.(?:cpython-|cp)(?P<digits>\d{2,})(?P<flags>[a-z]*)(?P<rest>-[^.]*)?\.\w+"
)
_MACH = {0x01000007: "x86_64", 0x0100000C: "aarch64"}
"""`cputype` of the Mach-O header (mach/machine.h)."""
_PE = {0x014C: "i686", 0x8664: "x86_64", 0xAA64: "aarch64"}
"""`Machine` of the COFF header (PE format of Microsoft)."""
_SYSTEMS = {"linux": "Linux", "macosx": "macOS", "win": "Windows"}

_NEVER = 9
"""The turn of a file that Python does not try: larger than any other."""

Built = tuple[str, str]
"""System and machine."""


class NativeFile(NamedTuple):
    """What a file says of where it loads."""

    name: str
    head: bytes
    """Its first `HEAD` bytes."""
    libc: Need | None = None

    @staticmethod
    def read(name: str, stream: BinaryIO) -> NativeFile:
        """Reads what a file says; the age of its libc is that of the file itself, not of a wheel's tag."""
        return NativeFile(name, stream.read(HEAD), need_of(stream))


def check_native(files: Iterable[NativeFile], nodes: NodePython) -> None:
    """Refuses extension modules and libraries that do not load on the nodes.

    A file for another platform is allowed beside one of its module that loads, if Python tries that first.

    Args:
        files: all of them.
        nodes: their Python and platform.

    Raises:
        RefusedFileError: there are such files; the error names all of them.
    """
    found = {file.name: _fault(file, nodes) for file in files}
    loading: dict[str, int] = {}
    for name in (name for name, fault in found.items() if fault is None):
        loading[_module(name)] = min(_turn(name, nodes), loading.get(_module(name), _NEVER))
    faults = [
        f"{name} is {fault}"
        for name, fault in sorted(found.items())
        if fault and _turn(name, nodes) < loading.get(_module(name), _NEVER + 1)
    ]
    if faults:
        raise RefusedFileError(
            f"the bundle is for {nodes}, where these files do not load:\n" + "\n".join(faults),
            hint="build them for the nodes and put them beside these; or leave them out: "
            "`# raybundle: ignore` at the import of a module, and `exclude`",
        )


def native_files(files: Iterable[CollectedFile]) -> Iterator[NativeFile]:
    """Yields the native files of a bundle."""
    for each in files:
        if is_native(each.path):
            with opened(each) as stream:
                yield NativeFile.read(each.path, stream)


def installed_native_files(
    distributions: Iterable[Distribution], sites: Iterable[str]
) -> Iterator[NativeFile]:
    """Yields the native files of the distributions that are bundled from these directories."""
    here = set(sites)
    for each in distributions:
        if each.provided_by == "bundle" and each.metadata and str(each.metadata.parent) in here:
            for file in native_files_of(InstalledDistribution.at(each.metadata)):
                with file.open("rb") as stream:
                    yield NativeFile(str(file), stream.read(HEAD))


def _turn(name: str, nodes: NodePython) -> int:
    """Returns the position at which Python tries a file of this name for its module, from 0."""
    kind = ".pyd" if nodes.platform.system == "win" else ".so"
    suffixes = [f".{nodes.platform.soabi(nodes.minor)}{kind}", f".abi3{kind}", kind]
    suffix = "".join(name.rpartition("/")[2].partition(".")[1:])
    return suffixes.index(suffix) if suffix in suffixes else _NEVER


def _module(name: str) -> str:
    directory, _, base = name.rpartition("/")
    return f"{directory}/{base.partition('.')[0]}"


def _fault(file: NativeFile, nodes: NodePython) -> str | None:
    """Returns what else a file is built for; None if nothing shows that it does not load."""
    name = file.name
    named = _TAGGED.fullmatch(name.rpartition("/")[2])
    if named and f"{named['digits'][0]}.{named['digits'][1:]}" != nodes.minor:
        return f"built for CPython {named['digits'][0]}.{named['digits'][1:]}"
    wanted = (nodes.platform.system, nodes.platform.machine)
    built = built_for(file.head)
    if built and wanted not in built:
        return "built for " + " and ".join(f"{_SYSTEMS[system]} on {machine}" for system, machine in built)
    if named and named["flags"]:
        return f"built for a CPython with the flags {named['flags']}"
    if named and named["rest"] and not nodes.platform.soabi(nodes.minor).endswith(named["rest"]):
        return f"built for {named['rest'].removeprefix('-')}"
    if file.libc and file.libc.is_newer_than(nodes.platform):
        return f"built for {file.libc}"
    return None


def built_for(head: bytes) -> tuple[Built, ...]:
    """Returns the systems and machines in the header of a library; empty if the header is not known."""
    try:
        if head.startswith(b"\x7fELF"):
            (machine,) = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)
            return (("linux", MACHINES.get(machine, f"machine {machine}")),)
        if head[:4] in {b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe"}:
            return (_mach(struct.unpack_from("<I", head, 4)[0]),)
        if head.startswith(b"\xca\xfe\xba\xbe"):  # several architectures in one file
            (count,) = struct.unpack_from(">I", head, 4)
            kinds = (struct.unpack_from(">I", head, 8 + 20 * index)[0] for index in range(count))
            return tuple(map(_mach, kinds))
        if head.startswith(b"MZ"):
            (offset,) = struct.unpack_from("<I", head, 0x3C)
            (machine,) = struct.unpack_from("<H", head, offset + 4)
            return (("win", _PE.get(machine, f"machine {machine}")),)
    except (struct.error, IndexError):
        return ()
    return ()


def _mach(kind: int) -> Built:
    return "macosx", _MACH.get(kind, f"machine {kind}")
