"""Files of a bundle that are in memory."""

from __future__ import annotations

import hashlib

from raybundle.model import ArchivePath, CollectedFile


def collected_file(path: str, data: bytes, *, executable: bool = False) -> CollectedFile:
    """Returns a file of a bundle with this content."""
    sha256 = hashlib.sha256(data).hexdigest()
    return CollectedFile(ArchivePath(path), executable, len(data), sha256, data)
