"""`typing.assert_never` for Python 3.10, where `typing` does not have it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import NoReturn


def assert_never(value: NoReturn) -> NoReturn:
    """Tell the type checker that a `match` covers its whole union."""
    raise AssertionError(f"unexpected value: {value!r}")
