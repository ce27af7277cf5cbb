"""A distribution as a bundle has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from raybundle.model import Digest, Warning
    from raybundle.resolve.interpreter.libc import Need


@dataclass(frozen=True, slots=True)
class Layer:
    """A distribution as a bundle has it."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    digest: Digest
    """SHA-256 of the canonical layer document, which lists its files."""
    native: bool
    """Returns whether it runs on one platform only: it has extensions, libraries or machine code."""
    bytes: int
    """Total size of its files."""
    directory: Path | None = None
    """The site-packages directory that has its files."""
    needs: tuple[Need, ...] = ()
    """What its native files need of libc."""
    source_bytes: int = 0
    """Size of its Python sources, without tests."""
    warnings: tuple[Warning, ...] = ()
    """Oddities of its files."""
