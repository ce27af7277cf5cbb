"""Platforms by the names that uv, sysconfig and wheels have for them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from raybundle.errors import UsageError
from raybundle.formats.nearest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raybundle.model import Interpreter

UNIVERSAL = "universal2"
"""In place of the machine, where an interpreter of macOS runs on both of Apple's."""

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
    r"(?P<linux>linux)-(?P<machine>\w+)|macosx-(?P<macos>\d+(\.\d+)?)-(?P<apple>\w+)"
    r"|win-?(?P<windows>amd64|arm64|32)"
)
"""Python of Homebrew says macOS 11 and later without a minor."""

_GLIBC = ((2, 17), (2, 28), *((2, minor) for minor in range(31, 41)))
"""The oldest glibc that uv can be asked for (`--python-platform`, 0.13)."""
_GLIBC_MACHINES = ("x86_64", "aarch64")
"""For which uv can be asked so."""
_RELEASE = re.compile(r"(?P<kind>glibc|musl|macOS) (?P<major>\d+)(?:\.(?P<minor>\d+))?")
_KINDS = {"gnu": "glibc", "musl": "musl", "": "macOS"}
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
    """The oldest libc or macOS that is meant; None for the usual one."""

    @property
    def kind(self) -> str:
        """What `floor` is a version of."""
        return _KINDS[self.libc]

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
    def setting(self) -> str:
        """The name by which the setting `platform` takes it."""
        if self.system == "linux" and (self.libc == "musl" or self.machine in _GLIBC_MACHINES):
            return self.uv
        return self.sysconfig

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
                if self.floor is not None and self.machine in _GLIBC_MACHINES:
                    older = max((each for each in _GLIBC if each <= self.floor), default=_GLIBC[0])
                    return f"{self.machine}-manylinux_{older[0]}_{older[1]}"
                return f"{self.machine}-unknown-linux" + ("" if self.machine == "riscv64" else "-gnu")

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables by which uv knows the rest."""
        if self.system != "macosx":
            return {}
        return {"MACOSX_DEPLOYMENT_TARGET": "{}.{}".format(*(self.floor or _MACOS))}

    def soabi(self, minor: str) -> str:
        """Returns `SOABI` of CPython there; `minor` such as `3.11`."""
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
        """Returns whether native files that run on `other` run here."""
        same = (self.system, self.libc) == (other.system, other.libc)
        same = same and other.machine in (self.machine, UNIVERSAL)
        return same and (self.floor is None or other.floor is None or other.floor <= self.floor)


def parse_platform(name: str) -> Platform:
    """Returns the platform that `name` means, as uv (`aarch64-manylinux_2_28`) or sysconfig spells it.

    Raises:
        UsageError: there is none, or no wheels can be asked for.
    """
    found = _parse(name.strip())
    if found.machine == UNIVERSAL:
        names = " or ".join(replace(found, machine=each).sysconfig for each in ("aarch64", "x86_64"))
        raise UsageError(f"platform `{name}`: of which machine?", hint=f"give {names}")
    if found.libc == "gnu" and found.floor is not None and found.floor < _GLIBC[0]:
        oldest = "{}.{}".format(*_GLIBC[0])
        raise UsageError(
            f"platform `{name}`: no wheels for a glibc older than {oldest} can be asked for",
            hint=f"give {replace(found, floor=_GLIBC[0]).uv}, or a newer one",
        )
    return found


def _parse(name: str) -> Platform:
    known = _UV.fullmatch(ALIASES.get(name, name))
    if known:
        return _of_uv(known["machine"], known["kind"], known["glibc"] or (known["year"] and "2_17"))
    known = _SYSCONFIG.fullmatch(name)
    if known is None:
        hint = did_you_mean(name, _KNOWN, f"such as {', '.join(_KNOWN)}")
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


def described_platform(name: str, abi: str, machine: str = "", release: str = "") -> Platform:
    """Returns the platform that an interpreter and its system describe.

    Args:
        name: `sysconfig.get_platform()`.
        abi: `SOABI`.
        machine: as the system names it, which says what a `universal2` interpreter runs on.
        release: of libc or macOS, such as `glibc 2.36` or `macOS 14.5`, where it is known.

    Raises:
        UsageError: it is none for which there are wheels.
    """
    found = _parse(name)
    if "musl" in abi:
        found = replace(found, libc="musl")
    if found.machine == UNIVERSAL and machine:
        found = replace(found, machine=_MACHINES.get(machine, machine))
    known = _RELEASE.match(release)
    if found.system == "win" or known is None or known["kind"] != _KINDS[found.libc]:
        return found
    return replace(found, floor=(int(known["major"]), int(known["minor"] or 0)))


def known_platform(name: str, abi: str, machine: str = "", release: str = "") -> Platform | None:
    """Returns what `described_platform` does, or None where there are no wheels for it."""
    try:
        return described_platform(name, abi, machine, release)
    except UsageError:
        return None


def common_platform(platforms: Iterable[Platform]) -> Platform | None:
    """Returns the platform whose files run on all of these, if they differ in libc's or macOS' age alone."""
    found = list(platforms)
    kinds = {replace(each, floor=None) for each in found}
    if len(kinds) != 1:
        return None
    return replace(kinds.pop(), floor=min((each.floor for each in found if each.floor), default=None))


def platform_of(interpreter: Interpreter) -> Platform:
    """Returns the platform of a local interpreter; what is installed may need its libc or macOS."""
    return described_platform(interpreter.platform, interpreter.abi, os.uname().machine, own_release())


def own_release() -> str:
    """Returns the glibc or the macOS of this machine, such as `glibc 2.36`; empty for others."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):
        import platform  # noqa: PLC0415 - 5 ms, and only on macOS

        return f"macOS {platform.mac_ver()[0]}"


def _version(text: str) -> Version:
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)
