"""A store in an S3 bucket, over obstore (docs/decisions/003-store-clients.md)."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from raybundle.errors import (
    ObjectMissingError,
    ObjectTooLargeError,
    StoreAccessError,
    StoreError,
    UsageError,
)
from raybundle.outage import Outage
from raybundle.store.aws import find_access
from raybundle.store.base import LARGEST_DOCUMENT, PIECE_BYTES, Entry, check_key, collect
from raybundle.store.s3_errors import HINTS, NO_ETAG, find, is_conflict, is_foreign, may_pass, reason_of
from raybundle.store.spool import copy_of
from raybundle.store.threads import claim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from obstore import ObjectMeta
    from obstore.store import S3Store as Client

    from raybundle.store.aws import BucketAccess
    from raybundle.store.base import Chunks

T = TypeVar("T")

CONNECT_SECONDS = 3
"""Longest time to connect; all tries take at most RETRY_SECONDS and one more connect."""

ANSWER_SECONDS = 10
"""Longest wait for an answer, from the start of the request; it limits small uploads too."""

RETRY_SECONDS = 8
"""No new try starts after this time: a dead endpoint is an error in less than 15 seconds."""

TRIES_MORE = 3
"""Tries of obstore after the first, 0.1 s to 0.4 s apart: a part of a large object is sent again alone."""

FIRST_BACKOFF = 0.1
"""Seconds before obstore's second try."""

FIRST_RETRY, LONGEST_RETRY, JITTER = 0.2, 2.0, 0.5
"""Seconds before obstore is asked again; they double up to the longest. Chance may take half of each."""

SMALL_BYTES = 1 << 20
"""Larger uploads may take UPLOAD_SECONDS; others must be answered within ANSWER_SECONDS."""

UPLOAD_SECONDS = 900
"""Longest single upload."""

PART_BYTES = 16 << 20
"""Size of a part of a large object; S3 takes 10,000 parts, so objects up to 160 GB."""

PARTS = 4
"""Parts in memory and on their way at the same time."""


class S3Store:
    """A prefix in a bucket."""

    def __init__(self, bucket: str, prefix: str, environ: Mapping[str, str], profile: str | None) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._environ = environ
        self._profile = profile
        self._found_access: BucketAccess | None = None
        self._clients: dict[tuple[bool, bool], Client] = {}

    @property
    def url(self) -> str:
        """The store as `s3://bucket/prefix`; endpoint and credentials come from the environment."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def place(self) -> str:
        """The URL and the endpoint: buckets on two servers may have the same name."""
        return f"{self.url} at {self._find_access().endpoint or 'AWS'}"

    @property
    def exclusive(self) -> bool:
        """True, unless the server ignores the condition of `put_new`."""
        return True

    def get(self, key: str, most: int = LARGEST_DOCUMENT) -> bytes:
        """Reads the whole object into memory, unless the server says that it is larger, or sends more."""
        import obstore  # noqa: PLC0415

        name = f"{key} in {self.url}"

        def get() -> bytes:
            found = obstore.get(self._client(), key)
            self._require_s3(found.meta["e_tag"])
            if int(found.meta["size"]) > most:
                raise ObjectTooLargeError(name=name, most=most)
            return collect(map(bytes, found.stream(min_chunk_size=PIECE_BYTES)), most, name)

        return self._try(f"read {check_key(key)} from", get)

    def pieces(self, key: str, start: int = 0) -> Iterator[bytes]:
        """Streams the object; a transfer that is cut goes on where it was."""
        from obstore.exceptions import BaseError  # noqa: PLC0415

        verb, outage = f"read {check_key(key)} from", _outage()
        while True:
            try:
                for piece in self._stream(key, verb, start):
                    yield bytes(piece)
                    start, outage = start + len(piece), _outage()
            except (BaseError, OSError, ValueError) as error:  # noqa: PERF203 - a request each
                if not (may_pass(error) and outage.wait()):
                    raise self._error(verb, error) from error
            else:
                return

    def _stream(self, key: str, verb: str, start: int) -> Any:
        import obstore  # noqa: PLC0415

        options: Any = {"range": {"offset": start}} if start else None
        found = self._try(verb, lambda: obstore.get(self._client(), key, options=options))
        self._require_s3(found.meta["e_tag"])
        return found.stream(min_chunk_size=PIECE_BYTES)

    def put_new(self, key: str, data: bytes) -> str | None:
        """Puts with `If-None-Match: *`; 412 means that the key exists, 409 that another writes it now.

        A server that ignores the condition overwrites the object without a sign.
        """
        import obstore  # noqa: PLC0415
        from obstore.exceptions import AlreadyExistsError  # noqa: PLC0415

        client = self._client(patient=len(data) > SMALL_BYTES)

        def put() -> str | None:
            try:
                # One request: conditional uploads in several parts race on some servers (decision 003).
                return _mark(obstore.put(client, key, data, mode="create", use_multipart=False)["e_tag"])
            except AlreadyExistsError as error:
                if is_conflict(error) and self.size(key) is None:
                    raise  # the other may fail: try again
                return None

        return self._try(f"write {check_key(key)} to", put)

    @contextlib.contextmanager
    def open(self, key: str) -> Iterator[BinaryIO]:
        """Copies the object to a temporary file."""
        with copy_of(key, self.pieces(key)) as stream:
            yield stream

    def put_new_chunks(self, key: str, chunks: Chunks) -> str | None:
        """Looks first, then puts in parts: conditional completion races on some servers."""
        import obstore  # noqa: PLC0415

        if self.size(key) is not None:
            return None
        client = self._client(patient=True)

        def put() -> str:
            sent, size = iter(chunks()), PART_BYTES
            made = obstore.put(client, key, sent, use_multipart=True, chunk_size=size, max_concurrency=PARTS)
            return _mark(made["e_tag"])

        return self._try(f"write {key} to", put)

    def size(self, key: str) -> int | None:
        """Returns the size that `entry` has."""
        entry = self.entry(key)
        return None if entry is None else entry.size

    def entry(self, key: str) -> Entry | None:
        """Asks for the head, and if that fails for the object, without its body: that answer has a reason."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import PermissionDeniedError  # noqa: PLC0415

        def found(meta: Any) -> Entry:
            self._require_s3(meta["e_tag"])
            return _entry(key, meta)

        def head() -> Entry | None:
            with contextlib.suppress(FileNotFoundError, PermissionDeniedError):
                return found(obstore.head(self._client(), key))
            return None

        verb = f"read {check_key(key)} from"
        try:
            return self._try(verb, head) or self._try(
                verb, lambda: found(obstore.get(self._client(), key).meta)
            )
        except ObjectMissingError:
            return None

    def keys(self, prefix: str) -> list[str]:
        """Lists what `entries` lists."""
        return sorted(key for each in self._listed(prefix) if (key := str(each["path"])).startswith(prefix))

    def entries(self, prefix: str) -> list[Entry]:
        """Lists the folder that the prefix names and keeps what starts with it."""
        found = (_entry(each["path"], each) for each in self._listed(prefix))
        return sorted(entry for entry in found if entry.key.startswith(prefix))

    def _listed(self, prefix: str) -> list[ObjectMeta]:
        """Lists the folder that the prefix names, with 1,000 keys per request.

        To obstore, a web page is a list without keys: an empty one is believed if the server lists the store.
        """
        import obstore  # noqa: PLC0415

        folder = prefix.rpartition("/")[0] or None

        def list_() -> list[ObjectMeta]:
            return [each for page in obstore.list(self._client(), folder) for each in page]

        found = self._try("list", list_)
        if not found and self.size("store.json") is not None:
            self._require_lists()
            found = self._try("list", list_)
        return found

    def remove(self, key: str) -> bool:
        """Deletes the object by a client of obstore that repeats no request, so it is known who does."""
        import obstore  # noqa: PLC0415

        tries = 0

        def delete() -> None:
            nonlocal tries
            tries += 1
            with contextlib.suppress(FileNotFoundError):
                obstore.delete(self._client(once=True), check_key(key))

        self._try(f"remove {check_key(key)} from", delete)
        return tries == 1

    def node_url(self, key: str) -> str:
        """Returns an `s3://` URL; the node reads it with its own credentials and endpoint."""
        return f"{self.url}/{check_key(key)}"

    def _client(self, *, patient: bool = False, once: bool = False) -> Client:
        """Returns a client of this process; the first call makes it."""
        claim()
        if (patient, once) not in self._clients:
            self._clients[patient, once] = self._connect(patient=patient, once=once)
        return self._clients[patient, once]

    def _connect(self, *, patient: bool, once: bool) -> Client:
        from obstore.store import S3Store as Client  # noqa: PLC0415

        access = self._find_access()
        virtual_hosted = access.endpoint is None and "." not in self._bucket
        config: Any = {
            "region": access.region,
            "checksum_algorithm": "SHA256",
            "virtual_hosted_style_request": virtual_hosted,
        }
        if access.endpoint is not None:
            config |= {"endpoint": access.endpoint, "aws_endpoint_url_s3": access.endpoint}
        return Client(
            self._bucket,
            prefix=self._prefix or None,
            config=config,
            client_options=_client_options(access, patient=patient),
            retry_config={
                "max_retries": 0 if once else TRIES_MORE,
                "retry_timeout": timedelta(seconds=RETRY_SECONDS),
                "backoff": {
                    "init_backoff": timedelta(seconds=FIRST_BACKOFF),
                    "max_backoff": timedelta(seconds=1),
                },
            },
            credential_provider=access.credentials,
        )

    def _find_access(self) -> BucketAccess:
        if self._found_access is None:
            self._found_access = find_access(self._environ, self._profile)
        return self._found_access

    def _try(self, verb: str, action: Callable[[], T]) -> T:
        """Returns what `action` returns; tries again after faults of the network and of a busy server.

        Maps obstore's errors to raybundle's, without secrets and debug text.
        """
        from obstore.exceptions import BaseError  # noqa: PLC0415

        outage = _outage()
        while True:
            try:
                return action()
            except ObjectTooLargeError:  # noqa: PERF203 - a request each
                raise
            except (BaseError, OSError, ValueError) as error:
                if not (may_pass(error) and outage.wait()):
                    raise self._error(verb, error) from error

    def _error(self, verb: str, error: Exception) -> StoreError:
        access = self._find_access()
        at = access.endpoint or f"AWS, region {access.region}"
        code = find(r"<Code>([^<]*)</Code>", error)
        if code == "NoSuchBucket":
            return StoreAccessError(f"no bucket {self._bucket} at {at}", hint=HINTS[code])
        missing = isinstance(error, FileNotFoundError)
        if NO_ETAG in str(error) or (missing and code is None and is_foreign(error, verb)):
            return self._no_s3()
        if missing:
            return ObjectMissingError(f"cannot {verb} {self.url} at {at}: no such object")
        status = find(r"status code: (\d{3}[\w ]*)", error)
        if code or status:
            why = f"{code or status} (credentials: {access.source})"
            hint = HINTS.get(code or "", "check endpoint, region and credentials")
            return StoreAccessError(f"cannot {verb} {self.url} at {at}: {why}", hint=hint)
        return StoreAccessError(f"cannot {verb} {self.url} at {at}: {reason_of(error)}", hint=_REACH_HINT)

    def _require_s3(self, e_tag: str | None) -> None:
        """Refuses an answer without an ETag, such as a web page with status 200: S3 gives each object one."""
        if e_tag is None:
            raise self._no_s3()

    def _require_lists(self) -> None:
        """Refuses a server whose list of a store that is not empty has no keys."""
        import obstore  # noqa: PLC0415

        if not self._try("list", lambda: next(iter(obstore.list(self._client())), None)):
            raise self._no_s3()

    def _no_s3(self) -> StoreAccessError:
        access = self._find_access()
        return StoreAccessError(
            f"{access.endpoint or 'AWS'} is not an S3 server: its answer is not one of S3",
            hint="check the endpoint (AWS_ENDPOINT_URL), and whether a proxy or a login page answers for it",
        )


_REACH_HINT = "check the endpoint (AWS_ENDPOINT_URL), and that this machine can reach it"


def _entry(key: str, meta: ObjectMeta) -> Entry:
    return Entry(key, int(meta["size"]), meta["last_modified"], _mark(meta["e_tag"]))


def _mark(e_tag: str | None) -> str:
    return e_tag or "none"


def _outage() -> Outage:
    return Outage(FIRST_RETRY, LONGEST_RETRY, patience=RETRY_SECONDS, jitter=JITTER)


def _client_options(access: BucketAccess, *, patient: bool) -> Any:
    options: dict[str, Any] = {
        "allow_http": (access.endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=UPLOAD_SECONDS),
    }
    if not patient:
        options["read_timeout"] = timedelta(seconds=ANSWER_SECONDS)
    if access.certificates is not None:
        try:
            options["root_certificate"] = access.certificates.read_bytes()
        except OSError as error:
            raise UsageError(f"cannot read AWS_CA_BUNDLE {access.certificates}: {error.strerror}") from error
    return options
