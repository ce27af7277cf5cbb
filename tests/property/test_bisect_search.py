"""Delta debugging finds exactly what is bad together, within the number of tests that it promises."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from raybundle.pipeline.bisecting.search import isolate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raybundle.pipeline.bisecting.search import Outcome, Subset


@st.composite
def cases(draw: st.DrawFn, most: int) -> tuple[int, frozenset[int]]:
    """Draws a number of differences, and up to `most` of them that are bad together."""
    count = draw(st.integers(1, 300))
    return count, draw(st.frozensets(st.integers(0, count - 1), min_size=1, max_size=most))


class Counted:
    """Is bad if all of `culprits` are there; undecided if one of `pairs` is there without the other."""

    def __init__(self, culprits: frozenset[int], pairs: Sequence[tuple[int, int]] = ()) -> None:
        self.culprits, self.pairs, self.tests = culprits, pairs, 0

    def __call__(self, subsets: Sequence[Subset]) -> list[Outcome]:
        self.tests += len(subsets)
        return [self.tell(each) for each in subsets]

    def tell(self, subset: Subset) -> Outcome:
        if any((first in subset) != (second in subset) for first, second in self.pairs):
            return "unknown"
        return "bad" if self.culprits <= subset else "good"


@given(cases(3))
def test_culprits_are_found_exactly_in_log2_n_and_one_tests_each(case: tuple[int, frozenset[int]]) -> None:
    count, culprits = case
    test = Counted(culprits)

    assert isolate(count, test) == culprits
    assert test.tests <= len(culprits) * (math.ceil(math.log2(count)) + 1)


@given(cases(2))
def test_one_or_two_culprits_take_two_log2_n_and_k_tests(case: tuple[int, frozenset[int]]) -> None:
    count, culprits = case
    test = Counted(culprits)
    isolate(count, test)

    assert test.tests <= 2 * math.ceil(math.log2(count)) + len(culprits)


@given(
    cases(3),
    st.integers(2, 5),
)
def test_several_at_once_find_the_same(case: tuple[int, frozenset[int]], at_once: int) -> None:
    count, culprits = case

    assert isolate(count, Counted(culprits), at_once) == culprits


@given(st.integers(2, 40), st.data())
def test_differences_that_need_each_other_are_found_with_the_culprit(count: int, data: st.DataObject) -> None:
    first, second = data.draw(st.sampled_from([(0, count - 1), (0, 1), (count // 2 - 1, count // 2)]))
    culprit = data.draw(st.integers(0, count - 1))
    test = Counted(frozenset([culprit]), [(first, second)] if first != second else [])

    found = isolate(count, test)

    assert culprit in found
    assert test.tell(found) == "bad"
    if culprit in {first, second}:
        assert found == {first, second}
