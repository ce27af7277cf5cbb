"""Identifies the code of raybundle that runs: an answer counts only for the code that gave it."""

from __future__ import annotations

import hashlib
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

OWN = Path(__file__).parents[1]
"""The sources of raybundle."""


def own_code(digest: str) -> str:
    """Returns the versions of raybundle and of its Python, and the digest of raybundle's sources.

    The Python counts because its parser decides answers, and an installer may link the same sources into the
    environments of several Pythons.
    """
    return f"{__version__} {sys.hexversion:x} {digest}"


@lru_cache
def state_of(directory: Path) -> str:
    """Returns a digest of the place of the sources, and of their names, sizes and times."""
    return hashlib.sha256(repr([str(directory), *_walk(str(directory))]).encode()).hexdigest()[:32]


def digest_of(directory: Path) -> str:
    """Returns a digest of the content of the sources, the same for each installation of the same code."""
    return hashlib.sha256(repr([*_contents(str(directory))]).encode()).hexdigest()


def _contents(directory: str) -> Iterator[tuple[str, str]]:
    for path, _, _ in _walk(directory):
        if path.endswith(".py"):
            with open(os.path.join(directory, path), "rb") as source:  # noqa: PTH118, PTH123 - as `_walk`
                yield path, hashlib.sha256(source.read()).hexdigest()


def _walk(directory: str, within: str = "") -> Iterator[tuple[str, int, int]]:
    """Yields relative path, size and time of each source below a directory."""
    with os.scandir(directory) as entries:
        for each in sorted(entries, key=lambda entry: entry.name):
            if each.name.startswith("."):
                continue  # of an editor, perhaps a link that leads nowhere
            if each.name.endswith(".py"):
                status = each.stat()
                yield within + each.name, status.st_size, status.st_mtime_ns
            elif each.name != "__pycache__" and each.is_dir():
                yield from _walk(each.path, f"{within}{each.name}/")
