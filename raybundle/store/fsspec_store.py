"""A store behind any other URL, over fsspec: create-only as far as the file system supports it.

Threads of one process never overwrite each other. Between processes, this depends on `mode="create"` of the
driver, which for some drivers is a look followed by a write (docs/decisions/003-store-clients.md).
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Any

from raybundle.errors import ObjectMissingError, RaybundleError, StoreAccessError, UsageError
from raybundle.store.base import PIECE_BYTES, check_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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

    def put_new_file(self, key: str, path: Path) -> bool:
        """Looks first; the driver sends the file in pieces."""
        target = self._path(key)
        with self._access(f"write {key} to"), self._writing:
            if self._files.exists(target):
                return False
            with contextlib.suppress(NotImplementedError):
                self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), target)
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
