"""Finds a local wheel of a distribution that no index may be asked for."""

from __future__ import annotations

import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raybundle.model import Distribution
    from raybundle.resolve.interpreter.node_python import NodePython


def find_wheel(distribution: Distribution, links: Iterable[Path], nodes: NodePython) -> Path | None:
    """Returns a wheel of this version that fits the nodes: the installed one, or one in `links`."""
    # 30 ms, and only for what is from no index.
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename  # noqa: PLC0415
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415

    pythons = _pythons(nodes)
    for file in _wheels(distribution.origin, links):
        try:
            found, number, _, tags = parse_wheel_filename(file.name)
            wanted = Version(distribution.version)
        except (InvalidWheelFilename, InvalidVersion):
            continue
        fits = any((each.interpreter, each.abi) in pythons and _runs(each.platform, nodes) for each in tags)
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


def _pythons(nodes: NodePython) -> set[tuple[str, str]]:
    """Returns the tags of interpreter and ABI that the nodes accept (docs/decisions/017-local-wheels.md)."""
    from packaging.tags import compatible_tags, cpython_tags  # noqa: PLC0415 - as above

    major, minor = map(int, nodes.minor.split("."))
    own = f"cp{major}{minor}"
    tags = (*cpython_tags((major, minor), [own], ["any"]), *compatible_tags((major, minor), own, ["any"]))
    return {(each.interpreter, each.abi) for each in tags}


def _runs(platform: str, nodes: NodePython) -> bool:
    """Returns whether a wheel may run on the nodes; uv checks the age of libc."""
    there = nodes.platform
    match there.system:
        case _ if platform == "any":
            return True
        case "win":
            return platform == there.sysconfig.replace("-", "_")
        case "macosx":
            return platform.startswith("macosx_") and platform.endswith(
                (there.sysconfig.rpartition("-")[2], "universal2")
            )
        case _:
            kind = "musllinux_" if there.libc == "musl" else "manylinux"
            return platform.endswith(there.machine) and platform.startswith((kind, "linux_"))
