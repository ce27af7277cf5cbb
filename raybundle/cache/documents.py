"""Keeps small documents between runs; a damaged one is an absent one."""

from __future__ import annotations

import json
import os
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


OTHERS_WRITE = 0o022
"""Mode bits of a file that its group or everybody may write."""


@dataclass(frozen=True, slots=True)
class ScanCache:
    """Where facts and answers are kept between runs."""

    directory: Path

    def read(self, name: str) -> dict[str, Any]:
        """Return the document called `name`, empty if there is none or it is damaged."""
        try:
            document = json.loads(self.read_text(name))
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}

    def write(self, name: str, document: dict[str, Any]) -> None:
        """Keep `document`; a cache that cannot be written costs time, never the build."""
        self.write_text(name, json.dumps(document, separators=(",", ":")))

    def read_text(self, name: str) -> str:
        """Return the ASCII text called `name`; empty if it is absent, damaged or others may write it."""
        try:
            with (self.directory / name).open("rb") as stream:
                status = os.fstat(stream.fileno())
                if status.st_uid != os.geteuid() or status.st_mode & OTHERS_WRITE:
                    return ""
                checksum, _, data = stream.read().partition(b"\n")
            return data.decode("ascii") if checksum == _checksum(name, data) else ""
        except (OSError, ValueError):
            return ""

    def write_text(self, name: str, text: str) -> None:
        """Keep ASCII `text` under `name`, with its checksum before it."""
        data = text.encode("ascii")
        write_atomically(self.directory / name, _checksum(name, data) + b"\n" + data)


def _checksum(name: str, data: bytes) -> bytes:
    """CRC-32: finds damage, and a file that was moved; against other people there are its owner and mode."""
    return b"%08x" % zlib.crc32(data, zlib.crc32(name.encode()))


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path`, which only its owner may read, or leave it as it was where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}-{os.getpid()}-{time.monotonic_ns()}")
        try:
            temporary.touch(mode=0o600, exist_ok=False)
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError:
        return
