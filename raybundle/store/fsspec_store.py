"""A store behind any other URL, over fsspec: create-only as far as the file system supports it.

Threads of one process never overwrite each other. Between processes, this depends on `mode="create"` of the
driver, which for some drivers is a look followed by a write (docs/decisions/003-store-clients.md).
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO

from raybundle.errors import ObjectMissingError, RaybundleError, StoreAccessError, UsageError
from raybundle.store.base import PIECE_BYTES, Entry, check_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raybundle.store.base import Chunks

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modificationTime", "modified", "created")
"""Names by which drivers of fsspec say when an object was written."""
_LATEST = 1e11
"""Seconds since 1970 beyond which a number is milliseconds, as WebHDFS has them."""

NODE_SCHEMES = {"gs": "gs", "gcs": "gs", "abfss": "abfss", "http": "http", "https": "https"}
"""Ray's names of the fsspec schemes that it reads; `gcs://` means something else in Ray."""


class FsspecStore:
    """A folder of an fsspec file system."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._files, self._root = _connect(self._url)
        self._writing = threading.Lock()

    @property
    def url(self) -> str:
        """The URL as given; `open_store` refuses a password in it."""
        return self._url

    @property
    def place(self) -> str:
        """The URL, and the account if there is one: two accounts may have containers of the same name."""
        account = getattr(self._files, "account_name", None)  # of adlfs
        return f"{self._url} at {account}" if account else self._url

    def get(self, key: str) -> bytes:
        """Reads the whole object into memory."""
        path = self._path(key)
        with self._access(f"read {key} from"):
            try:
                return bytes(self._files.cat_file(path))
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                raise ObjectMissingError(f"no object {key} in {self.url}") from error

    def pieces(self, key: str) -> Iterator[bytes]:
        """Reads through the driver's own buffer."""
        path = self._path(key)
        with self._access(f"read {key} from"):
            try:
                with self._files.open(path, "rb") as stream:
                    while data := stream.read(PIECE_BYTES):
                        yield bytes(data)
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
                raise ObjectMissingError(f"no object {key} in {self.url}") from error

    def put_new(self, key: str, data: bytes) -> bool:
        """Looks first: some drivers overwrite an object if the new one is empty (s3fs)."""
        path = self._path(key)
        with self._access(f"write {key} to"), self._writing:
            if self._files.exists(path):
                return False
            with contextlib.suppress(NotImplementedError):
                self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            return self._create(path, data)

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Copies the object to a temporary file."""
        with tempfile.TemporaryFile() as stream:
            stream.writelines(self.pieces(key))
            stream.seek(0)
            yield stream

    def put_new_chunks(self, key: str, chunks: Chunks) -> bool:
        """Looks first. The driver sends a copy: what it has begun to write, it cannot take back."""
        target = self._path(key)
        with tempfile.NamedTemporaryFile() as copy:
            copy.writelines(chunks())
            copy.flush()
            with self._access(f"write {key} to"), self._writing:
                if self._files.exists(target):
                    return False
                with contextlib.suppress(NotImplementedError):
                    self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._files.put_file(copy.name, target)
                return True

    def size(self, key: str) -> int | None:
        """Returns the size that the driver lists."""
        path = self._path(key)
        with self._access(f"read {key} from"):
            try:
                found = self._files.info(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
            return int(found["size"]) if found["type"] == "file" else None

    def keys(self, prefix: str) -> list[str]:
        """Walks the folder that the prefix names."""
        folder = prefix.rpartition("/")[0]
        with self._access("list"):
            try:
                paths = self._files.find(f"{self._root}/{folder}".rstrip("/"))
            except FileNotFoundError:
                return []
        found = (str(path).removeprefix(self._root).lstrip("/") for path in paths)
        return sorted(key for key in found if key.startswith(prefix))

    def entries(self, prefix: str) -> list[Entry]:
        """Walks the folder that the prefix names; drivers have different words for the time."""
        folder = prefix.rpartition("/")[0]
        with self._access("list"):
            try:
                found = self._files.find(f"{self._root}/{folder}".rstrip("/"), detail=True)
            except FileNotFoundError:
                return []
            rows = {str(path).removeprefix(self._root).lstrip("/"): facts for path, facts in found.items()}
            return [
                Entry(key, int(facts["size"]), _modified(facts))
                for key, facts in sorted(rows.items())
                if key.startswith(prefix)
            ]

    def remove(self, key: str) -> None:
        """Removes the file."""
        path = self._path(key)
        with self._access(f"remove {key} from"), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(path)

    def node_url(self, key: str) -> str | None:
        """Returns None for schemes that Ray does not read (hdfs, memory, …)."""
        check_key(key)
        scheme, _, rest = self._url.partition("://")
        known = NODE_SCHEMES.get(scheme.lower())
        return f"{known}://{rest}/{key}" if known else None

    def _create(self, path: str, data: bytes) -> bool:
        try:
            self._files.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except (NotImplementedError, TypeError, ValueError):  # the driver knows no such mode
            self._files.pipe_file(path, data)
        return True

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"

    @contextlib.contextmanager
    def _access(self, verb: str) -> Iterator[None]:
        try:
            yield
        except RaybundleError:
            raise
        except Exception as error:  # each driver raises errors of its own
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise StoreAccessError(
                f"cannot {verb} {self.url}: {reason}",
                hint="check the URL, the credentials of its scheme, and that this machine can reach it",
            ) from error


def _modified(facts: Mapping[str, Any]) -> datetime:
    """Returns when an object was written.

    Raises:
        StoreAccessError: the driver does not say.
    """
    for name in _TIMES:
        match facts.get(name):
            case datetime() as moment:
                return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
            case int() | float() as seconds:
                return datetime.fromtimestamp(seconds / (1000 if seconds > _LATEST else 1), timezone.utc)
            case str() as text:
                return datetime.fromisoformat(text.replace("Z", "+00:00"))
    raise StoreAccessError("the driver of the store does not say when objects were written")


def _connect(url: str) -> tuple[Any, str]:
    import fsspec  # noqa: PLC0415 - 0.2 s that S3 and local stores do not pay

    try:
        files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        scheme = url.partition("://")[0]
        raise UsageError(f"no driver for {scheme}:// is installed", hint=str(error)) from error
    except Exception as error:
        raise UsageError(f"cannot open the store {url}: {error}") from error
    return files, str(root).rstrip("/")
