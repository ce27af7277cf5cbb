"""Clocks of caches: to one, all that is on the disk has long been there; to the other, all of it is new."""

from __future__ import annotations

import time


def later() -> int:
    """Nanoseconds of a clock on which whatever a test has just written is old."""
    return time.time_ns() + 10 * 10**9


def early() -> int:
    """Nanoseconds of a clock on which nothing was ever written long ago."""
    return 0
