"""A store behind any other URL, over fsspec: objects appear whole and once if the driver can do that."""

from __future__ import annotations

import contextlib
import threading
import uuid
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from raybundle.errors import ObjectMissingError, ObjectTooLargeError, RaybundleError, StoreAccessError
from raybundle.outage import Outage
from raybundle.store.base import LARGEST_DOCUMENT, PIECE_BYTES, Entry, check_key, collect
from raybundle.store.drivers import connect, may_pass, reason_of, require_driver, scheme_of
from raybundle.store.spool import copy_of, path_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from raybundle.errors import StoreError
    from raybundle.store.base import Chunks
    from raybundle.store.drivers import Driver

T = TypeVar("T")

INCOMING = ".incoming"
"""Folder of unfinished writes, if the driver moves them to their names."""
ABANDONED = timedelta(days=1)
"""Age at which an unfinished object is no longer being written; the clock is the server's."""

RETRY_SECONDS = 8
"""No new try starts after this time."""
FIRST_RETRY, LONGEST_RETRY, JITTER = 0.2, 2.0, 0.5
"""Seconds before the driver is asked again; they double up to the longest. Chance may take half of each."""

_NO_FILE = (FileNotFoundError, IsADirectoryError, NotADirectoryError)

_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modificationTime", "modified", "created")
"""Names by which drivers of fsspec say when an object was written."""
_E_TAGS = ("ETag", "etag", "e_tag", "generation", "md5Hash")
"""Names by which drivers tell a mark of the content."""
_LATEST = 1e11
"""Seconds since 1970 beyond which a number is milliseconds, as WebHDFS has them."""

NODE_SCHEMES = {"gs": "gs", "gcs": "gs", "abfss": "abfss", "http": "http", "https": "https"}
"""Ray's names of the fsspec schemes that it reads; `gcs://` means something else in Ray."""


class FsspecStore:
    """A folder of an fsspec file system."""

    def __init__(self, url: str) -> None:
        """Does not connect yet.

        Raises:
            UsageError: no driver for the URL is installed.
        """
        require_driver(url)
        self._url = url.rstrip("/")
        self._driver: Driver | None = None
        self._connecting = threading.Lock()
        self._swept = False

    @property
    def url(self) -> str:
        """The URL as given; `open_store` refuses a password in it."""
        return self._url

    @property
    def place(self) -> str:
        """The URL, and the account if there is one: two accounts may have containers of the same name."""
        at = self._try("connect to", lambda driver: driver.at)
        return f"{self._url} at {at}" if at else self._url

    @property
    def exclusive(self) -> bool:
        """Whether the driver has a condition or a move for it; otherwise it looks, and then writes."""
        return self._try("connect to", lambda driver: driver.exclusive)

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        """Asks for the size first: `cat_file` has no bound. It tells best why an object cannot be read."""
        if (self.size(key) or 0) > most:
            raise ObjectTooLargeError(name=f"{key} in {self.url}", most=most)
        data = self._try(
            f"read {key} from", lambda driver: driver.files.cat_file(f"{driver.root}/{key}"), missing=key
        )
        return collect([bytes(data)], most, f"{key} in {self.url}")

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Reads through the driver's own buffer; a transfer that is cut goes on where it was."""
        check_key(key)
        verb, outage = f"read {key} from", _outage()
        while True:
            stream = self._try(verb, partial(_open_at, key, start), missing=key)
            try:
                while data := self._read(stream):
                    yield data
                    start, outage = start + len(data), _outage()
            except Exception as error:
                if not (may_pass(error) and outage.wait()):
                    raise self._error(verb, error) from error
                self._hang_up()
            else:
                return
            finally:
                with contextlib.suppress(Exception):
                    stream.close()

    def _read(self, stream: Any) -> bytes:
        with self._connected().turn:
            return bytes(stream.read(PIECE_BYTES))

    def put_new(self, key: str, data: bytes) -> str | None:
        """Creates it under a condition, or moves it, or looks and writes: what the driver can."""
        return self._put(check_key(key), lambda files, path, **mode: files.pipe_file(path, data, **mode))

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Copies the object to a temporary file."""
        with copy_of(check_key(key), self.pieces(key)) as stream:
            yield stream

    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        """The driver sends a copy: what it has begun to write, it cannot take back."""
        check_key(key)
        with copy_of(key, chunks()) as copy:
            return self._put(key, lambda files, path, **mode: files.put_file(path_of(copy), path, **mode))

    def _put(self, key: str, write: Callable[..., object]) -> str | None:
        def put(driver: Driver) -> bool:
            path = f"{driver.root}/{key}"
            if driver.conditional:
                try:
                    write(driver.files, path, mode="create")
                except FileExistsError:
                    return False
                return True
            if driver.files.exists(path):
                return False
            if driver.move_new is None:
                with contextlib.suppress(NotImplementedError):
                    driver.files.makedirs(path.rpartition("/")[0], exist_ok=True)
                write(driver.files, path)
                return True
            return self._put_moved(driver, driver.move_new, path, write)

        if not self._try(f"write {key} to", put):
            return None
        entry = self.entry(key)
        return "gone" if entry is None else entry.mark

    def _put_moved(
        self, driver: Driver, move_new: Callable[[str, str], bool], path: str, write: Callable[..., object]
    ) -> bool:
        """Writes to a hidden name: a client that is killed leaves nothing that looks like an object."""
        files, incoming = driver.files, f"{driver.root}/{INCOMING}"
        if not self._swept:
            self._swept = True
            _sweep(files, incoming)
        young, moved = f"{incoming}/{uuid.uuid4().hex}", False
        try:
            _in_folder(files, young, lambda: write(files, young))
            moved = _in_folder(files, path, lambda: move_new(young, path))
        finally:
            if not moved:
                with contextlib.suppress(Exception):
                    files.rm_file(young)
        return moved

    def size(self, key: str) -> int | None:
        """Returns the size that the driver tells."""
        facts = self._facts(key)
        return None if facts is None else int(facts["size"])

    def entry(self, key: str) -> Entry | None:
        """Returns what the driver tells."""
        facts = self._facts(key)
        return None if facts is None else _entry(key, facts)

    def _facts(self, key: str) -> Mapping[str, Any] | None:
        check_key(key)

        def ask(driver: Driver) -> Mapping[str, Any] | None:
            try:
                found: Mapping[str, Any] = driver.files.info(f"{driver.root}/{key}")
            except (FileNotFoundError, NotADirectoryError):
                return None
            return found if found["type"] == "file" else None

        return self._try(f"read {key} from", ask)

    def keys(self, prefix: str) -> list[str]:
        """Walks the folder that the prefix names."""
        return sorted(self._find(prefix))

    def entries(self, prefix: str) -> list[Entry]:
        """Walks the folder that the prefix names; drivers have different words for the time."""
        found = self._find(prefix)
        return [_entry(key, facts) for key, facts in sorted(found.items())]

    def _find(self, prefix: str) -> dict[str, Mapping[str, Any]]:
        def find(driver: Driver) -> dict[str, Mapping[str, Any]]:
            folder = f"{driver.root}/{prefix.rpartition('/')[0]}".rstrip("/")
            named = (
                (str(path).removeprefix(driver.root).lstrip("/"), facts)
                for path, facts in _all_in(driver.files, folder)
            )
            return {
                key: facts
                for key, facts in named
                if key.startswith(prefix) and not key.startswith(f"{INCOMING}/")
            }

        return self._try("list", find)

    def remove(self, key: str) -> bool:
        """Removes the file; a driver does not tell whether it has repeated the request."""
        check_key(key)

        def remove(driver: Driver) -> None:
            with contextlib.suppress(FileNotFoundError):
                driver.files.rm_file(f"{driver.root}/{key}")

        self._try(f"remove {key} from", remove)
        return False

    def node_url(self, key: str) -> str | None:
        """Returns None for schemes that Ray does not read (hdfs, sftp, memory, …)."""
        check_key(key)
        known, rest = NODE_SCHEMES.get(scheme_of(self._url)), self._url.partition("://")[2]
        return f"{known}://{rest}/{key}" if known else None

    def _connected(self) -> Driver:
        with self._connecting:
            if self._driver is None:
                self._driver = connect(self._url)
            return self._driver

    def _hang_up(self) -> None:
        """Lets the next request connect again, if the driver is one connection."""
        with self._connecting:
            if self._driver is not None and hasattr(self._driver.files, "close"):
                self._driver.close()
                self._driver = None

    def _try(self, verb: str, action: Callable[[Driver], T], missing: str | None = None) -> T:
        """Returns what `action` returns; tries again after faults of the network and of a busy server.

        Args:
            verb: what the error says that could not be done.
            action: one request or some, which may be made again.
            missing: the key of the object that is missing if there is no such file.
        """
        outage = _outage()
        while True:
            try:
                driver = self._connected()
                with driver.turn:
                    return action(driver)
            except RaybundleError:  # noqa: PERF203 - a request each
                raise
            except Exception as error:
                if missing is not None and isinstance(error, _NO_FILE):
                    raise ObjectMissingError(f"no object {missing} in {self.url}") from error
                if not (may_pass(error) and outage.wait()):
                    raise self._error(verb, error) from error
                self._hang_up()

    def _error(self, verb: str, error: Exception) -> StoreError:
        return StoreAccessError(
            f"cannot {verb} {self.url}: {reason_of(error)}",
            hint="check the URL, the credentials of its scheme, and that this machine can reach it",
        )


def _outage() -> Outage:
    return Outage(FIRST_RETRY, LONGEST_RETRY, patience=RETRY_SECONDS, jitter=JITTER)


def _open_at(key: str, start: int, driver: Driver) -> Any:
    try:
        stream = driver.files.open(f"{driver.root}/{key}", "rb")
    except FileExistsError as error:  # what memory:// says of a key whose folder is a file
        raise FileNotFoundError(key) from error
    if start:
        stream.seek(start)
    return stream


def _all_in(files: Any, folder: str) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Returns the files below a folder, which need not exist, with what the driver tells about them.

    `find` walks the folders unless the server lists all at once, and takes one that it cannot list for empty.
    """
    try:
        if getattr(files, "async_impl", False):
            found: Mapping[str, Mapping[str, Any]] = files.find(folder, detail=True)
            return found.items()
        listed = files.ls(folder, detail=True)
    except FileNotFoundError:
        return ()
    return _walked(files, listed)


def _walked(files: Any, listed: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yields what is in a list of a folder and below, except hidden names, which are not objects."""
    for each in listed:
        path = str(each["name"]).rstrip("/")
        if path.rpartition("/")[2].startswith("."):
            continue
        facts = each if each["type"] in {"file", "directory"} else files.info(path)  # follows a link
        if facts["type"] == "directory":
            yield from _walked(files, files.ls(path, detail=True))
        else:
            yield path, facts


def _in_folder(files: Any, path: str, action: Callable[[], T]) -> T:
    """Returns what `action` returns; makes the folder of the path if there is none, and does it again."""
    try:
        return action()
    except FileNotFoundError:
        files.makedirs(path.rpartition("/")[0], exist_ok=True)
        return action()


def _sweep(files: Any, incoming: str) -> None:
    """Removes what clients that were killed have left, a day after they wrote it."""
    try:
        found = files.find(incoming, detail=True)
    except FileNotFoundError:
        return
    for path, facts in found.items():
        if datetime.now(timezone.utc) - _modified(facts) > ABANDONED:
            with contextlib.suppress(Exception):  # another client is faster, or may do it
                files.rm_file(path)


def _entry(key: str, facts: Mapping[str, Any]) -> Entry:
    return Entry(key, int(facts["size"]), _modified(facts), _mark(facts))


def _mark(facts: Mapping[str, Any]) -> str:
    """Returns the ETag, or when an object was written if the driver tells none (SFTP: in whole seconds)."""
    for name in _E_TAGS:
        if facts.get(name):
            return str(facts[name])
    return _modified(facts).isoformat()


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
