"""Tells how many bytes of a long work are done, and how fast."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raybundle.formats.amounts import size_text

if TYPE_CHECKING:
    from collections.abc import Callable

QUIET = 2.0
"""Seconds in which nothing is told: most work is done by then."""
STEP = 0.2
"""Seconds between two lines."""


@dataclass(slots=True)
class Meter:
    """Follows one work after another; a smaller number of bytes begins the next one."""

    tell: Callable[[str], None]
    """Takes a line that replaces the one before; an empty one at the end."""
    verb: str
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _told: float | None = field(default=None, init=False)
    _done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def add(self, count: int) -> None:
        """Takes how many more bytes are done, of an unknown number."""
        self.at(self._done + count)

    def at(self, done: int, total: int | None = None) -> None:
        """Takes how many bytes are done, and of how many."""
        now = self.clock()
        if done < self._done:
            self._began = now
        self._done = done
        seconds = now - self._began
        if seconds < QUIET or (self._told is not None and now - self._told < STEP):
            return
        self._told = now
        whole = "" if total is None else f" of {size_text(total)}"
        self.tell(f"{self.verb} {size_text(done)}{whole}, {size_text(int(done / seconds))}/s")

    def end(self) -> None:
        """Clears the line."""
        if self._told is not None:
            self.tell("")
