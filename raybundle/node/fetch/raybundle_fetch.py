"""Fetches objects from the store. Nothing reads them before their SHA-256 is that of delivery or manifest.

A process of its own fetches: Ray kills a worker that does not register within 60 s, and the fetch goes on.
It has the environment and the interpreter of Ray's agent, so it reads the store as Ray itself would: with the
node's credentials and endpoint, not with the job's. Only one process fetches at a time on a node.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import unquote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from raybundle.node.stub import Stub

CHUNK = 1 << 20
"""Bytes that are read, hashed and written at a time."""
AT_ONCE = 8
"""Archives that are fetched at a time, each with `CHUNK` bytes in memory."""
TRIES = 3
"""How often a fetch is started that was killed, and how often an archive whose transfer was cut goes on."""
CONNECT_SECONDS, READ_SECONDS = 10, 30
"""Patience with a server."""
WATCH = 1.0
"""Seconds between two checks that the raylet lives."""


class Archive(NamedTuple):
    """An archive of the delivery, or a large file of the manifest."""

    name: str
    key: str
    """In the store."""
    sha256: str
    size: int
    optional: bool = False
    """Whether this node can do without it: it makes byte-code that the store has lost."""

    def url(self, source: str) -> str:
        """Returns its URL in a store."""
        return f"{source}/{self.key}"


class Fetched:
    """A context manager: the verified files of archives by their names. At its end, copies are removed."""

    def __init__(self, stub: Stub, archives: Sequence[Archive], source: str, *, in_place: bool) -> None:
        """Takes what to fetch, and the URL of the store, which is empty if there is nothing to fetch.

        `in_place`: files of a local store are compared where they are. Otherwise they are copied.
        """
        self._stub = stub
        self._archives = archives
        self._source = source
        self._directory = "" if in_place and source.startswith("file:") else f"{stub.PRIVATE}/fetched"

    def __enter__(self) -> dict[str, str]:
        """Returns the files.

        Raises:
            RuntimeError: an archive is not what the delivery says, or the store cannot be read.
        """
        if not self._archives:
            return {}
        if self._directory:
            try:
                _fetch_all(self._stub, self._archives, self._source, self._directory)
            except RuntimeError:
                self.__exit__()
                raise
            files = {each.name: f"{self._directory}/{each.sha256}" for each in self._archives}
            return {name: file for name, file in files.items() if os.path.exists(file)}
        with ThreadPoolExecutor(AT_ONCE) as threads:
            found = threads.map(lambda each: _check_file(each, each.url(self._source)), self._archives)
            return {each.name: file for each, file in zip(self._archives, found, strict=True) if file}

    def __exit__(self, *_: object) -> None:
        if self._archives and self._directory:
            remove(self._directory, [each.sha256 for each in self._archives])


def remove(directory: str, digests: Sequence[str]) -> None:
    """Removes fetched archives."""
    for digest in digests:
        for name in (digest, f"{digest}.absent", f"{digest}.part"):
            if os.path.exists(f"{directory}/{name}"):
                os.unlink(f"{directory}/{name}")


def _check_file(archive: Archive, url: str) -> str:
    """Returns the file of a local store, once its bytes are compared; empty if it may be missing and is."""
    file = unquote(url.removeprefix("file://"))
    try:
        _compare(archive, url, file)
    except FileNotFoundError:
        if archive.optional:
            return ""
        raise _refusal(archive, url, "no file") from None
    return file


def _compare(archive: Archive, url: str, file: str, write: Callable[[bytes], object] = len) -> None:
    """Compares a file with the archive that it must be; waits for no pipe. `write` gets each piece."""
    with open(os.open(file, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise _refusal(archive, url, "no regular file")
        found = _Hash(archive, url, status.st_size)
        while data := stream.read(CHUNK):
            found.add(data)
            write(data)
    found.check()


class _Hash:
    """Compares an archive with the delivery, piece by piece."""

    def __init__(self, archive: Archive, url: str, size: int | None) -> None:
        """Refuses another size at once. It is None if the server does not say it."""
        self._archive = archive
        self._url = url
        self._digest = sha256()
        self.size = 0
        if size is not None and size != archive.size:
            raise _refusal(archive, url, f"{size} bytes")

    def add(self, data: bytes) -> None:
        """Takes the next bytes."""
        self._digest.update(data)
        self.size += len(data)
        if self.size > self._archive.size:
            raise _refusal(self._archive, self._url, "more bytes")

    def check(self) -> None:
        """Refuses another content."""
        if self.size != self._archive.size:
            raise _refusal(self._archive, self._url, f"{self.size} bytes")
        if self._digest.hexdigest() != self._archive.sha256:
            raise _refusal(self._archive, self._url, self._digest.hexdigest())


def _refusal(archive: Archive, url: str, found: str) -> RuntimeError:
    return RuntimeError(f"file {url}: expected sha256 {archive.sha256} ({archive.size} bytes), found {found}")


def _fetch_all(stub: Stub, archives: Sequence[Archive], source: str, directory: str) -> None:
    """Returns when all archives are fetched and verified; the caller holds `materialise.lock`."""
    key = sha256("\n".join([source, *(each.sha256 for each in archives)]).encode()).hexdigest()
    started = 0
    while missing := [each for each in archives if not _is_there(each, directory)]:
        begun, lock = time.time(), _claim(directory)
        if lock is None:  # the worker that started it was killed
            _wait_for_other(directory)
        elif started == TRIES:
            raise RuntimeError(
                f"file {missing[0].url(source)}: expected to be fetched, found the fetching process dead: "
                + _last_line(f"{directory}/log")
            )
        else:
            started += 1
            _clean(directory, archives, f"{key}.error")
            _start(stub, {"source": source, "archives": missing, "directory": directory, "key": key}, lock)
        _raise_error(f"{directory}/{key}.error", begun)


def _is_there(archive: Archive, directory: str) -> bool:
    file = f"{directory}/{archive.sha256}"
    return os.path.exists(file) or (archive.optional and os.path.exists(f"{file}.absent"))


def _claim(directory: str) -> int | None:
    """Returns the descriptor of the lock that a fetching process holds while it lives; None if one does."""
    descriptor = os.open(f"{directory}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _wait_for_other(directory: str) -> None:
    with open(f"{directory}.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)


def _clean(directory: str, keep: Sequence[Archive], error: str) -> None:
    """Removes what earlier fetches left, and the error of an earlier try."""
    kept = {f"{each.sha256}{suffix}" for each in keep for suffix in ("", ".absent")} - {error}
    for name in os.listdir(directory):
        if name not in kept:
            os.unlink(f"{directory}/{name}")


def _start(stub: Stub, asked: dict[str, Any], lock: int) -> None:
    """Starts the process that fetches, which inherits `lock`, and waits for its end."""
    python, environ, raylet = stub.load("raybundle_agent").find_agent()
    script = f"{stub.PRIVATE}/boot/{os.environ['RAYBUNDLE_BOOT']}/raybundle_fetch.py"
    with open(f"{asked['directory']}/log", "wb") as log:
        process = subprocess.Popen(
            [python, script],
            env=environ,
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
        )
    os.close(lock)
    try:
        process.communicate(json.dumps({**asked, "raylet": raylet}).encode())
    except BrokenPipeError:
        process.wait()


def _raise_error(file: str, begun: float) -> None:
    if os.path.exists(file) and os.stat(file).st_mtime >= begun - WATCH:
        with open(file, errors="surrogateescape") as stream:
            line = stream.read()
        os.unlink(file)
        raise RuntimeError(line)


def _last_line(file: str) -> str:
    with open(file, errors="replace") as stream:  # `_start` has made it
        return ([line for line in stream.read().splitlines() if line.strip()] or ["no message"])[-1]


# From here on: the process that fetches.


class _Absent(Exception):  # noqa: N818 - it never leaves this file
    """The store does not have an object, or does not show it."""


def main() -> None:
    """Fetches what the standard input names; what goes wrong is written to a file, in one line."""
    asked = json.load(sys.stdin)
    archives = [Archive(*each) for each in asked["archives"]]
    try:
        _run(archives, asked["source"], asked["directory"], asked["raylet"])
    except Exception as error:  # noqa: BLE001 - any failure is an answer
        file = f"{asked['directory']}/{asked['key']}.error"
        with open(f"{file}.new", "w", errors="surrogateescape") as stream:
            stream.write(_words(error, archives[0].url(asked["source"])).replace("\n", " "))
        os.replace(f"{file}.new", file)
        os._exit(1)  # other threads may be in the middle of a transfer


def _words(error: Exception, url: str) -> str:
    if isinstance(error, RuntimeError):
        return str(error)
    if isinstance(error, ImportError):
        return f"file {url}: expected {error.name} on this node ({sys.executable}), found none"
    if isinstance(error, OSError) and error.strerror:
        return f"file {error.filename or url}: {error.strerror}"
    return f"file {url}: expected its bytes, found {type(error).__name__}: {error}"


def _run(archives: Sequence[Archive], source: str, directory: str, raylet: int) -> None:
    """Fetches all archives, the largest first. The process ends with its raylet, and at the first failure."""
    scheme = source.partition(":")[0]
    transfer = _fetch_from_s3() if scheme == "s3" else _copy if scheme == "file" else _fetch_by_ray()
    threads = ThreadPoolExecutor(AT_ONCE if scheme in ("s3", "file") else 1)
    ordered = sorted(archives, key=lambda each: -each.size)
    running = {threads.submit(_fetch_one, transfer, each, source, directory) for each in ordered}
    while running:
        done, running = wait(running, WATCH, FIRST_COMPLETED)
        for each in done:
            each.result()
        if raylet and not os.path.exists(f"/proc/{raylet}"):
            os._exit(1)


def _fetch_one(
    transfer: Callable[[Archive, str, str], None], archive: Archive, source: str, directory: str
) -> None:
    """Fetches one archive. It has its final name once its bytes are compared and on the disk.

    Those of layers need not be on the disk: their files are compared again.
    """
    part = f"{directory}/{archive.sha256}.part"
    try:
        transfer(archive, archive.url(source), part)
        if archive.key.startswith("data/"):
            with open(part, "rb") as stream:
                os.fsync(stream.fileno())
        os.rename(part, f"{directory}/{archive.sha256}")
    except _Absent as absent:
        if not archive.optional:
            raise _refusal(archive, archive.url(source), str(absent)) from None
        os.close(os.open(f"{directory}/{archive.sha256}.absent", os.O_WRONLY | os.O_CREAT, 0o600))
    except Exception as error:
        if os.path.exists(part):
            os.unlink(part)
        raise RuntimeError(_words(error, archive.url(source))) from error


def _copy(archive: Archive, url: str, part: str) -> None:
    """Copies a file of a local store."""
    try:
        with open(part, "wb", buffering=0) as stream:
            _compare(archive, url, unquote(url.removeprefix("file://")), lambda data: _write(stream, data))
    except FileNotFoundError as error:
        raise _Absent("no file") from error


def _fetch_from_s3() -> Callable[[Archive, str, str], None]:
    """Returns the transfer from S3, by the node's boto3. A transfer that is cut goes on where it was."""
    from botocore.exceptions import HTTPClientError, IncompleteReadError

    client = _s3_client()

    def transfer(archive: Archive, url: str, part: str) -> None:
        answer = _ask(client, url, 0)
        found = _Hash(archive, url, answer["ContentLength"])
        with open(part, "wb", buffering=0) as stream:
            for cut in range(TRIES + 1):
                try:
                    for data in answer["Body"].iter_chunks(CHUNK):
                        found.add(data)
                        _write(stream, data)
                    break
                except (HTTPClientError, IncompleteReadError):
                    if cut == TRIES or found.size >= archive.size:
                        raise
                    answer = _ask(client, url, found.size)
        found.check()

    return transfer


def _s3_client() -> Any:
    """Returns a client with the credentials that Ray would use (`ray/_private/runtime_env/protocol.py`)."""
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    session = boto3.Session()
    patience = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=AT_ONCE,
        retries={"mode": "standard", "max_attempts": TRIES},
        **({} if session.get_credentials() else {"signature_version": UNSIGNED}),
    )
    return session.client("s3", config=patience)


def _ask(client: Any, url: str, start: int) -> Any:
    """Returns the answer with an object's bytes from `start`."""
    from botocore.exceptions import ClientError

    bucket, _, key = url.removeprefix("s3://").partition("/")
    rest = {"Range": f"bytes={start}-"} if start else {}
    try:
        return client.get_object(Bucket=bucket, Key=key, **rest)
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") in (403, 404):
            raise _Absent(str(error)) from error
        raise


def _fetch_by_ray() -> Callable[[Archive, str, str], None]:
    """Returns the transfer by Ray's own code, which has the object in memory: one at a time."""
    from ray._private.runtime_env.protocol import Protocol

    def transfer(archive: Archive, url: str, part: str) -> None:
        try:
            Protocol(url.partition(":")[0]).download_remote_uri(source_uri=url, dest_file=part)
        except FileNotFoundError as error:
            raise _Absent(str(error)) from error
        _compare(archive, url, part)

    return transfer


def _write(stream: Any, data: bytes) -> None:
    """Writes all bytes: a nearly full disk takes a part of them, and only the next write is an error."""
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]


if __name__ == "__main__":
    main()
