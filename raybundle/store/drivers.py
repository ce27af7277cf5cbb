"""Connects fsspec's drivers, and knows how each of them creates an object that must not exist yet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raybundle.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

CONDITIONAL = frozenset({"abfs", "abfss", "az", "gcs", "gs", "memory"})
"""Schemes whose `mode="create"` is a condition that the server itself checks as it writes the whole object.

Azure: `If-None-Match: *` of Put Blob and Put Block List. Google: `ifGenerationMatch=0`.
"""

EXTRAS = {
    "abfs": "azure",
    "abfss": "azure",
    "az": "azure",
    "gcs": "gcs",
    "gs": "gcs",
    "sftp": "sftp",
    "ssh": "sftp",
}
"""What to install for a scheme."""

TALKATIVE = ("adlfs", "azure", "fsspec", "gcsfs", "paramiko")
"""Loggers of libraries that would print tracebacks of errors that raybundle reports itself."""


UNREACHED = frozenset({"ConnectionError", "ConnectTimeout", "NoValidConnectionsError", "ReadTimeout"})
"""Classes of requests and paramiko, which derive from OSError alone."""

DROPPED = ("Server connection dropped", "Socket is closed", "SSH session not active")
"""What paramiko says, in several classes, of a connection that is gone."""


@dataclass(frozen=True, slots=True)
class Driver:
    """A connected file system."""

    files: Any
    root: str
    """The store's folder, without a slash at its end."""
    at: str
    """The server or account, if the URL does not name it."""
    conditional: bool
    """Whether `mode="create"` is safe against other clients."""
    move_new: Callable[[str, str], bool] | None
    """Moves a file to a name that has none, and returns whether it did; None if the driver cannot."""
    turn: contextlib.AbstractContextManager[Any]
    """Held during each request to a driver that takes one at a time."""

    @property
    def exclusive(self) -> bool:
        """Whether an object appears whole, and only if there is none of its name."""
        return self.conditional or self.move_new is not None

    def close(self) -> None:
        """Ends a connection that may be broken."""
        if hasattr(self.files, "close"):
            with contextlib.suppress(Exception):
                self.files.close()


def scheme_of(url: str) -> str:
    """Returns the scheme of a URL in lower case."""
    return url.partition("://")[0].lower()


def require_driver(url: str) -> None:
    """Refuses a URL for which no driver is installed; does not connect.

    Raises:
        UsageError: there is no such scheme, or its package is missing.
    """
    import fsspec  # noqa: PLC0415 - 0.2 s that S3 and local stores do not pay

    scheme = scheme_of(url)
    try:
        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        extra = EXTRAS.get(scheme)
        hint = f"pip install 'raybundle[{extra}]'" if extra else str(error)
        raise UsageError(f"no driver for {scheme}:// is installed", hint=hint) from error


def connect(url: str) -> Driver:
    """Connects to a store. Raises what the driver raises."""
    import fsspec  # noqa: PLC0415 - as above

    for name in TALKATIVE:
        logger = logging.getLogger(name)
        if not logger.handlers:
            logger.addHandler(logging.NullHandler())
    scheme = scheme_of(url)
    move_new: Callable[[str, str], bool] | None = None
    if EXTRAS.get(scheme) == "sftp":
        from raybundle.store.sftp import SftpFiles  # noqa: PLC0415 - needs paramiko

        files: Any = SftpFiles(**SftpFiles._get_kwargs_from_urls(url))  # noqa: SLF001 - fsspec's interface for drivers
        root, move_new = SftpFiles._strip_protocol(url), files.move_new  # noqa: SLF001 - as above
    else:
        files, root = fsspec.core.url_to_fs(url, **_options(scheme))
    if scheme == "webhdfs":
        move_new = _webhdfs_move(files)
    return Driver(
        files,
        str(root).rstrip("/"),
        _server_of(files),
        scheme in CONDITIONAL,
        move_new,
        contextlib.nullcontext() if getattr(files, "async_impl", False) else threading.RLock(),
    )


def may_pass(error: Exception) -> bool:
    """Returns whether another try may help: the network failed, or the server is busy.

    The drivers of Azure and Google have tried some times already.
    """
    answer = getattr(error, "response", None)
    for holder, name in ((error, "status_code"), (error, "code"), (error, "status"), (answer, "status_code")):
        status = getattr(holder, name, None)
        if isinstance(status, int):
            return status in {408, 429} or status >= 500  # noqa: PLR2004 - HTTP's errors of servers
    network = (ConnectionError, TimeoutError, asyncio.TimeoutError, EOFError)
    return isinstance(error, network) or type(error).__name__ in UNREACHED or str(error).startswith(DROPPED)


def reason_of(error: Exception) -> str:
    """Returns in one line what an error says: the innermost error of the system, if it quotes one."""
    text = str(error)
    quoted = re.search(r"\[Errno -?\d+\] ([^'\")\]\n]+)", text)
    return (
        quoted[1]
        if quoted
        else getattr(error, "strerror", None) or text.partition("\n")[0] or type(error).__name__
    )


def _options(scheme: str) -> dict[str, Any]:
    """Without caches of lists, and of clients that may have other credentials; WebHDFS has no lists."""
    return {"skip_instance_cache": True} | ({} if scheme == "webhdfs" else {"use_listings_cache": False})


def _server_of(files: Any) -> str:
    """Returns the account of adlfs, which a connection string may name."""
    client = getattr(files, "service_client", None)
    return str(getattr(client, "primary_endpoint", "") or getattr(files, "account_name", "") or "")


def _webhdfs_move(files: Any) -> Callable[[str, str], bool]:
    def move_new(old: str, new: str) -> bool:
        files.makedirs(new.rpartition("/")[0], exist_ok=True)
        # RENAME answers false if there is a file of the new name; fsspec's `mv` does not look at it.
        answer = files._call("RENAME", method="put", path=old, destination=new)  # noqa: SLF001 - as above
        return bool(answer.json()["boolean"])

    return move_new
