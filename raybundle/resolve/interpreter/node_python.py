"""Finds the Python and platform of the nodes if they differ from this environment."""

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
class NodePython:
    """The Python and platform of the nodes."""

    implementation: str
    minor: str
    """Such as `3.11`."""
    platform: Platform
    alike: bool = False
    """Returns whether only libc or macOS is older: installed files run there unless they need a newer one."""

    def __str__(self) -> str:
        floor = self.platform.floor if self.platform.system == "linux" else None
        text = f"Python {self.minor} on {self.platform.sysconfig}"
        return text if floor is None else f"{text} with {self.platform.kind} {floor[0]}.{floor[1]}"


def find_node_python(
    python: str | None, platform: str | None, interpreter: Interpreter, cluster: NodePython | None = None
) -> NodePython | None:
    """Returns the Python of the nodes if it differs from `interpreter`, else None.

    Args:
        python: the setting; a path or None means the version of `interpreter`.
        platform: the setting; None means the platform of this machine.
        interpreter: the one that resolves the graph.
        cluster: what the cluster reports; settings take precedence.

    Raises:
        UsageError: the platform does not exist, or there are no wheels for such an interpreter.
    """
    here = platform_of(interpreter)
    own = minor_of(interpreter)
    minor = cluster.minor if cluster and not python else own
    if python and MINOR.fullmatch(python):
        minor = python
    there = parse_platform(platform) if platform else None
    if cluster and there in (None, replace(cluster.platform, floor=None)):  # the setting has no age
        there = cluster.platform
    if minor == own and (there is None or there.runs_files_of(here)):
        return None
    usual = described_platform(interpreter.platform, interpreter.abi, os.uname().machine)
    alike = minor == own and there is not None and there.runs_files_of(replace(here, floor=None))
    nodes = NodePython(interpreter.implementation, minor, there or usual, alike)
    if nodes.implementation != "cpython":
        raise UsageError(
            f"{interpreter.executable} is {nodes.implementation}, and only CPython has wheels for {nodes}",
            hint="resolve against a CPython environment, or build on a machine like the nodes",
        )
    return nodes


def minor_of(interpreter: Interpreter) -> str:
    """Returns the version without its micro number, such as `3.11`."""
    return "{}.{}".format(*interpreter.version)


def as_on_nodes(interpreter: Interpreter, nodes: NodePython) -> Interpreter:
    """Returns `interpreter` with the version, ABI and platform of the nodes, and the paths of this machine.

    Conditions on imports, markers and the manifest are those of the nodes, but files are found here. The
    micro version of another minor is 0, as in uv. An extension for the nodes is found before one for this
    machine.
    """
    if nodes.alike:
        return replace(interpreter, platform=nodes.platform.sysconfig)
    major, minor = map(int, nodes.minor.split("."))
    abi = nodes.platform.soabi(nodes.minor)
    extension = f".{abi}.pyd" if nodes.platform.system == "win" else f".{abi}.so"
    return replace(
        interpreter,
        version=interpreter.version if nodes.minor == minor_of(interpreter) else (major, minor, 0),
        abi=abi,
        platform=nodes.platform.sysconfig,
        executable_differs=nodes.minor != minor_of(interpreter),
        installed_differ=True,
        suffixes=(extension, *(each for each in interpreter.suffixes if each != extension)),
    )
