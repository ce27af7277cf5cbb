"""Finds the error in the end of a driver's log."""

from __future__ import annotations

import re

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = re.compile(
    r"(?:During handling of the above exception|The above exception was the direct cause)[^\n]*\s*\Z"
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LAST = 6
"""Lines that may be an error if the log has no traceback."""


def error_in(log_end: str) -> str:
    """Returns the messages of the last exception and its causes; without a traceback, the last lines."""
    *before, last = plain(log_end).split(_TRACEBACK)
    blocks = [last]
    while before and _CHAINED.search(before[-1]) and len(before) > 1:
        blocks.insert(0, before.pop())
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    if not before:
        return "\n".join(lines[-_LAST:])
    return "\n".join(line for line in lines if not line.startswith(" "))


def plain(log_end: str) -> str:
    """Returns a log without the colours of a terminal."""
    return _COLOURS.sub("", log_end)
