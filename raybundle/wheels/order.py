"""Decides what to ask uv for: versions for another Python or platform, without what the cluster has."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from raybundle.cache.identity import identity_of
from raybundle.errors import BundleError
from raybundle.model import Distribution
from raybundle.resolve.distributions.installed import InstalledDistribution, InstalledDistributions
from raybundle.wheels.local_wheels import find_wheel

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from raybundle.model import Resolution
    from raybundle.resolve.interpreter.node_python import NodePython
    from raybundle.wheels.locks import Lock
    from raybundle.wheels.uv.indexes import Indexes

_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+_-]*")
HINT_WHEEL = (
    "build a wheel of it for the nodes, and name its directory in UV_FIND_LINKS or `find-links` of [tool.uv]"
)


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions to choose from."""

    installed: Mapping[str, str]
    """By normalised name."""
    lock: Lock | None
    """Of the project; its versions take precedence."""

    @property
    def pins(self) -> Mapping[str, str]:
        """The versions of the lock, by normalised name."""
        return self.lock.pins if self.lock else {}


@dataclass(frozen=True, slots=True)
class Order:
    """The distributions to ask uv for."""

    nodes: NodePython
    version: str
    """Of Python, with its micro version."""
    requirements: tuple[str, ...]
    """One for each distribution to bundle, with its exact version or the file of its wheel."""
    constraints: tuple[str, ...]
    """Versions or wheels of what only the nodes may require."""
    excluded: tuple[str, ...]
    """Normalised names that uv is not asked for: the cluster has them, or they travel as installed."""
    unindexed: tuple[tuple[str, str], ...]
    """Distributions that are not from an index and have no wheel for the nodes: name, line of the error."""
    key: str
    """Hex; the same for the same order and the same configuration of uv."""


class Fetched(NamedTuple):
    """A distribution that was fetched for the nodes."""

    name: str
    """Normalised."""
    version: str
    folder: str
    """Name of its `.dist-info`."""
    bytes: int
    required_by: str
    """One that requires it; empty if none does."""


def make_order(
    resolution: Resolution, nodes: NodePython, versions: Versions, indexes: Indexes, staying: Collection[str]
) -> Order:
    """Returns the order: versions of the lock, else the installed ones.

    Args:
        resolution: its interpreter is as on the nodes.
        nodes: their Python and platform.
        versions: to choose from.
        indexes: where wheels are.
        staying: names of what is bundled as it is installed.

    Raises:
        BundleError: distributions are not from an index and have no wheel; the error names all of them.
    """
    needed = {
        each.name: each.version
        for each in resolution.distributions
        if each.provided_by == "bundle" and each.name not in staying
    }
    excluded = tuple(sorted({"ray", *staying, *_not_asked(resolution)} - needed.keys()))
    skipped = {*excluded, *(versions.lock.indexed if versions.lock else ())}
    wheels, lacking = _local_wheels(_unindexed(resolution, versions.pins, skipped), indexes.links, nodes)
    refused = [line for name, line in lacking.items() if name in needed]
    if refused:
        raise no_wheels(nodes, refused)
    python = ".".join(map(str, resolution.interpreter.version))
    requirements = tuple(
        _requirement(name, versions.pins.get(name, version), wheels) for name, version in needed.items()
    )
    constraints = tuple(_constraints(versions, needed, wheels))
    stamps = [(str(file), identity_of(str(file))) for file in wheels.values()]
    lock = versions.lock.sha256 if versions.lock else None
    said = [python, requirements, constraints, excluded, lacking, stamps]
    key = _key(nodes, [*said, _parts_of_ray(resolution), indexes.stamp, lock])
    return Order(nodes, python, requirements, constraints, excluded, tuple(lacking.items()), key)


def _constraints(versions: Versions, needed: Collection[str], wheels: Mapping[str, Path]) -> Iterator[str]:
    for name, version in sorted({**versions.installed, **versions.pins}.items()):
        if name not in needed and _VERSION.fullmatch(version):
            yield _requirement(name, version, wheels)


def _key(nodes: NodePython, said: list[object]) -> str:
    platform = [nodes.platform.uv, nodes.platform.variables, nodes.platform.floor]
    return hashlib.sha256(json.dumps([platform, said]).encode()).hexdigest()


def _parts_of_ray(resolution: Resolution) -> list[str]:
    """Returns such as `ray.serve`: what is fetched is compared with the requirements of the parts in use."""
    modules = (module for each in resolution.distributions for module in each.modules)
    return sorted({".".join(module.split(".")[:2]) for module in modules if module.startswith("ray.")})


def _requirement(name: str, version: str, wheels: Mapping[str, Path]) -> str:
    return f"{name} @ {wheels[name].as_uri()}" if name in wheels else f"{name}=={version}"


def _not_asked(resolution: Resolution) -> Iterator[str]:
    """Yields what no index may be asked for: what the cluster has, and first-party projects."""
    yield from (each.name for each in resolution.distributions if each.provided_by == "cluster")
    for _, metadata in resolution.interpreter.projects:
        yield InstalledDistribution.at(Path(metadata)).name


def _unindexed(
    resolution: Resolution, pins: Mapping[str, str], skipped: Collection[str]
) -> Iterator[Distribution]:
    """Yields what was not installed from an index: to bundle, or because the nodes may require it."""
    found = {
        name: Distribution(name, each.version, "bundle", 0, origin=each.origin().url)
        for name, each in InstalledDistributions(resolution.interpreter.site).by_name.items()
    }
    found |= {each.name: each for each in resolution.distributions if each.provided_by == "bundle"}
    for name, one in sorted(found.items()):
        if one.origin and name not in skipped:
            yield replace(one, version=pins.get(name, one.version))


def _local_wheels(
    unindexed: Iterable[Distribution], links: tuple[Path, ...], nodes: NodePython
) -> tuple[dict[str, Path], dict[str, str]]:
    """Returns the wheels by name, and for each distribution without one the line of the error."""
    wheels, lacking = {}, {}
    for each in unindexed:
        wheel = find_wheel(each, links, nodes)
        if wheel is None:
            lacking[each.name] = f"{each.name} {each.version}, which was installed from {each.origin}"
        else:
            wheels[each.name] = wheel
    return wheels, lacking


def no_wheels(nodes: NodePython, lines: Iterable[str]) -> BundleError:
    """Returns the error about distributions that are not from an index and have no wheel."""
    return BundleError(f"found no wheel for {nodes} of:\n" + "\n".join(lines), hint=HINT_WHEEL)
