"""Derives from the target interpreter what conditions and requirement markers ask."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.model import Interpreter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.model import Interpreter

_WINDOWS_MACHINES = {"amd64": "AMD64", "arm64": "ARM64", "": "x86"}
"""`platform.machine()` by what is after `win` in `sysconfig.get_platform()`."""
_SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


@dataclass(frozen=True, slots=True)
class Environment:
    """What conditions on imports may ask of the target interpreter."""

    version: tuple[int, int, int]
    sys_platform: str
    """`sys.platform`: `linux`, `darwin` or `win32`."""
    machine: str
    """`platform.machine()`, such as `x86_64`."""
    implementation: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Variables of the source that hold such an answer, and other names of the questions."""

    @property
    def version_info(self) -> tuple[int | str, ...]:
        """`sys.version_info`, all five parts: comparisons with three parts depend on the other two."""
        return (*self.version, "final", 0)

    @property
    def os_name(self) -> str:
        """`os.name`."""
        return "nt" if self.sys_platform == "win32" else "posix"

    @property
    def system(self) -> str:
        """`platform.system()`."""
        return _SYSTEMS.get(self.sys_platform, "")


def environment_of(interpreter: Interpreter) -> Environment:
    """Returns what `interpreter` would answer; `sysconfig.get_platform()` is `macosx-11.0-arm64` on macOS."""
    system, _, machine = interpreter.platform.partition("-")
    names = {"macosx": "darwin", "win": "win32"}
    sys_platform = names.get(system, system)
    if sys_platform == "win32":
        machine = _WINDOWS_MACHINES.get(machine, machine)
    return Environment(
        version=interpreter.version,
        sys_platform=sys_platform,
        machine=machine.rpartition("-")[2] if system == "macosx" else machine,
        implementation=interpreter.implementation,
    )


def marker_environment(interpreter: Interpreter) -> dict[str, str]:
    """Returns the variables of PEP 508 markers for the target.

    The nodes' kernel is not known; packaging before 26 compares its release as a version, and needs one.
    """
    target = environment_of(interpreter)
    full = ".".join(map(str, target.version))
    names: dict[str, Any] = {"cpython": "CPython", "pypy": "PyPy"}
    return {
        "implementation_name": target.implementation,
        "implementation_version": full,
        "os_name": target.os_name,
        "platform_machine": target.machine,
        "platform_python_implementation": names.get(target.implementation, target.implementation),
        "platform_release": "0",
        "platform_system": target.system,
        "platform_version": "0",
        "python_full_version": full,
        "python_version": ".".join(map(str, target.version[:2])),
        "sys_platform": target.sys_platform,
    }
