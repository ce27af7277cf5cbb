"""Reads the pins of a requirements file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

_INCLUDE = re.compile(r"(?:-r\s*|--requirement[=\s]\s*)(?P<file>.+)")
_HASH = re.compile(r"\s--hash[=\s]\s*(?P<hash>sha256:[0-9a-f]{64})")
_COMMENT = re.compile(r"(^|\s)#.*$")

Pin = tuple[str, str, tuple[str, ...]]
"""Name, version, hashes."""


def read_requirements(
    file: Path, markers: Mapping[str, str], include: Callable[[Path], object]
) -> Iterator[Pin]:
    """Yields what a requirements file and its `-r` files pin with `==` for the nodes.

    Raises:
        OSError, ValueError: a file cannot be read.
    """
    yield from _read(file, markers, include, {file.resolve()})


def _read(
    file: Path, markers: Mapping[str, str], include: Callable[[Path], object], seen: set[Path]
) -> Iterator[Pin]:
    text = file.read_text("utf-8-sig").replace("\\\n", " ")
    for raw in text.splitlines():
        line = _COMMENT.sub("", raw).strip()
        named = _INCLUDE.fullmatch(line)
        if named is None:
            yield from _pin(line, markers)
            continue
        other = file.parent / named["file"].strip("\"'")
        if other.resolve() not in seen:
            seen.add(other.resolve())
            include(other)
            yield from _read(other, markers, include, seen)


def _pin(line: str, markers: Mapping[str, str]) -> Iterator[Pin]:
    from packaging.requirements import InvalidRequirement, Requirement  # noqa: PLC0415 - 30 ms

    if not line or line.startswith("-"):
        return
    hashes = tuple(each["hash"] for each in _HASH.finditer(line))
    try:
        requirement = Requirement(line.partition(" --")[0])
    except InvalidRequirement:
        return  # a path or a URL has no version
    holds = requirement.marker is None or requirement.marker.evaluate(dict(markers))
    exact = [each for each in requirement.specifier if each.operator in {"==", "==="}]
    if holds and len(exact) == 1 and not exact[0].version.endswith(".*"):
        yield requirement.name, exact[0].version, hashes
