"""Delta debugging: from a list of differences to those that are bad together. Runs nothing itself.

The shortest bad beginning of the list ends with a culprit. It is kept, and the beginning before it is
searched again, until the culprits alone are bad: log2(n) + 1 tests for each culprit if one test runs at a
time. Where tests decide nothing, differences stay together, and are taken out one by one in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Subset = frozenset[int]
    Test = Callable[[Sequence[Subset]], Sequence["Outcome"]]
    """Returns the outcome of each subset; they may run at the same time."""

Outcome = Literal["good", "bad", "unknown"]
UNDECIDED = 6
"""Tests of one interval that decide nothing before its differences stay together."""


@dataclass(slots=True)
class _Search:
    test: Test
    at_once: int
    culprits: frozenset[int] = frozenset()
    together: bool = False
    """Some differences could not be told apart on the way."""

    def one(self, subset: Subset) -> Outcome:
        return self.test([subset])[0]

    def narrow(self, end: int) -> int:
        """Finds a culprit below `end`, a length that is bad; returns the length before it."""
        low, high, undecided = 0, end, set[int]()
        while cuts := self._cuts(low, high, undecided):
            subsets = [self.culprits | frozenset(range(cut)) for cut in cuts]
            for cut, outcome in zip(cuts, self.test(subsets), strict=True):
                if outcome == "good":
                    low = max(low, cut)
                elif outcome == "bad":
                    high = min(high, cut)
                else:
                    undecided.add(cut)
            low = min(low, high - 1)  # good above bad: the differences depend on each other
        self.together = self.together or high - low > 1
        self.culprits |= frozenset(range(low, high))
        return low

    def _cuts(self, low: int, high: int, undecided: set[int]) -> list[int]:
        """Returns lengths between a good and a bad one that divide them evenly, none tried in vain."""
        inner = [each for each in range(low + 1, high) if each not in undecided]
        if not inner or len([each for each in undecided if low < each < high]) >= UNDECIDED:
            return []
        count = min(self.at_once, len(inner))
        wanted = [low + (high - low) * part // (count + 1) for part in range(1, count + 1)]
        return sorted({min(inner, key=lambda each: (abs(each - middle), each)) for middle in wanted})

    def without_needless(self) -> frozenset[int]:
        """Takes out what is not needed: the rest is bad, and without any one of it no longer."""
        for each in sorted(self.culprits):
            if len(self.culprits) > 1 and self.one(self.culprits - {each}) == "bad":
                self.culprits -= {each}
        return self.culprits


def isolate(count: int, test: Test, at_once: int = 1) -> frozenset[int]:
    """Returns which of the differences 0 to `count` - 1 are bad together.

    Args:
        count: none of them is good, and all together are bad.
        test: tells what a subset is.
        at_once: subsets that are tested at the same time.
    """
    search = _Search(test, at_once)
    end = search.narrow(count)
    while end and search.one(search.culprits) != "bad":
        end = search.narrow(end)
    return search.without_needless() if search.together else search.culprits
