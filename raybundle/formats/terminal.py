"""Makes texts of others safe for a terminal."""

from __future__ import annotations

import re

_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udc7f\udd00-\udfff]")
"""Control characters but newline and tab (ECMA-48), those that change the order of characters (UAX 9), and
surrogates, unless they stand for a byte that is not UTF-8 (PEP 383): they have no bytes to print."""


def printable(text: str) -> str:
    """Returns `text` with escapes in place of characters that would steer a terminal; lines stay lines."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def one_line(text: str) -> str:
    """Returns `text` as `printable` does, on one line."""
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")
