"""The log of a job, line by line, in the log of its task."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

LINES, LONGEST = 20, 4000
"""Lines and characters of the end of a log that an error shows."""


class LogLines:
    """Passes on the lines of a log, and keeps the last ones."""

    def __init__(self, take: Callable[[str], object]) -> None:
        """Makes it.

        Args:
            take: is called with each line.
        """
        self._take = take
        self._rest = ""
        self._last: deque[str] = deque(maxlen=LINES)

    def write(self, text: str) -> None:
        """Takes the next piece of the log."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._pass(line)

    def end(self) -> str:
        """Passes on an unfinished line, and returns the last lines."""
        if self._rest:
            self._pass(self._rest)
            self._rest = ""
        return "\n".join(self._last)[-LONGEST:]

    def _pass(self, line: str) -> None:
        self._last.append(line)
        self._take(line)
