"""Layers: the files of one distribution each, identified by their content and stored once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raybundle.model import Digest


@dataclass(frozen=True, slots=True)
class Layer:
    """A distribution as it travels."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    digest: Digest
    """SHA-256 of the canonical layer document, which lists its files."""
    native: bool
    """Holds files that run on one platform only."""
    bytes: int
    """Size of its files together."""
