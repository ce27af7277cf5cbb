"""`typing.assert_never` for Python 3.10, whose `typing` does not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn


def assert_never(value: NoReturn) -> NoReturn:
    """Tells the type checker that a `match` covers its whole union."""
    raise AssertionError(f"unexpected value: {value!r}")
