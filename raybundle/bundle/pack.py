"""The archive: a deterministic zip that Ray unpacks as the working directory of a job."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from raybundle.formats.deterministic_zip import member_info
from raybundle.node.cache.raybundle_materialise import member_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raybundle.model import CollectedFile

OWN = ".raybundle"
"""Folder of the archive for everything except project files."""
_SOURCES = (
    "sitecustomize.py",
    "raybundle_absent.py",
    "fetch/raybundle_agent.py",
    "raybundle_boot.py",
    "cache/raybundle_check.py",
    "cache/raybundle_content.py",
    "cache/raybundle_environment.py",
    "cache/raybundle_evict.py",
    "fetch/raybundle_fetch.py",
    "scratch/raybundle_fill.py",
    "raybundle_init.py",
    "cache/raybundle_layers.py",
    "cache/raybundle_links.py",
    "cache/raybundle_materialise.py",
    "cache/raybundle_parallel.py",
    "raybundle_path.py",
    "cache/raybundle_place.py",
    "scratch/raybundle_reaper.py",
    "cache/raybundle_record.py",
    "scratch/raybundle_scratch.py",
    "raybundle_secrets.py",
    "cache/raybundle_verify.py",
)
"""The files of `raybundle.node` that travel."""
BOOT_FILES = tuple(source.rpartition("/")[2] for source in _SOURCES)
"""Their names in the archive. The first is at the top, where Python finds it; the others are in `OWN`."""
COMPRESSION_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of a bundle."""

    data: bytes
    sha256: str
    """Hex digest of `data`; a part of the archive's name in the store."""
    boot: str
    """Hex digest of the boot in the archive: the value of `RAYBUNDLE_BOOT`."""


def pack(manifest: bytes, collected: Sequence[CollectedFile], delivery: bytes | None = None) -> Archive:
    """Returns the archive of a bundle. The same arguments give the same bytes.

    Args:
        manifest: canonical bytes.
        collected: the files of the bundle.
        delivery: canonical bytes; None if the bundle has no delivery.
    """
    boot = read_boot()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
        for name, data, executable in sorted(_members(manifest, collected, boot, delivery)):
            archive.writestr(member_info(name, executable=executable), data)
    data = buffer.getvalue()
    return Archive(data, hashlib.sha256(data).hexdigest(), boot_digest(boot))


def _members(
    manifest: bytes, collected: Sequence[CollectedFile], boot: dict[str, bytes], delivery: bytes | None
) -> Iterator[tuple[str, bytes, bool]]:
    yield f"{OWN}/manifest.json", manifest, False
    if delivery is not None:
        yield f"{OWN}/delivery.json", delivery, False
    for name, data in boot.items():
        yield (name if name == BOOT_FILES[0] else f"{OWN}/{name}"), data, False
    for file in collected:
        yield member_name(file.path), file.data, file.executable


def read_boot() -> dict[str, bytes]:
    """Returns the files of the boot by name."""
    node = files("raybundle.node")
    sources = zip(BOOT_FILES, _SOURCES, strict=True)
    return {name: node.joinpath(source).read_bytes() for name, source in sources}


def boot_digest(boot: dict[str, bytes]) -> str:
    """Returns the hex SHA-256 over the lines `<sha256 of the file>  <name>`, sorted by name."""
    lines = (f"{hashlib.sha256(boot[name]).hexdigest()}  {name}\n" for name in sorted(boot))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
