"""Finds the oldest libc or macOS that installed files run on: by the wheel's tags, else by the files."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raybundle.formats.archive_paths import is_native
from raybundle.resolve.interpreter.platforms import UNIVERSAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from raybundle.resolve.distributions.installed import InstalledDistribution
    from raybundle.resolve.interpreter.platforms import Platform, Version

_TAG = re.compile(r"(?P<kind>manylinux|musllinux|macosx)_(?P<major>\d+)_(?P<minor>\d+)_(?P<machine>\w+)")
_LEGACY = {"manylinux1_": "2_5", "manylinux2010_": "2_12", "manylinux2014_": "2_17"}
"""PEP 600 has the versions."""
_KINDS = {"gnu": "manylinux", "musl": "musllinux", "": "macosx"}
_SYMBOL = re.compile(rb"GLIBC_(\d+)\.(\d+)(?:\.\d+)?\0")
"""A version of symbols that an ELF file needs, as its string table has it."""
_RELATIVE = b"GLIBC_ABI_DT_RELR\0"
_RELATIVE_SINCE = (2, 36)
"""The first glibc that loads such a file."""


def runs_on(distribution: InstalledDistribution, platform: Platform) -> bool:
    """Claim that an installed distribution runs on a platform that differs from this one only in its age.

    Args:
        distribution: as it is installed here.
        platform: with its oldest libc or macOS.
    """
    if platform.floor is None:
        return True
    tags = [one for tag in distribution.wheel_tags() for one in tag.rpartition("-")[2].split(".")]
    if "any" in tags:
        return True
    known = [oldest for tag in tags if (oldest := oldest_of_tag(tag, platform)) is not None]
    if known:
        return min(known) <= platform.floor
    files = native_files_of(distribution)
    return all(oldest_of_library(file.read_bytes()) <= platform.floor for file in files)


def native_files_of(distribution: InstalledDistribution) -> Iterator[Path]:
    """Yield the extensions and libraries of an installed distribution."""
    site = distribution.directory.parent
    return (site / path for path in distribution.files if is_native(path) and (site / path).is_file())


def oldest_of_tag(tag: str, platform: Platform) -> Version | None:
    """Return the oldest libc or macOS that a wheel's tag promises; None if it is for another platform."""
    for name, version in _LEGACY.items():
        tag = tag.replace(name, f"manylinux_{version}_")
    found = _TAG.fullmatch(tag)
    machine = platform.sysconfig.rpartition("-")[2]
    if not found or found["kind"] != _KINDS[platform.libc] or found["machine"] not in {machine, UNIVERSAL}:
        return None
    return int(found["major"]), int(found["minor"])


def oldest_of_library(data: bytes) -> Version:
    """Return the oldest glibc that loads an ELF file; (0, 0) if it needs none."""
    found: Iterable[Version] = ((int(major), int(minor)) for major, minor in _SYMBOL.findall(data))
    return max(found, default=(0, 0)) if _RELATIVE not in data else max(_RELATIVE_SINCE, *found)
