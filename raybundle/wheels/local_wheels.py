"""Looks for a local wheel of a distribution that no index can be asked for."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.model import Distribution
    from raybundle.resolve.interpreter.node_python import TargetTag


def find_wheel(distribution: Distribution, links: Iterable[Path], tag: TargetTag) -> Path | None:
    """Return a wheel of this version that the target takes: the one that is installed, or one in `links`."""
    # 30 ms, and only for what is from no index.
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    pythons = _pythons(tag)
    for file in _wheels(distribution.origin, links):
        try:
            found, number, _, tags = parse_wheel_filename(file.name)
            wanted = Version(distribution.version)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        fits = any((each.interpreter, each.abi) in pythons and _runs(each.platform, tag) for each in tags)
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


def _pythons(tag: TargetTag) -> set[tuple[str, str]]:
    """Return the tags of interpreter and ABI that the target takes (docs/decisions/017-local-wheels.md)."""
    from packaging.tags import compatible_tags, cpython_tags  # noqa: PLC0415 - as above

    major, minor = map(int, tag.minor.split("."))
    own = f"cp{major}{minor}"
    tags = (*cpython_tags((major, minor), [own], ["any"]), *compatible_tags((major, minor), own, ["any"]))
    return {(each.interpreter, each.abi) for each in tags}


def _runs(platform: str, tag: TargetTag) -> bool:
    """Claim that the files of a wheel may run on the target; whether its libc is too new, uv says."""
    target = tag.platform
    match target.system:
        case _ if platform == "any":
            return True
        case "win":
            return platform == target.sysconfig.replace("-", "_")
        case "macosx":
            return platform.startswith("macosx_") and platform.endswith(
                (target.sysconfig.rpartition("-")[2], "universal2")
            )
        case _:
            kind = "musllinux_" if target.libc == "musl" else "manylinux"
            return platform.endswith(target.machine) and platform.startswith((kind, "linux_"))
