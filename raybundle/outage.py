"""Waits between the tries of something that fails for a while: how often, how long, with which delays."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_JITTER = random.SystemRandom()
"""Leaves the random numbers of whoever uses this library as their seed makes them."""


class Outage:
    """A time in which something fails and is tried again."""

    def __init__(  # noqa: PLR0913 - each caller has its own figures
        self,
        first: float,
        longest: float = math.inf,
        *,
        patience: float = math.inf,
        tries: float = math.inf,
        jitter: float = 0.0,
        notify: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Begins it.

        Args:
            first: seconds before the second try; the delays double.
            longest: seconds of the longest delay.
            patience: seconds after which there is no other try.
            tries: number of tries after which there is no other, the first one included.
            jitter: the share of each delay that chance may take.
            notify: takes what the user should know.
        """
        self._delay, self._longest, self._jitter = first, longest, jitter
        self._deadline = time.monotonic() + patience
        self._left = tries
        self._notify = notify
        self._said = False

    @property
    def left(self) -> float:
        """Seconds until there is no other try."""
        return max(0.0, self._deadline - time.monotonic())

    def wait(self, text: str = "") -> bool:
        """Waits before another try, and tells `text` the first time; false if there is no other try."""
        self._left -= 1
        delay = self._delay * _JITTER.uniform(1 - self._jitter, 1)
        if self._left < 1 or delay > self.left:
            return False
        if text and not self._said:
            self._said = True
            self._notify(text)
        time.sleep(delay)
        self._delay = min(self._longest, self._delay * 2)
        return True

    def over(self, text: str) -> None:
        """Tells `text` if the user knows of the outage."""
        if self._said:
            self._notify(text)
