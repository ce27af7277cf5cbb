"""Looks for a local wheel of a distribution that no index can be asked for."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.model import Distribution
    from raybundle.resolve.interpreter.node_python import TargetTag

_ABI3 = "abi3"


def find_wheel(distribution: Distribution, links: Iterable[Path], tag: TargetTag) -> Path | None:
    """Return a wheel of this version that the target takes: the one that is installed, or one in `links`."""
    from packaging.utils import (  # noqa: PLC0415 - 30 ms, and only for what is from no index
        InvalidWheelFilename,
        parse_wheel_filename,
    )
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - as above

    for file in _wheels(distribution.origin, links):
        try:
            found, number, _, tags = parse_wheel_filename(file.name)
            wanted = Version(distribution.version)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        fits = any(_takes(tag, each.interpreter, each.abi, each.platform) for each in tags)
        if fits and found == distribution.name and number == wanted:
            return file.resolve()
    return None


def _wheels(origin: str, links: Iterable[Path]) -> Iterator[Path]:
    url = urllib.parse.urlsplit(origin)
    file = Path(urllib.parse.unquote(url.path))
    if url.scheme == "file" and file.suffix == ".whl" and file.is_file():
        yield file
    for directory in links:
        yield from sorted(directory.glob("*.whl"))


def _takes(tag: TargetTag, interpreter: str, abi: str, platform: str) -> bool:
    """Claim that a wheel may be one for the target; whether its glibc is too new, uv says."""
    digits = tag.minor.replace(".", "")
    if abi == "none":
        python = interpreter in {"py3", f"py{digits}", f"cp{digits}"}
    elif abi == _ABI3:
        minor = interpreter.removeprefix("cp3")
        python = minor.isdigit() and int(minor) <= int(digits[1:])
    else:
        python = abi == f"cp{digits}"
    return python and (platform == "any" or _is_for(tag, platform))


def _is_for(tag: TargetTag, platform: str) -> bool:
    target = tag.platform
    match target.system:
        case "win":
            return platform == target.sysconfig.replace("-", "_")
        case "macosx":
            return platform.startswith("macosx_") and platform.endswith(
                (target.sysconfig.rpartition("-")[2], "universal2")
            )
        case _:
            kind = "musllinux_" if target.libc == "musl" else "manylinux"
            return platform.endswith(target.machine) and platform.startswith((kind, "linux_"))
