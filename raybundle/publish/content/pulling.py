"""Unpacks a bundle of a store into a directory: all files, each verified while it is written, or nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raybundle.cache.documents import Cache
from raybundle.config import cache_directory
from raybundle.errors import BundleError, DigestMismatchError, UsageError
from raybundle.publish.bundles import open_configured
from raybundle.publish.content.members import open_bundle, open_layer
from raybundle.publish.content.objects import open_shelf
from raybundle.publish.layout import archive_name, layer_key
from raybundle.publish.trust.policy import trust_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raybundle.bundle.values import LayerEntry
    from raybundle.config import Settings
    from raybundle.model import Digest
    from raybundle.planning import Listener
    from raybundle.publish.content.members import BundleArchive
    from raybundle.publish.content.objects import Shelf
    from raybundle.publish.stored import Stored

LAYERS = "layers"
"""Folder of the files of all layers, as a site-packages directory."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A bundle that was unpacked."""

    digest: Digest
    directory: Path
    files: int
    bytes: int


def pull(  # noqa: PLR0913 - what the command line has
    ref: str,
    directory: Path,
    settings: Settings,
    environ: Mapping[str, str],
    listener: Listener,
    *,
    layers: bool,
) -> Pulled:
    """Unpacks a bundle of the configured store; `pull_stored` says how.

    Raises:
        StoreError: the store has no such bundle, or cannot be used.
    """
    shelf = open_shelf(open_configured(settings, environ), Cache(cache_directory(environ)))
    stored = trust_of(settings, environ).find(shelf.store, ref)
    listener.warnings(stored.warnings)
    return pull_stored(shelf, stored, directory, layers=layers)


def pull_stored(shelf: Shelf, stored: Stored, directory: Path, *, layers: bool) -> Pulled:
    """Unpacks a bundle, with the files of its layers if asked, into a directory that is empty or new.

    Files are readable and executable as the umask allows. After an error or an interrupt nothing is left.

    Raises:
        UsageError: the directory is not empty, or cannot be written.
        DigestMismatchError: an object of the store is not what the bundle says.
        StoreError: the store has lost an object, or cannot be read.
    """
    with _filled(directory) as target:
        writer = Writer(target)
        with opened_archive(shelf, stored) as archive:
            for file in archive.manifest.files:
                writer.write(str(file.path), archive.pieces(file), executable=file.executable)
        if layers:
            _write_layers(shelf, stored.manifest.layers, writer)
    return Pulled(stored.digest, directory, writer.files, writer.bytes)


@contextmanager
def opened_archive(shelf: Shelf, stored: Stored) -> Iterator[BundleArchive]:
    """Opens the archive of a bundle, which has the SHA-256 that its name says.

    Raises:
        DigestMismatchError: it has another one.
    """
    key = stored.archive_key
    expected, where = archive_name(key).rpartition("-")[2], f"{key} in {shelf.store.url}"
    with shelf.fetched(key) as fetched:
        if fetched.sha256 != expected:
            raise DigestMismatchError(where, expected=expected, found=fetched.sha256)
        with open_bundle(fetched.path, stored.manifest, where, shelf.store) as archive:
            yield archive


def _write_layers(shelf: Shelf, layers: Iterable[LayerEntry], writer: Writer) -> None:
    """Writes what the environment of the bundle has: the first layer by digest, if two have one path."""
    for each in sorted(layers, key=lambda each: each.digest):
        key = layer_key(each.digest)
        with (
            shelf.fetched(key) as fetched,
            open_layer(fetched.path, archive_name(key), f"{key} in {shelf.store.url}") as layer,
        ):
            for file in layer.files:
                path = f"{LAYERS}/{file['path']}"
                if not os.path.lexists(writer.place(path)):
                    writer.write(path, layer.pieces(file), executable=file["executable"])


class Writer:
    """Writes files below a directory, and counts them."""

    def __init__(self, directory: Path) -> None:
        """Takes an existing directory."""
        self._directory = os.fspath(directory)
        self._made: set[str] = set()
        self.files = 0
        self.bytes = 0

    def place(self, path: str) -> str:
        """Returns where a file is written. Names on the disk are UTF-8 in any locale."""
        return f"{self._directory}/{os.fsdecode(path.encode())}"

    def write(self, path: str, pieces: Iterable[bytes], *, executable: bool) -> None:
        """Writes a new file."""
        target = self.place(path)
        parent = os.path.dirname(target)  # noqa: PTH120 - thousands of files
        if parent not in self._made:
            os.makedirs(parent, exist_ok=True)  # noqa: PTH103
            self._made.add(parent)
        mode = 0o777 if executable else 0o666
        with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:  # noqa: PTH123
            for piece in pieces:
                stream.write(piece)
                self.bytes += len(piece)
        self.files += 1


@contextmanager
def _filled(directory: Path) -> Iterator[Path]:
    """Yields a hidden directory inside `directory`, and moves its entries up at the end: all or none."""
    with ExitStack() as undo:
        try:
            _make(directory, undo)
            hidden = Path(tempfile.mkdtemp(prefix=".raybundle-", dir=directory))
            undo.callback(shutil.rmtree, hidden, ignore_errors=True)
            yield hidden
            for entry in sorted(hidden.iterdir()):
                undo.callback(_take_back, entry, directory / entry.name)
                entry.rename(directory / entry.name)
        except OSError as error:
            raise BundleError(
                f"cannot write {error.filename or directory}: {error.strerror}",
                hint="make room there, or name another directory",
            ) from error
        undo.pop_all()
        hidden.rmdir()


def _make(directory: Path, undo: ExitStack) -> None:
    """Makes a missing directory, and refuses one that cannot be filled."""
    try:
        entries: list[Any] = list(directory.iterdir())
    except FileNotFoundError:
        directory.mkdir(parents=True)
        undo.callback(_remove_empty, directory)
        return
    except NotADirectoryError as error:
        raise UsageError(f"{directory} is not a directory", hint="name a new one, or an empty one") from error
    if entries:
        raise UsageError(f"{directory} is not empty", hint="name a new directory, or an empty one")


def _take_back(hidden: Path, moved: Path) -> None:
    """Removes an entry that was moved up. What another process has put in its place meanwhile stays."""
    if not hidden.exists():
        shutil.rmtree(moved, ignore_errors=True)


def _remove_empty(directory: Path) -> None:
    with suppress(OSError):
        directory.rmdir()
