"""Reads each file of a resolution once, so that the bytes that are hashed are the bytes that are packed."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from raybundle.errors import BundleError, RefusedFileError
from raybundle.model import ArchivePath, CollectedFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raybundle.model import Resolution


def collect(resolution: Resolution) -> tuple[CollectedFile, ...]:
    """Returns the files of the bundle, sorted by archive path.

    Raises:
        RefusedFileError: files cannot be read, or have the same path; lists all of them.
        BundleError: a module has changed since it was scanned.
    """
    files: dict[ArchivePath, CollectedFile] = {}
    refused: list[str] = []
    for path, file, content, scanned in _sources(resolution):
        try:
            collected = _read(path, file) if content is None else _made(path, content)
        except OSError as error:
            refused.append(f"{file}: {error.strerror or error}")
            continue
        if path in files and files[path] != collected:
            refused.append(f"{file}: another file has the same path in Unicode normal form C, {path}")
        if scanned is not None and scanned != collected.sha256:
            raise BundleError(f"{file} changed while it was being bundled", hint="run the command again")
        files[path] = collected
    if refused:
        raise RefusedFileError("cannot take " + "\n            ".join(refused))
    return tuple(files[path] for path in sorted(files))


def _sources(resolution: Resolution) -> Iterator[tuple[ArchivePath, Path, bytes | None, str | None]]:
    for module in resolution.modules:
        if module.file is not None and module.path is not None:
            yield module.path, module.file, module.content, module.sha256
    for data in resolution.data:
        yield data.path, data.file, data.content, None


def _read(path: ArchivePath, file: Path) -> CollectedFile:
    with file.open("rb") as stream:
        data = stream.read()
        mode = os.fstat(stream.fileno()).st_mode
    return _collected(path, data, executable=bool(mode & stat.S_IXUSR))


def _made(path: ArchivePath, content: bytes) -> CollectedFile:
    return _collected(path, content, executable=content.startswith(b"#!"))


def _collected(path: ArchivePath, data: bytes, *, executable: bool) -> CollectedFile:
    return CollectedFile(path, executable, data, hashlib.sha256(data).hexdigest())
