"""Platforms by the names that uv, sysconfig and wheels have for them."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from raybundle.model import Interpreter

System = Literal["linux", "macosx", "win"]
Version = tuple[int, int]

ALIASES = {
    "linux": "x86_64-unknown-linux-gnu",
    "macos": "aarch64-apple-darwin",
    "windows": "x86_64-pc-windows-msvc",
}
"""What uv means by its short names."""

_UV = re.compile(
    r"(?P<machine>x86_64|aarch64|i686|riscv64)-"
    r"(?P<kind>unknown-linux(-gnu|-musl)?|apple-darwin|pc-windows-msvc"
    r"|manylinux(?P<year>2014)|manylinux_(?P<glibc>\d+_\d+))"
)
_SYSCONFIG = re.compile(
    r"(?P<linux>linux)-(?P<machine>\w+)|macosx-(?P<macos>\d+\.\d+)-(?P<apple>\w+)|win-?(?P<windows>amd64|arm64|32)"
)

_GLIBC = ((2, 17), (2, 28), *((2, minor) for minor in range(31, 41)))
"""The oldest glibc that uv can be asked for (`--python-platform`, 0.13)."""
_MACOS = (13, 0)
"""The oldest macOS that uv asks of a wheel where MACOSX_DEPLOYMENT_TARGET is not set."""
_WINDOWS = {"x86_64": "win-amd64", "aarch64": "win-arm64", "i686": "win32"}
_TRIPLES = {"i686": "i386", "armv7l": "arm", "ppc64le": "powerpc64le"}
"""Machines that Debian's names of architectures, which SOABI has, spell otherwise (PEP 3149)."""
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "32": "i686", "i386": "i686"}
_KNOWN = (*ALIASES, "x86_64-manylinux_2_28", "aarch64-manylinux_2_28", "linux-x86_64", "linux-aarch64")


@dataclass(frozen=True, slots=True)
class Platform:
    """What native files run on."""

    system: System
    machine: str
    """As Linux names it: `x86_64`, `aarch64`."""
    libc: Literal["gnu", "musl", ""] = ""
    floor: Version | None = None
    """The oldest glibc or macOS that is meant; None for the usual one."""

    @property
    def sysconfig(self) -> str:
        """`sysconfig.get_platform()` there."""
        match self.system:
            case "macosx":
                major, minor = self.floor or _MACOS
                return f"macosx-{major}.{minor}-{self.machine.replace('aarch64', 'arm64')}"
            case "win":
                return _WINDOWS.get(self.machine, self.machine)
            case _:
                return f"linux-{self.machine}"

    @property
    def uv(self) -> str:
        """What `uv --python-platform` calls it; a glibc that uv does not know becomes the next older one."""
        match self.system, self.libc:
            case "macosx", _:
                return f"{self.machine}-apple-darwin"
            case "win", _:
                return f"{self.machine}-pc-windows-msvc"
            case _, "musl":
                return f"{self.machine}-unknown-linux-musl"
            case _:
                older = [each for each in _GLIBC if self.floor is not None and each <= self.floor]
                if older:
                    return f"{self.machine}-manylinux_{older[-1][0]}_{older[-1][1]}"
                return f"{self.machine}-unknown-linux" + ("" if self.machine == "riscv64" else "-gnu")

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables by which uv knows the rest."""
        if self.system != "macosx":
            return {}
        return {"MACOSX_DEPLOYMENT_TARGET": "{}.{}".format(*(self.floor or _MACOS))}

    def soabi(self, minor: str) -> str:
        """Return `SOABI` of CPython there; `minor` such as `3.11`."""
        digits = minor.replace(".", "")
        match self.system:
            case "macosx":
                return f"cpython-{digits}-darwin"
            case "win":
                return f"cp{digits}-{self.sysconfig.replace('-', '_')}"
            case _:
                machine = _TRIPLES.get(self.machine, self.machine)
                return f"cpython-{digits}-{machine}-linux-{self.libc}{'eabihf' if machine == 'arm' else ''}"

    def runs_files_of(self, other: Platform) -> bool:
        """Claim that native files that run on `other` run here."""
        same = (self.system, self.machine, self.libc) == (other.system, other.machine, other.libc)
        return same and (self.floor is None or other.floor is None or other.floor <= self.floor)


def parse_platform(name: str) -> Platform:
    """Return the platform that `name` means, as uv (`aarch64-manylinux_2_28`) or sysconfig spells it.

    Raises:
        UsageError: there is none.
    """
    name = name.strip()
    known = _UV.fullmatch(ALIASES.get(name, name))
    if known:
        return _of_uv(known["machine"], known["kind"], known["glibc"] or (known["year"] and "2_17"))
    known = _SYSCONFIG.fullmatch(name)
    if known is None:
        close = difflib.get_close_matches(name, _KNOWN, n=1)
        hint = f"did you mean `{close[0]}`?" if close else f"such as {', '.join(_KNOWN)}"
        raise UsageError(f"there is no platform `{name}`", hint=hint)
    machine = known["machine"] or known["apple"] or known["windows"]
    machine = _MACHINES.get(machine, machine)
    if known["linux"]:
        return Platform("linux", machine, "gnu")
    return (
        Platform("macosx", machine, "", _version(known["macos"]))
        if known["macos"]
        else Platform("win", machine)
    )


def _of_uv(machine: str, kind: str, glibc: str | None) -> Platform:
    if kind == "apple-darwin":
        return Platform("macosx", machine)
    if kind == "pc-windows-msvc":
        return Platform("win", machine)
    libc: Literal["gnu", "musl"] = "musl" if kind.endswith("musl") else "gnu"
    return Platform("linux", machine, libc, _version(glibc.replace("_", ".")) if glibc else None)


def described_platform(name: str, abi: str) -> Platform:
    """Return the platform of which an interpreter says `sysconfig.get_platform()` and `SOABI`.

    Raises:
        UsageError: it is none for which there are wheels.
    """
    found = parse_platform(name)
    return replace(found, libc="musl") if "musl" in abi else found


def platform_of(interpreter: Interpreter) -> Platform:
    """Return the platform of an interpreter of this machine, with its glibc."""
    found = described_platform(interpreter.platform, interpreter.abi)
    if found.libc == "gnu":
        return replace(found, floor=_own_glibc())
    if found.machine == "universal2":
        machine = os.uname().machine
        return Platform("macosx", _MACHINES.get(machine, machine), "", found.floor)
    return found


def _own_glibc() -> Version | None:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""
        return _version(text.rpartition(" ")[2])
    except (AttributeError, OSError, ValueError):
        return None


def _version(text: str) -> Version:
    major, minor = map(int, text.split(".")[:2])
    return major, minor
