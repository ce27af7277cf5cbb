"""Says for which Python and platform a bundle is, where that is not the environment at hand."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from raybundle.errors import UsageError
from raybundle.resolve.interpreter.describe import MINOR
from raybundle.resolve.interpreter.platforms import Platform, described_platform, parse_platform, platform_of

if TYPE_CHECKING:
    from raybundle.model import Interpreter


@dataclass(frozen=True, slots=True)
class TargetTag:
    """The Python of the nodes."""

    implementation: str
    minor: str
    """Such as `3.11`."""
    platform: Platform
    alike: bool = False
    """Only libc or macOS are older than here: what is installed runs there, unless it needs a newer one."""

    def __str__(self) -> str:
        floor = self.platform.floor if self.platform.system == "linux" else None
        libc = "musl" if self.platform.libc == "musl" else "glibc"
        text = f"Python {self.minor} on {self.platform.sysconfig}"
        return text if floor is None else f"{text} with {libc} {floor[0]}.{floor[1]}"


def target_of(
    python: str | None, platform: str | None, interpreter: Interpreter, cluster: TargetTag | None = None
) -> TargetTag | None:
    """Return the Python of the nodes where it is another than `interpreter`, else None.

    Args:
        python: as the setting has it; a path, and nothing, mean the version of `interpreter`.
        platform: as the setting has it; nothing means this machine's.
        interpreter: the one against which the graph is resolved.
        cluster: what a cluster says of itself; a setting counts before it, as far as it says something.

    Raises:
        UsageError: there is no such platform, or no wheels for such an interpreter can be asked for.
    """
    here = platform_of(interpreter)
    own = minor_of(interpreter)
    minor = cluster.minor if cluster and not python else own
    if python and MINOR.fullmatch(python):
        minor = python
    there = parse_platform(platform) if platform else None
    if cluster and there in (None, replace(cluster.platform, floor=None)):  # what is set says no age
        there = cluster.platform
    if minor == own and (there is None or there.runs_files_of(here)):
        return None
    usual = described_platform(interpreter.platform, interpreter.abi, os.uname().machine)
    alike = minor == own and there is not None and there.runs_files_of(replace(here, floor=None))
    tag = TargetTag(interpreter.implementation, minor, there or usual, alike)
    if tag.implementation != "cpython":
        raise UsageError(
            f"{interpreter.executable} is {tag.implementation}, and only CPython has wheels for {tag}",
            hint="resolve against a CPython environment, or build on a machine like the nodes",
        )
    return tag


def minor_of(interpreter: Interpreter) -> str:
    """Return such as `3.11`."""
    return "{}.{}".format(*interpreter.version)


def as_on_target(interpreter: Interpreter, tag: TargetTag) -> Interpreter:
    """Return `interpreter` with the version, ABI and platform of the nodes; its paths stay those here.

    So conditions on imports, markers and the manifest are those of the nodes, and files are found here. The
    micro version of another minor is taken for 0, as uv does. An extension for the nodes is found before one
    for this machine.
    """
    if tag.alike:
        return replace(interpreter, platform=tag.platform.sysconfig)
    major, minor = map(int, tag.minor.split("."))
    abi = tag.platform.soabi(tag.minor)
    extension = f".{abi}.pyd" if tag.platform.system == "win" else f".{abi}.so"
    return replace(
        interpreter,
        version=interpreter.version if tag.minor == minor_of(interpreter) else (major, minor, 0),
        abi=abi,
        platform=tag.platform.sysconfig,
        executable_differs=tag.minor != minor_of(interpreter),
        installed_differ=True,
        suffixes=(extension, *(each for each in interpreter.suffixes if each != extension)),
    )
