"""Caches of a user who has planned before: they know the environment of the tests, and no project."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from raybundle.cache.documents import Cache

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = ("interpreters", "sites")
"""Folders that the caches of a session share: what interpreters said, and what is installed for them.

An interpreter takes 20 ms of CPU to ask, and what describes 190 distributions 15 ms to read.
"""


@cache
def session() -> Path:
    """Returns the directory of what is shared; empty at first, and gone after the session."""
    directory = Path(tempfile.mkdtemp(prefix="raybundle-tests-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for each in (*SHARED, "home"):
        (directory / each).mkdir()
    return directory


def home() -> Path:
    """Returns the empty home of users who share what they know: an interpreter is asked anew for another."""
    return session() / "home"


def knowing(directory: Path, clock: Callable[[], int] = time.time_ns) -> Cache:
    """Returns the cache in a directory, which is made if it is not there."""
    if not directory.exists():
        directory.mkdir(parents=True)
        for each in SHARED:
            (directory / each).symlink_to(session() / each)
    return Cache(directory, clock)
