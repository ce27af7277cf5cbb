"""Holds one distribution as it travels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Digest, Warning


@dataclass(frozen=True, slots=True)
class Layer:
    """A distribution as it travels."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    digest: Digest
    """SHA-256 of the canonical layer document, which lists its files."""
    native: bool
    """Holds files that run on one platform only, or is of a wheel for one and has machine code."""
    bytes: int
    """Size of its files together."""
    directory: Path | None = None
    """Where its files lie on this machine: the site-packages directory."""
    source_bytes: int = 0
    """Size of its Python sources without tests."""
    warnings: tuple[Warning, ...] = ()
    """What is odd about them."""
