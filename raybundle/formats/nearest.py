"""Answers a misspelt word with the nearest one that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], otherwise: str | None = None) -> str:
    """Returns a hint that names the known word most like `word`.

    Args:
        word: what the user wrote.
        known: all that would be right.
        otherwise: the hint if none is like it; the known words if absent.
    """
    import difflib  # noqa: PLC0415 - start-up: only a slip asks for it

    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    if close:
        return f"did you mean `{close[0]}`?"
    return otherwise or f"known are: {', '.join(names) or 'none'}"
