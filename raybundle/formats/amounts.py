"""Counts and sizes in words."""

from __future__ import annotations


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Returns a number of things in words."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {nouns or noun + 's'}"


def size_text(size: int) -> str:
    """Returns a number of bytes for people."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 - a KiB
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
