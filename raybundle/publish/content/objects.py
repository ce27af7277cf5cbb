"""Reads objects of a store as files of this machine, hashed as they arrive."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING
from urllib.parse import unquote

from raybundle.cache.room import ABANDONED, make_room
from raybundle.directories import make_private
from raybundle.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raybundle.cache.documents import Cache
    from raybundle.store.base import Store


@dataclass(frozen=True, slots=True)
class Fetched:
    """An object as a file of this machine."""

    path: Path
    sha256: str
    """Hex digest of its bytes."""
    size: int


@dataclass(frozen=True, slots=True)
class Shelf:
    """A store, and the folder for copies of its objects."""

    store: Store
    folder: Path

    @contextmanager
    def fetched(self, key: str) -> Iterator[Fetched]:
        """Yields an object as a file, which is a copy unless the store is a directory of this machine.

        Raises:
            ObjectMissingError: there is no such object.
            StoreError: the store cannot be read.
            BundleError: there is no room for the copy.
        """
        with ExitStack() as stack:
            own, copy = _own_file(self.store, key), None
            try:
                if own is None:
                    copy = stack.enter_context(NamedTemporaryFile(dir=self.folder, prefix="."))
                found, size = sha256(), 0
                for piece in self.store.pieces(key):
                    found.update(piece)
                    size += len(piece)
                    if copy is not None:
                        copy.write(piece)
                if copy is not None:
                    copy.flush()
            except OSError as error:
                raise _unusable(self.folder, error) from error
            yield Fetched(own or Path(copy.name if copy else key), found.hexdigest(), size)


def open_shelf(store: Store, cache: Cache) -> Shelf:
    """Returns where objects of a store are copied to: a folder of the cache."""
    folder = cache.directory / "incoming"
    try:
        make_private(folder)
        make_room(folder, 0, cache.clock(), ABANDONED)
    except OSError as error:
        raise _unusable(folder, error) from error
    return Shelf(store, folder)


def _unusable(folder: Path, error: OSError) -> BundleError:
    return BundleError(
        f"cannot keep copies of objects in {folder}: {error.strerror}",
        hint="make room there, or set XDG_CACHE_HOME to a directory elsewhere",
    )


def _own_file(store: Store, key: str) -> Path | None:
    """Returns the file of an object in a store that is a directory of this machine; None for others."""
    url = store.node_url(key) or ""
    return Path(unquote(url.removeprefix("file://"))) if url.startswith("file:///") else None
