"""Replaces the distributions of a resolution by those for the nodes, and compares them with the lock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Kind
from raybundle.cache.room import touch
from raybundle.model import Distribution
from raybundle.resolve.distributions.installed import InstalledDistribution, InstalledDistributions
from raybundle.resolve.distributions.record import RECORD
from raybundle.resolve.interpreter.markers import marker_environment
from raybundle.wheels.lock_file import find_lock
from raybundle.wheels.locks import as_installed, differences, locked, read_lock
from raybundle.wheels.oldest import runs_on
from raybundle.wheels.order import Fetched, Versions, make_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raybundle.cache.documents import Cache
    from raybundle.model import CollectedFile, Resolution
    from raybundle.resolve.interpreter.node_python import NodePython
    from raybundle.wheels.order import Order
    from raybundle.wheels.uv.indexes import Indexes

DIRECTORY = "environments"
"""Folder of the cache for what was fetched for other Pythons and platforms."""
_ORDERS = Kind("orders", 64)
"""The directory of the cache that an order led to."""


def retarget(
    resolution: Resolution, nodes: NodePython | None, environ: Mapping[str, str], cache: Cache
) -> Resolution:
    """Returns the resolution with the versions and files of distributions for the nodes.

    Args:
        resolution: its interpreter is as on the nodes.
        nodes: their Python if it differs from this environment. If only its libc or macOS is older, only the
            distributions that need a newer one change. With None, none change.
        environ: has the configuration of uv and pip.
        cache: keeps what was fetched, so that the same order does not run uv again.

    Raises:
        BundleError: distributions have no wheel for the nodes, or the lock cannot be read.
        UsageError: uv is needed but is not installed.
    """
    if not any(each.provided_by == "bundle" for each in resolution.distributions):
        return resolution
    lock_file = find_lock(resolution.project)
    if nodes is None and lock_file is None:
        return resolution
    versions = _versions(resolution, lock_file, cache)
    if versions.lock is not None:
        differing = differences(versions.lock, resolution.distributions)
        resolution = replace(resolution, warnings=(*resolution.warnings, *differing))
    if nodes is None:
        return resolution
    if nodes.alike and versions.lock is not None:  # what is fetched must fit what stays
        versions = replace(versions, lock=as_installed(versions.lock, versions.installed))
    staying = _running(resolution, nodes)
    if all(each.name in staying for each in resolution.distributions if each.provided_by == "bundle"):
        return resolution
    from raybundle.wheels.uv.indexes import indexes_of  # noqa: PLC0415 - most bundles are for here

    prefix = Path(resolution.interpreter.executable).parent.parent
    indexes = indexes_of(resolution.project, prefix, environ)
    order = make_order(resolution, nodes, versions, indexes, staying)
    return replace(resolution, distributions=_for_target(resolution, order, versions, indexes, cache))


def _running(resolution: Resolution, nodes: NodePython) -> frozenset[str]:
    """Returns the names of installed distributions that also run on the older libc or macOS of the nodes."""
    if not nodes.alike:
        return frozenset()
    return frozenset(
        each.name
        for each in resolution.distributions
        if each.provided_by == "bundle"
        and (each.metadata is None or runs_on(InstalledDistribution.at(each.metadata), nodes.platform))
    )


def _for_target(
    resolution: Resolution, order: Order, versions: Versions, indexes: Indexes, cache: Cache
) -> tuple[Distribution, ...]:
    """Returns the distributions of a resolution; the ordered ones have files for the nodes."""
    key = cache.key(order.key)
    kept = cache.read(_ORDERS, key, _kept)
    if kept is None:
        kept = _fetch_all(resolution, order, versions, indexes, cache)
        cache.write(_ORDERS, key, {"directory": str(kept[0]), "rows": kept[1]})
    return _with_fetched(resolution, order, *kept)


def _versions(resolution: Resolution, file: Path | None, cache: Cache) -> Versions:
    found = InstalledDistributions(resolution.interpreter.site).by_name.values()
    installed = {each.name: each.version for each in found if each.directory.suffix == ".dist-info"}
    if file is None:
        return Versions(installed, None)
    markers = marker_environment(resolution.interpreter)
    return Versions(installed, read_lock(file, markers, installed, cache))


def _fetch_all(
    resolution: Resolution, order: Order, versions: Versions, indexes: Indexes, cache: Cache
) -> tuple[Path, list[Fetched]]:
    """Returns the directory of the fetched distributions, and what is in it."""
    # A warm start runs no uv and parses no requirements.
    from raybundle.wheels.compile import UvSettings  # noqa: PLC0415 - as said
    from raybundle.wheels.fetch import fetch  # noqa: PLC0415 - as said
    from raybundle.wheels.fetched import fetched_in, refuse_newer, refuse_unfit  # noqa: PLC0415 - as said

    python, kept = resolution.interpreter.executable, cache.directory / DIRECTORY
    uv = UvSettings(python, indexes.environ, resolution.project, kept, cache.clock, indexes.pinned)
    directory = fetch(order, _hashes(versions, resolution), uv)
    rows = fetched_in(directory, resolution)
    refuse_newer(directory, rows, order.nodes)
    refuse_unfit(rows, resolution)
    return directory, rows


def refuse_foreign(resolution: Resolution, files: Iterable[CollectedFile], nodes: NodePython) -> None:
    """Refuses native files that do not load on the nodes: the project's, and those that are installed here.

    Raises:
        RefusedFileError: there are such files; the error names all of them.
    """
    from raybundle.wheels.native import check_native, installed_native_files, native_files  # noqa: PLC0415

    installed = installed_native_files(resolution.distributions, resolution.interpreter.site)
    check_native([*native_files(files), *(() if nodes.alike else installed)], nodes)


def _hashes(versions: Versions, resolution: Resolution) -> dict[str, tuple[str, ...]]:
    """Returns the hashes of the lock by name; only needed if something is fetched."""
    if versions.lock is None:
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for each in locked(versions.lock.file, marker_environment(resolution.interpreter)):
        if versions.lock.pins.get(each.name) == each.version:
            found[each.name] = (*found.get(each.name, ()), *each.hashes)
    return found


def _kept(document: Mapping[str, Any]) -> tuple[Path, list[Fetched]] | None:
    """Returns what was fetched before, if it is still complete."""
    if not touch(directory := Path(document["directory"])):
        return None
    rows = [Fetched(*row) for row in document["rows"]]
    return (directory, rows) if all((directory / each.folder / RECORD).is_file() for each in rows) else None


def _with_fetched(
    resolution: Resolution, order: Order, directory: Path, rows: Iterable[Fetched]
) -> tuple[Distribution, ...]:
    """Returns what the cluster has, what is bundled as installed, and what was fetched, sorted by name."""
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
