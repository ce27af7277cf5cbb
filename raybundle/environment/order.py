"""Decides what is asked of uv for another Python or platform: versions, and what the cluster brings."""

from __future__ import annotations

import hashlib
import json
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.environment.wheels import find_wheel
from raybundle.errors import BundleError
from raybundle.graph.cache import identity_of
from raybundle.graph.metadata import normalised_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.environment.indexes import Indexes
    from raybundle.environment.locks import Lock
    from raybundle.environment.target import TargetTag
    from raybundle.model import Distribution, Resolution

_FORMAT = 1
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]*")
HINT_WHEEL = (
    "build a wheel of it for the target, and name its directory in UV_FIND_LINKS or `find-links` of [tool.uv]"
)


@dataclass(frozen=True, slots=True)
class Order:
    """What uv is asked for; it prints the same for the same order."""

    tag: TargetTag
    version: str
    """Of Python, with its micro version."""
    requirements: tuple[str, ...]
    """One per distribution that travels, with its exact version or the file of its wheel."""
    constraints: tuple[str, ...]
    """Versions for what only the target requires."""
    elsewhere: tuple[str, ...]
    """Normalised names of what the cluster brings."""
    key: str
    """Hex; another one where anything changed that has a say."""


def make_order(
    resolution: Resolution, tag: TargetTag, lock: Lock | None, indexes: Indexes, installed: Mapping[str, str]
) -> Order:
    """Return what is asked for: the versions of the lock, else those that are installed.

    Args:
        resolution: its interpreter is as on the target.
        tag: the target.
        lock: of the project.
        indexes: where wheels are looked for.
        installed: versions by name.

    Raises:
        BundleError: distributions are from no index, and there is no wheel of them; all are named.
    """
    needed = [each for each in resolution.distributions if each.provided_by == "bundle"]
    pins = dict(lock.pins) if lock else {}
    unindexed = [
        replace(each, version=pins.get(each.name, each.version))
        for each in needed
        if each.origin and not (lock and each.name in lock.indexed)
    ]
    wheels, refused = _local_wheels(unindexed, indexes.links, tag)
    if refused:
        lines = "\n".join(refused)
        raise BundleError(f"no wheel for {tag} is known of:\n{lines}", hint=HINT_WHEEL)
    names = {each.name for each in needed}
    requirements = tuple(
        f"{each.name} @ {wheels[each.name].as_uri()}"
        if each.name in wheels
        else f"{each.name}=={pins.get(each.name, each.version)}"
        for each in needed
    )
    others = {name: number for name, number in {**installed, **pins}.items() if name not in names}
    constraints = tuple(
        f"{name}=={number}" for name, number in sorted(others.items()) if _VERSION.fullmatch(number)
    )
    elsewhere = tuple(sorted({"ray", *_elsewhere(resolution)} - names))
    version = ".".join(map(str, resolution.interpreter.version))
    stamps = [(str(file), identity_of(str(file))) for file in wheels.values()]
    said = [_FORMAT, tag.platform.uv, tag.platform.variables, version, requirements, constraints, elsewhere]
    text = json.dumps([said, stamps, indexes.stamp, lock.sha256 if lock else None])
    return Order(
        tag, version, requirements, constraints, elsewhere, hashlib.sha256(text.encode()).hexdigest()
    )


def _elsewhere(resolution: Resolution) -> Iterator[str]:
    """Yield what no index is asked for: what the cluster has, and what is ours, whatever an index has."""
    yield from (each.name for each in resolution.distributions if each.provided_by == "cluster")
    for _, metadata in resolution.interpreter.projects:
        yield normalised_name(Path(metadata).name.removesuffix(".dist-info").rpartition("-")[0])


def _local_wheels(
    needed: Iterable[Distribution], links: tuple[Path, ...], tag: TargetTag
) -> tuple[dict[str, Path], list[str]]:
    """Return wheels by name for what was installed from no index, and a line for each that has none."""
    wheels, refused = {}, []
    for each in needed:
        wheel = find_wheel(each, links, tag)
        if wheel is None:
            refused.append(f"{each.name} {each.version}, which was installed from {each.origin}")
        else:
            wheels[each.name] = wheel
    return wheels, refused


def installed_versions(sites: Iterable[str]) -> dict[str, str]:
    """Return the versions by name of what is installed; of two, the first on the path."""
    found: dict[str, str] = {}
    for site in sites:
        for name in sorted(os.listdir(site)) if os.path.isdir(site) else ():  # noqa: PTH112, PTH208 - 200 names
            if name.endswith(".dist-info"):
                project, _, version = name.removesuffix(".dist-info").rpartition("-")
                found.setdefault(normalised_name(project), version)
    return found
