"""Marks for tests that `scripts/test --fast` leaves out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable


def rest_slow(cases: Iterable[Any], fast: int = 2) -> list[Any]:
    """Returns the cases of a table; all but the first few are marked slow, for they show the same again."""
    return [
        case
        if number < fast
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for number, case in enumerate(cases)
    ]
