"""Gives a resolution the distributions as the nodes get them, and tells where a lock says otherwise."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.environment.locks import differences, find_lock, locked, read_lock
from raybundle.environment.order import installed_versions
from raybundle.graph.requirements import marker_environment
from raybundle.model import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raybundle.environment.fetch import Row
    from raybundle.environment.locks import Lock
    from raybundle.environment.target import TargetTag
    from raybundle.graph.cache import ScanCache
    from raybundle.model import CollectedFile, Resolution

DIRECTORY = "environments"
"""In the cache: what was fetched for other Pythons and platforms."""


def equip(
    resolution: Resolution, tag: TargetTag | None, environ: Mapping[str, str], cache: ScanCache
) -> Resolution:
    """Return the resolution with the distributions that travel, in the versions and files of the target.

    Args:
        resolution: its interpreter is as on the target.
        tag: the target, where it is not the environment at hand; None changes no distribution.
        environ: with the configuration of uv and pip.
        cache: where what was fetched is kept; the same order starts no uv again.

    Raises:
        BundleError: distributions have no wheel for the target, or the lock cannot be read.
        UsageError: uv is needed and is not there.
    """
    if not any(each.provided_by == "bundle" for each in resolution.distributions):
        return resolution
    installed = installed_versions(resolution.interpreter.site)
    lock = _lock(resolution, installed, cache)
    warnings = tuple(differences(lock, resolution.distributions)) if lock else ()
    resolution = replace(resolution, warnings=(*resolution.warnings, *warnings))
    if tag is None:
        return resolution
    from raybundle.environment.indexes import indexes_of  # noqa: PLC0415 - most bundles are for here
    from raybundle.environment.order import make_order  # noqa: PLC0415 - as above

    indexes = indexes_of(resolution.project, environ)
    order = make_order(resolution, tag, lock, indexes, installed)
    name = f"environment-{order.key[:32]}"
    known = _known(cache.read(name))
    if known is None:
        from raybundle.environment.fetch import Workshop, fetch  # noqa: PLC0415 - a warm start runs no uv

        workshop = Workshop(
            resolution.interpreter.executable,
            indexes.environ,
            resolution.project,
            cache.directory / DIRECTORY,
        )
        known = fetch(order, _hashes(lock, resolution, installed), workshop)
        cache.write(name, {"directory": str(known[0]), "rows": known[1]})
    return replace(resolution, distributions=_distributions(resolution, *known))


def refuse_foreign(resolution: Resolution, files: Iterable[CollectedFile], tag: TargetTag) -> None:
    """Refuse native files that do not load on the target, of the project and of what was not fetched for it.

    Raises:
        RefusedFileError: there are such files; all of them are named.
    """
    from raybundle.environment.native import check_native, installed_native_files, native_files  # noqa: PLC0415

    installed = installed_native_files(resolution.distributions, resolution.interpreter.site)
    check_native([*native_files(files), *installed], tag)


def _lock(resolution: Resolution, installed: Mapping[str, str], cache: ScanCache) -> Lock | None:
    file = find_lock(resolution.project)
    if file is None:
        return None
    return read_lock(file, marker_environment(resolution.interpreter), installed, cache)


def _hashes(
    lock: Lock | None, resolution: Resolution, installed: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Return the hashes that the lock has, by name; they are read only where something is fetched."""
    if lock is None:
        return {}
    entries = locked(lock.file, marker_environment(resolution.interpreter), installed)
    return {each.name: each.hashes for each in entries}


def _known(document: Mapping[str, Any]) -> tuple[Path, list[Row]] | None:
    """Return what was fetched before, if it is still there."""
    try:
        directory = Path(document["directory"])
        rows = [
            (str(name), str(version), str(folder), int(size))
            for name, version, folder, size in document["rows"]
        ]
        os.utime(directory)  # the ones used longest ago make room
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return directory, rows


def _distributions(resolution: Resolution, directory: Path, rows: Iterable[Row]) -> tuple[Distribution, ...]:
    """Return what the cluster has and what was fetched, by name."""
    local = {each.name: each for each in resolution.distributions}
    found = {each.name: each for each in resolution.distributions if each.provided_by != "bundle"}
    for name, version, folder, size in rows:
        one = local.get(name) or Distribution(name, version, "bundle", size)
        found[name] = replace(
            one, version=version, provided_by="bundle", bytes=size, metadata=directory / folder
        )
    return tuple(found[name] for name in sorted(found))
