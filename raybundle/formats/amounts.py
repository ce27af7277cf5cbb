"""Counts and sizes in words."""

from __future__ import annotations

import re

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """Returns a number of things in words."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {nouns or noun + 's'}"


def duration_text(seconds: float) -> str:
    """Returns a number of seconds for people: `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for unit, size, smaller, part in (("d", _DAY, "h", _HOUR), ("h", _HOUR, "min", _MINUTE)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {smaller}"
    return f"{whole // _MINUTE} min {whole % _MINUTE} s"


def parse_size(text: str) -> int | None:
    """Returns bytes from a number of them or a size such as `50 MiB`; None if it is neither."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)?\s*", text, re.ASCII)
    if found is None:
        return None
    return int(float(found[1]) * _UNITS[found[2] or "B"])


def size_text(size: int) -> str:
    """Returns a number of bytes for people."""
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004 - a KiB
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
