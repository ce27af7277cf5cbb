"""Finds out whether installed files run on an older libc or macOS: by the wheel's tags, else by the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raybundle.formats.archive_paths import is_native
from raybundle.resolve.interpreter.libc import need_of, promised
from raybundle.resolve.interpreter.platforms import UNIVERSAL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.resolve.distributions.installed import InstalledDistribution
    from raybundle.resolve.interpreter.platforms import Platform


def runs_on(distribution: InstalledDistribution, platform: Platform) -> bool:
    """Returns whether an installed distribution runs on a platform that is this one, except for its age.

    Args:
        distribution: as it is installed here.
        platform: with its oldest libc or macOS.
    """
    if platform.floor is None:
        return True
    tags = distribution.wheel_tags()
    if any(tag.endswith("-any") for tag in tags):
        return True
    promises, machine = promised(tags), platform.sysconfig.rpartition("-")[2]
    known = [version for each in (machine, UNIVERSAL) if (version := promises.get((platform.kind, each)))]
    if known:
        return min(known) <= platform.floor
    for file in native_files_of(distribution):
        with file.open("rb") as stream:
            need = need_of(stream)
        if need and need.kind == "glibc" and need.version > platform.floor:
            return False
    return True


def native_files_of(distribution: InstalledDistribution) -> Iterator[Path]:
    """Yields the extensions and libraries of an installed distribution."""
    site = distribution.directory.parent
    return (site / path for path in distribution.files if is_native(path) and (site / path).is_file())
