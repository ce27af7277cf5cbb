"""Decides what is asked of uv for another Python or platform: versions, and what the cluster brings."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.identity import identity_of
from raybundle.errors import BundleError
from raybundle.model import Distribution
from raybundle.resolve.distributions.installed import InstalledDistribution, InstalledDistributions
from raybundle.wheels.local_wheels import find_wheel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from raybundle.model import Resolution
    from raybundle.resolve.interpreter.node_python import TargetTag
    from raybundle.wheels.locks import Lock
    from raybundle.wheels.uv.indexes import Indexes

_FORMAT = 1
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]*")
HINT_WHEEL = (
    "build a wheel of it for the target, and name its directory in UV_FIND_LINKS or `find-links` of [tool.uv]"
)


@dataclass(frozen=True, slots=True)
class Versions:
    """Which versions there are to choose from."""

    installed: Mapping[str, str]
    """By normalised name."""
    lock: Lock | None
    """Of the project; its versions count first."""


@dataclass(frozen=True, slots=True)
class Order:
    """What uv is asked for; it prints the same for the same order."""

    tag: TargetTag
    version: str
    """Of Python, with its micro version."""
    requirements: tuple[str, ...]
    """One per distribution that travels, with its exact version or the file of its wheel."""
    constraints: tuple[str, ...]
    """Versions, or wheels, for what only the target requires."""
    elsewhere: tuple[str, ...]
    """Normalised names of what is not asked for: the cluster brings it, or it travels as it is installed."""
    unindexed: tuple[tuple[str, str], ...]
    """Name, and a line for an error, of what is installed from no index and has no wheel for the target."""
    key: str
    """Hex; another one where anything changed that has a say."""


def make_order(
    resolution: Resolution, tag: TargetTag, versions: Versions, indexes: Indexes, staying: Collection[str]
) -> Order:
    """Return what is asked for: the versions of the lock, else those that are installed.

    Args:
        resolution: its interpreter is as on the target.
        tag: the target.
        versions: to choose from.
        indexes: where wheels are looked for.
        staying: names of what travels as it is installed.

    Raises:
        BundleError: distributions are from no index, and there is no wheel of them; all are named.
    """
    needed = [
        each for each in resolution.distributions if each.provided_by == "bundle" and each.name not in staying
    ]
    names, lock = {each.name for each in needed}, versions.lock
    pins = dict(lock.pins) if lock else {}
    elsewhere = tuple(sorted({"ray", *staying, *_elsewhere(resolution)} - names))
    skipped = frozenset(elsewhere) | (lock.indexed if lock else frozenset())
    wheels, lacking = _local_wheels(_unindexed(resolution, pins, skipped), indexes.links, tag)
    refused = [line for name, line in lacking.items() if name in names]
    if refused:
        raise no_wheels(tag, refused)
    requirements = tuple(
        _requirement(each.name, pins.get(each.name, each.version), wheels) for each in needed
    )
    others = {name: number for name, number in {**versions.installed, **pins}.items() if name not in names}
    constraints = tuple(
        _requirement(name, number, wheels)
        for name, number in sorted(others.items())
        if _VERSION.fullmatch(number)
    )
    python = ".".join(map(str, resolution.interpreter.version))
    stamps = [(str(file), identity_of(str(file))) for file in wheels.values()]
    platform = [tag.platform.uv, tag.platform.variables, tag.platform.floor]
    said = [_FORMAT, platform, python, requirements, constraints, elsewhere]
    text = json.dumps(
        [said, lacking, stamps, _parts_of_ray(resolution), indexes.stamp, lock.sha256 if lock else None]
    )
    key = hashlib.sha256(text.encode()).hexdigest()
    return Order(tag, python, requirements, constraints, elsewhere, tuple(lacking.items()), key)


def _parts_of_ray(resolution: Resolution) -> list[str]:
    """Return such as `ray.serve`: what is fetched is held against the requirements of those that are used."""
    modules = (module for each in resolution.distributions for module in each.modules)
    return sorted({".".join(module.split(".")[:2]) for module in modules if module.startswith("ray.")})


def _requirement(name: str, version: str, wheels: Mapping[str, Path]) -> str:
    return f"{name} @ {wheels[name].as_uri()}" if name in wheels else f"{name}=={version}"


def _elsewhere(resolution: Resolution) -> Iterator[str]:
    """Yield what no index is asked for: what the cluster has, and what is ours, whatever an index has."""
    yield from (each.name for each in resolution.distributions if each.provided_by == "cluster")
    for _, metadata in resolution.interpreter.projects:
        yield InstalledDistribution.at(Path(metadata)).name


def _unindexed(
    resolution: Resolution, pins: Mapping[str, str], skipped: frozenset[str]
) -> Iterator[Distribution]:
    """Yield what was installed from no index: what travels, and what only the target may require."""
    found = {
        name: Distribution(name, each.version, "bundle", 0, origin=each.origin().url)
        for name, each in InstalledDistributions(resolution.interpreter.site).by_name.items()
    }
    found |= {each.name: each for each in resolution.distributions if each.provided_by == "bundle"}
    for name, one in sorted(found.items()):
        if one.origin and name not in skipped:
            yield replace(one, version=pins.get(name, one.version))


def _local_wheels(
    unindexed: Iterable[Distribution], links: tuple[Path, ...], tag: TargetTag
) -> tuple[dict[str, Path], dict[str, str]]:
    """Return wheels by name for what was installed from no index, and a line for each that has none."""
    wheels, lacking = {}, {}
    for each in unindexed:
        wheel = find_wheel(each, links, tag)
        if wheel is None:
            lacking[each.name] = f"{each.name} {each.version}, which was installed from {each.origin}"
        else:
            wheels[each.name] = wheel
    return wheels, lacking


def no_wheels(tag: TargetTag, lines: Iterable[str]) -> BundleError:
    """Return the error about distributions that were installed from no index."""
    return BundleError(f"no wheel for {tag} is known of:\n" + "\n".join(lines), hint=HINT_WHEEL)
