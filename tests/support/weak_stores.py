"""Stores that do less than they should: an S3 server without conditions, a driver that replaces objects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from fsspec.implementations.memory import MemoryFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.proxy_streams import Head
    from tests.support.s3_server import Keys


class PlainFileSystem(MemoryFileSystem):  # type: ignore[misc]  # fsspec has no types
    """What drivers are that know no `mode`: every put overwrites."""

    protocol = "plain"

    def pipe_file(self, path: str, value: bytes, **_: object) -> None:
        super().pipe_file(path, value)


def without_conditions(keys: Keys) -> Callable[[Head], bytes]:
    """Returns what makes a request one without `If-None-Match`, signed anew: as if the server ignored it."""

    def rewrite(head: Head) -> bytes:
        if "if-none-match" not in head.headers:
            return head.raw
        method, path = head.words
        kept = {name: value for name, value in head.headers.items() if name not in _NOT_SIGNED}
        request = AWSRequest(method, f"http://{head.headers['host']}{path}", headers=kept)
        S3SigV4Auth(Credentials(keys.access, keys.secret), "s3", "us-east-1").add_auth(request)
        sent = {
            **dict(request.headers.items()),
            **{name: head.headers[name] for name in _SENT if name in head.headers},
        }
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items()), "", ""]
        return "\r\n".join(lines).encode()

    return rewrite


_SENT = ("content-length", "host")
_NOT_SIGNED = {"if-none-match", "authorization", "x-amz-date", "user-agent", *_SENT}
