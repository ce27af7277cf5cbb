"""Deflates what archives hold: by ISA-L if it is installed, else by zlib. Every reader inflates both."""

from __future__ import annotations

import os
import zlib
from typing import Protocol

PURE = "RAYBUNDLE_PURE"
"""A variable of the environment that switches off native code which has a substitute in Python."""


class Deflater(Protocol):
    """Deflates one stream, piece by piece, without a header (RFC 1951)."""

    def compress(self, data: bytes, /) -> bytes:
        """Returns what is ready so far."""

    def flush(self) -> bytes:
        """Returns the rest."""


def is_pure() -> bool:
    """Returns whether the user asks for the standard library's own code."""
    return os.environ.get(PURE, "") not in {"", "0"}


def deflater(level: int) -> Deflater:
    """Returns a new deflater. Both libraries have levels 1 and 2, with about the same ratio."""
    if not is_pure():
        try:
            from isal import isal_zlib  # noqa: PLC0415 - most commands pack nothing
        except ImportError:  # no wheel for this platform
            pass
        else:
            found: Deflater = isal_zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
            return found
    return zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
