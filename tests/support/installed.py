"""Writes installed distributions: files, metadata and RECORD in a site directory."""

from __future__ import annotations

import base64
import hashlib
import os
from typing import TYPE_CHECKING

from raybundle.model import Distribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

LONG_AGO = 1_600_000_000
"""Seconds since the epoch: a time for files that must not look young."""


def install(
    site: Path, name: str, files: Mapping[str, bytes], *, version: str = "1.0", rows: Iterable[str] = ()
) -> Distribution:
    """Writes a distribution like an installer, and returns it as one that travels.

    Args:
        site: the site-packages directory.
        name: of the distribution.
        files: content by path.
        version: of the distribution.
        rows: more lines of RECORD.
    """
    metadata = f"{name}-{version}.dist-info"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    everything = {f"{metadata}/METADATA": head, **files}
    for path, data in everything.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_bytes(data)
    own = [f"{_quoted(path)},sha256={in_base64(data)},{len(data)}" for path, data in everything.items()]
    record = "\n".join([*own, *rows, f"{metadata}/RECORD,,"]) + "\n"
    (site / metadata / "RECORD").write_text(record)
    return Distribution(name.lower().replace("_", "-"), version, "bundle", 0, (), site / metadata)


def _quoted(path: str) -> str:
    return f'"{path}"' if "," in path else path


def in_base64(data: bytes) -> str:
    """Returns the SHA-256 of `data` as written in RECORD."""
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def set_times(path: Path) -> None:
    """Sets the times of a file to `LONG_AGO`."""
    os.utime(path, (LONG_AGO, LONG_AGO))
