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


def own_code(directory: Path) -> str:
    """Returns the versions of raybundle and of its Python, and a digest of the sources in `directory`.

    The Python counts because its parser decides answers, and an installer may link the same sources into the
    environments of several Pythons.
    """
    return f"{__version__} {sys.hexversion:x} {_digest(directory)}"


@lru_cache
def _digest(directory: Path) -> str:
    return hashlib.sha256(repr([*_walk(str(directory))]).encode()).hexdigest()


def _walk(directory: str) -> Iterator[tuple[str, int, int]]:
    """Yields name, size and time of each source below a directory, and each folder before its content."""
    with os.scandir(directory) as entries:
        for each in sorted(entries, key=lambda entry: entry.name):
            if each.name.startswith("."):
                continue  # of an editor, perhaps a link that leads nowhere
            if each.name.endswith(".py"):
                status = each.stat()
                yield each.name, status.st_size, status.st_mtime_ns
            elif each.name != "__pycache__" and each.is_dir():
                yield each.name, 0, 0
                yield from _walk(each.path)
