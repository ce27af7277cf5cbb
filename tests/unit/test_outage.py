"""How often something that fails is tried again, and what is told meanwhile."""

import math

import pytest

from raybundle.outage import Outage

SHORT = 0.001


@pytest.mark.parametrize(("tries", "expected"), [(1, 0), (2, 1), (5, 4)])
def test_there_are_as_many_tries_as_were_asked_for(tries: int, expected: int) -> None:
    outage = Outage(SHORT, SHORT, tries=tries)
    waits = 0
    while outage.wait():
        waits += 1

    assert waits == expected
    assert not outage.wait()


def test_a_delay_that_would_end_after_the_patience_is_not_begun() -> None:
    outage = Outage(3600.0, patience=60.0)

    assert not outage.wait()
    assert 0 < outage.left <= 60


def test_delays_double_up_to_the_longest_one() -> None:
    """With 63 waits of double length the last would take 300 million years."""
    outage = Outage(SHORT, 2 * SHORT, tries=64)
    waits = 0
    while outage.wait():
        waits += 1

    assert waits == 63


def test_a_delay_that_doubled_ends_the_patience() -> None:
    outage = Outage(SHORT, patience=0.5)
    waits = 0
    while outage.wait():
        waits += 1

    assert waits <= 8  # 1 + 2 + … + 128 ms; 256 ms more would be too late


def test_the_user_is_told_once_and_hears_of_the_end() -> None:
    said: list[str] = []
    outage = Outage(SHORT, tries=4, notify=said.append)
    while outage.wait("trying again"):
        pass
    outage.over("it answers")

    assert said == ["trying again", "it answers"]


def test_the_user_hears_nothing_of_an_outage_that_was_none() -> None:
    said: list[str] = []
    Outage(SHORT, notify=said.append).over("it answers")
    Outage(math.inf, patience=1, notify=said.append).wait("trying again")

    assert said == []
