"""The archive: a deterministic zip that Ray unpacks as the working directory of a job."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field, replace
from importlib.resources import files
from io import BytesIO
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, cast

from raybundle.content import CHUNK, chunks_of
from raybundle.formats.deterministic_zip import member_info
from raybundle.model import ArchivePath, CollectedFile
from raybundle.node.cache.raybundle_materialise import member_name
from raybundle.node.cache.raybundle_record import LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

OWN = ".raybundle"
"""Folder of the archive for everything except project files."""
_SOURCES = (
    "sitecustomize.py",
    "raybundle_absent.py",
    "fetch/raybundle_agent.py",
    "raybundle_boot.py",
    "cache/raybundle_check.py",
    "cache/raybundle_content.py",
    "fetch/raybundle_data.py",
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
    "raybundle_seen.py",
    "raybundle_serve.py",
    "raybundle_signature.py",
    "cache/raybundle_verify.py",
)
"""The files of `raybundle.node` that travel."""
BOOT_FILES = tuple(source.rpartition("/")[2] for source in _SOURCES)
"""Their names in the archive. The first is at the top, where Python finds it; the others are in `OWN`."""
COMPRESSION_LEVEL = 6
IN_MEMORY = 8 << 20
"""Bytes of the files of an archive in memory; a larger one is a file without a name, which no kill leaves."""


@dataclass(frozen=True, slots=True)
class Archive:
    """The archive of a bundle, in memory or, if it is large, in a nameless file. Close it after use."""

    stream: BinaryIO = field(compare=False)
    size: int
    """In bytes."""
    sha256: str
    """Hex digest of its bytes; a part of the archive's name in the store."""
    boot: str
    """Hex digest of the boot in the archive: the value of `RAYBUNDLE_BOOT`."""

    @property
    def data(self) -> bytes:
        """Its bytes."""
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        """Yields its bytes from the start."""
        self.stream.seek(0)
        while data := self.stream.read(CHUNK):
            yield data

    def close(self) -> None:
        """Removes it."""
        self.stream.close()


def pack(
    manifest: bytes,
    collected: Sequence[CollectedFile],
    delivery: bytes | None = None,
    directory: Path | None = None,
) -> Archive:
    """Returns the archive of a bundle. The same arguments give the same bytes.

    Args:
        manifest: canonical bytes.
        collected: the files of the bundle; large ones travel as objects of their own.
        delivery: canonical bytes; None if the bundle has no delivery.
        directory: for the file of a large archive; None for the system's own.

    Raises:
        BundleError: a file changed after it was hashed.
    """
    boot = read_boot()
    size = sum(file.size for file in collected if file.size <= LARGE)
    stream = cast("BinaryIO", BytesIO() if size <= IN_MEMORY else TemporaryFile(dir=directory))  # noqa: SIM115
    try:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION_LEVEL) as archive:
            members = dict(_members(manifest, collected, boot, delivery))
            for name in sorted(members):
                _write(archive, name, members[name])
        size, found = stream.tell(), hashlib.sha256()
        archived = Archive(stream, size, "", boot_digest(boot))
        for data in archived.chunks():
            found.update(data)
    except BaseException:
        stream.close()
        raise
    return replace(archived, sha256=found.hexdigest())


def _write(archive: zipfile.ZipFile, name: str, file: CollectedFile) -> None:
    info = member_info(name, executable=file.executable)
    info.file_size = file.size  # before the data, so that the header is that of a member written at once
    info._compresslevel = COMPRESSION_LEVEL  # type: ignore[attr-defined]  # noqa: SLF001 - `open` takes none
    with archive.open(info, "w") as target:
        for data in chunks_of(file):
            target.write(data)


def _members(
    manifest: bytes, collected: Sequence[CollectedFile], boot: dict[str, bytes], delivery: bytes | None
) -> Iterator[tuple[str, CollectedFile]]:
    yield _own(f"{OWN}/manifest.json", manifest)
    if delivery is not None:
        yield _own(f"{OWN}/delivery.json", delivery)
    for name, data in boot.items():
        yield _own(name if name == BOOT_FILES[0] else f"{OWN}/{name}", data)
    for file in collected:
        if file.size <= LARGE:
            yield member_name(file.path), file


def _own(name: str, data: bytes) -> tuple[str, CollectedFile]:
    sha256 = hashlib.sha256(data).hexdigest()
    return name, CollectedFile(
        ArchivePath(name), executable=False, size=len(data), sha256=sha256, source=data
    )


def read_boot() -> dict[str, bytes]:
    """Returns the files of the boot by name."""
    node = files("raybundle.node")
    sources = zip(BOOT_FILES, _SOURCES, strict=True)
    return {name: node.joinpath(source).read_bytes() for name, source in sources}


def boot_digest(boot: dict[str, bytes]) -> str:
    """Returns the hex SHA-256 over the lines `<sha256 of the file>  <name>`, sorted by name."""
    lines = (f"{hashlib.sha256(boot[name]).hexdigest()}  {name}\n" for name in sorted(boot))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
