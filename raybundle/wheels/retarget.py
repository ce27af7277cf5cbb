"""Gives a resolution the distributions as the nodes get them, and tells where a lock says otherwise."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.model import Distribution
from raybundle.resolve.distributions.installed import InstalledDistribution, InstalledDistributions
from raybundle.resolve.distributions.record import RECORD
from raybundle.resolve.interpreter.markers import marker_environment
from raybundle.wheels.locks import as_installed, differences, find_lock, locked, read_lock
from raybundle.wheels.oldest import runs_on
from raybundle.wheels.order import Fetched, Versions, make_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raybundle.cache.documents import ScanCache
    from raybundle.model import CollectedFile, Resolution
    from raybundle.resolve.interpreter.node_python import TargetTag
    from raybundle.wheels.order import Order
    from raybundle.wheels.uv.indexes import Indexes

DIRECTORY = "environments"
"""In the cache: what was fetched for other Pythons and platforms."""


def retarget(
    resolution: Resolution, tag: TargetTag | None, environ: Mapping[str, str], cache: ScanCache
) -> Resolution:
    """Return the resolution with the distributions that travel, in the versions and files of the target.

    Args:
        resolution: its interpreter is as on the target.
        tag: the target, where it is not the environment at hand; None changes no distribution. One that is
            only older changes those that need a newer libc or macOS.
        environ: with the configuration of uv and pip.
        cache: where what was fetched is kept; the same order starts no uv again.

    Raises:
        BundleError: distributions have no wheel for the target, or the lock cannot be read.
        UsageError: uv is needed and is not there.
    """
    if not any(each.provided_by == "bundle" for each in resolution.distributions):
        return resolution
    versions = _versions(resolution, cache)
    if versions.lock is not None:
        differing = differences(versions.lock, resolution.distributions)
        resolution = replace(resolution, warnings=(*resolution.warnings, *differing))
    if tag is None:
        return resolution
    if tag.alike and versions.lock is not None:  # what is fetched must go with what stays
        versions = replace(versions, lock=as_installed(versions.lock, versions.installed))
    staying = _running(resolution, tag)
    if all(each.name in staying for each in resolution.distributions if each.provided_by == "bundle"):
        return resolution
    from raybundle.wheels.uv.indexes import indexes_of  # noqa: PLC0415 - most bundles are for here

    prefix = Path(resolution.interpreter.executable).parent.parent
    indexes = indexes_of(resolution.project, prefix, environ)
    order = make_order(resolution, tag, versions, indexes, staying)
    return replace(resolution, distributions=_for_target(resolution, order, versions, indexes, cache))


def _running(resolution: Resolution, tag: TargetTag) -> frozenset[str]:
    """Return the names of what travels as it is installed, for it runs on nodes that are only older."""
    if not tag.alike:
        return frozenset()
    return frozenset(
        each.name
        for each in resolution.distributions
        if each.provided_by == "bundle"
        and (each.metadata is None or runs_on(InstalledDistribution.at(each.metadata), tag.platform))
    )


def _for_target(
    resolution: Resolution, order: Order, versions: Versions, indexes: Indexes, cache: ScanCache
) -> tuple[Distribution, ...]:
    """Return the distributions of a resolution, with files of the target for those that are ordered."""
    name = f"environment-{order.key[:32]}"
    kept = _kept(cache.read(name))
    if kept is None:
        kept = _fetch_all(resolution, order, versions, indexes, cache)
        cache.write(name, {"directory": str(kept[0]), "rows": kept[1]})
    return _with_fetched(resolution, order, *kept)


def _versions(resolution: Resolution, cache: ScanCache) -> Versions:
    found = InstalledDistributions(resolution.interpreter.site).by_name.values()
    installed = {each.name: each.version for each in found}
    file = find_lock(resolution.project)
    if file is None:
        return Versions(installed, None)
    markers = marker_environment(resolution.interpreter)
    return Versions(installed, read_lock(file, markers, installed, cache))


def _fetch_all(
    resolution: Resolution, order: Order, versions: Versions, indexes: Indexes, cache: ScanCache
) -> tuple[Path, list[Fetched]]:
    """Return the directory of what was fetched, and what it holds."""
    # A warm start runs no uv and parses no requirements.
    from raybundle.wheels.compile import UvSettings  # noqa: PLC0415 - as said
    from raybundle.wheels.fetch import fetch  # noqa: PLC0415 - as said
    from raybundle.wheels.fetched import fetched_in, refuse_newer, refuse_unfit  # noqa: PLC0415 - as said

    python, kept = resolution.interpreter.executable, cache.directory / DIRECTORY
    uv = UvSettings(python, indexes.environ, resolution.project, kept, indexes.pinned)
    directory = fetch(order, _hashes(versions, resolution), uv)
    rows = fetched_in(directory, resolution)
    refuse_newer(directory, rows, order.tag)
    refuse_unfit(rows, resolution)
    return directory, rows


def refuse_foreign(resolution: Resolution, files: Iterable[CollectedFile], tag: TargetTag) -> None:
    """Refuse native files that do not load on the target, of the project and of what was not fetched for it.

    Raises:
        RefusedFileError: there are such files; all of them are named.
    """
    from raybundle.wheels.native import check_native, installed_native_files, native_files  # noqa: PLC0415

    installed = installed_native_files(resolution.distributions, resolution.interpreter.site)
    check_native([*native_files(files), *(() if tag.alike else installed)], tag)


def _hashes(versions: Versions, resolution: Resolution) -> dict[str, tuple[str, ...]]:
    """Return the hashes that the lock has, by name; they are read only where something is fetched."""
    if versions.lock is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for each in locked(versions.lock.file, marker_environment(resolution.interpreter)):
        if versions.lock.pins.get(each.name) == each.version:
            found[each.name] = (*found.get(each.name, ()), *each.hashes)
    return found


def _kept(document: Mapping[str, Any]) -> tuple[Path, list[Fetched]] | None:
    """Return what was fetched before, if all of it is still there."""
    try:
        directory = Path(document["directory"])
        rows = [Fetched(*row) for row in document["rows"]]
        os.utime(directory)  # the ones used longest ago make room
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return (directory, rows) if all((directory / each.folder / RECORD).is_file() for each in rows) else None


def _with_fetched(
    resolution: Resolution, order: Order, directory: Path, rows: Iterable[Fetched]
) -> tuple[Distribution, ...]:
    """Return what the cluster has, what travels as it is installed, and what was fetched, by name."""
    local = {each.name: each for each in resolution.distributions}
    found = {
        name: each for name, each in local.items() if each.provided_by != "bundle" or name in order.excluded
    }
    for each in rows:
        plain = Distribution(each.name, each.version, "bundle", each.bytes, required_by=each.required_by)
        found[each.name] = replace(
            local.get(each.name, plain),
            version=each.version,
            provided_by="bundle",
            bytes=each.bytes,
            metadata=directory / each.folder,
        )
    return tuple(found[name] for name in sorted(found))
