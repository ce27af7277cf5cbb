"""Hashes each file of a resolution, once for each of its states."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raybundle.cache.hashes import Hashes
from raybundle.errors import BundleError, RefusedFileError
from raybundle.model import ArchivePath, CollectedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from raybundle.cache.documents import Cache
    from raybundle.model import Resolution

HELD = 8 << 20
"""Bytes of files in memory that may be changing now, such as logs; others are read again to be packed."""


def collect(
    resolution: Resolution, cache: Cache, told: Callable[[int], None] = lambda _count: None
) -> tuple[CollectedFile, ...]:
    """Returns the files of the bundle, sorted by archive path. A file that is known to the cache is not read.

    Args:
        resolution: what they are files of.
        cache: has the hashes of files that did not change.
        told: hears how many bytes were read now.

    Raises:
        RefusedFileError: files cannot be read, or have the same path; lists all of them.
        BundleError: a module has changed since it was scanned.
    """
    files: dict[ArchivePath, CollectedFile] = {}
    refused: list[str] = []
    collector = _Collector(Hashes(cache, str(resolution.project), told))
    for path, file, content, scanned in _sources(resolution):
        try:
            collected = collector.read(path, file) if content is None else _made(path, content)
        except OSError as error:
            refused.append(f"{file}: {error.strerror or error}")
            continue
        if path in files and _identity(files[path]) != _identity(collected):
            refused.append(f"{file}: another file has the same path in Unicode normal form C, {path}")
        if scanned is not None and scanned != collected.sha256:
            raise BundleError(f"{file} changed while it was being bundled", hint="run the command again")
        files[path] = collected
    collector.hashes.save()
    if refused:
        raise RefusedFileError("cannot take " + "\n            ".join(refused))
    return tuple(files[path] for path in sorted(files))


def _sources(resolution: Resolution) -> Iterator[tuple[ArchivePath, Path, bytes | None, str | None]]:
    for module in resolution.modules:
        if module.file is not None and module.path is not None:
            yield module.path, module.file, module.content, module.sha256
    for data in resolution.data:
        yield data.path, data.file, data.content, None


@dataclass(slots=True)
class _Collector:
    hashes: Hashes
    _held: int = 0
    """Bytes of files in memory."""

    def read(self, path: ArchivePath, file: Path) -> CollectedFile:
        """Returns a file. A small one that may be changing now is held in memory: it travels as it is now."""
        status = file.stat()
        sha256 = self.hashes.find(str(file), status)
        if sha256 is not None:
            return CollectedFile(path, _runs(status), status.st_size, sha256, file)
        with file.open("rb", buffering=0) as stream:
            executable = _runs(os.fstat(stream.fileno()))
            sha256, changing = self.hashes.read(str(file), stream)
            size = stream.tell()
            if changing and self._held + size <= HELD:
                stream.seek(0)
                self._held += size
                return _collected(path, stream.read(), executable=executable)
        return CollectedFile(path, executable, size, sha256, file)


def _runs(status: os.stat_result) -> bool:
    return bool(status.st_mode & stat.S_IXUSR)


def _made(path: ArchivePath, content: bytes) -> CollectedFile:
    return _collected(path, content, executable=content.startswith(b"#!"))


def _collected(path: ArchivePath, data: bytes, *, executable: bool) -> CollectedFile:
    return CollectedFile(path, executable, len(data), hashlib.sha256(data).hexdigest(), data)


def _identity(file: CollectedFile) -> tuple[bool, str]:
    return file.executable, file.sha256
