"""Handmade archives of layers, as in docs/format.md, section 5.1."""

from __future__ import annotations

import hashlib
import io
import zipfile
from typing import TYPE_CHECKING

from raybundle.bundle.delivery import Packed
from raybundle.bundle.values import LayerEntry
from raybundle.formats.canonical import canonical_json
from raybundle.model import Digest
from raybundle.publish.stored import LayerArchive

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_layer(name: str, files: Mapping[str, bytes]) -> tuple[LayerEntry, str, bytes]:
    """Returns the entry of a layer in a manifest, the key of its archive, and the archive."""
    entries = [
        {"executable": False, "path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for path, data in sorted(files.items())
    ]
    document = canonical_json({"files": entries, "format": 1, "name": name, "version": "1"})
    stem = hashlib.sha256(document).hexdigest()
    archive = zipped({f"{stem}.json": document, f"{stem}.zip": zipped(files)})
    return LayerEntry(name, "1", Digest(f"sha256:{stem}")), f"layers/{stem}.zip", archive


def bound(key: str, archive: bytes) -> LayerArchive:
    """Returns what a delivery says about an archive."""
    return LayerArchive(key, Packed(hashlib.sha256(archive).hexdigest(), len(archive)))


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Returns a zip of these members without compression. The same members give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return buffer.getvalue()
