"""Opens the store of a URL; a client is imported only for its own scheme."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from raybundle.errors import UsageError
from raybundle.formats.credentials import passwords_in, without_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raybundle.store.base import Store

SCHEME = re.compile(r"(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]+):(?P<slashes>/{0,2})(?P<rest>.*)", re.DOTALL)
BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html, and `_` of older buckets."""

EXAMPLES = "such as /var/bundles, file:///var/bundles, s3://bucket/prefix or gs://bucket/prefix"


def open_private(directory: str) -> Store:
    """Returns the store of a directory that is for this user alone."""
    from raybundle.store.local import LocalStore  # noqa: PLC0415

    return LocalStore(Path(directory), private=True)


def open_store(url: str, environ: Mapping[str, str], profile: str | None = None) -> Store:
    """Returns the store of a path or URL; does not connect or read yet.

    Args:
        url: A directory, `file://…` (percent-encoded), `s3://bucket/prefix`, or any URL of fsspec.
        environ: Has the AWS variables.
        profile: An AWS profile that comes before keys in the environment; only for S3.

    Raises:
        UsageError: The URL is not valid, holds a password, or its driver is not installed.
    """
    match = SCHEME.fullmatch(url)
    if match is None:
        return _local(Path(url).expanduser(), url)
    scheme, slashes, rest = match["scheme"].lower(), match["slashes"], match["rest"]
    if slashes != "//":
        raise UsageError(
            f"{without_credentials(url)!r} is not the URL of a store",
            hint=f"write a path or a URL, {EXAMPLES}",
        )
    if any(passwords_in(url)):
        hint = "remove it: credentials come from the environment or from the files of the URL's scheme"
        raise UsageError(f"the store's URL holds a password: {without_credentials(url)}", hint=hint)
    if scheme in {"file", "local"}:
        return _local(_file_path(rest, url), url)
    if scheme in {"s3", "s3a"}:
        return _s3(rest, url, environ, profile)
    from raybundle.store.fsspec_store import FsspecStore  # noqa: PLC0415

    return FsspecStore(url)


def _local(directory: Path, url: str) -> Store:
    from raybundle.store.local import LocalStore  # noqa: PLC0415

    if not url.strip() or "\0" in str(directory):
        raise UsageError(f"{url!r} is not a store", hint=f"write a path or a URL, {EXAMPLES}")
    return LocalStore(directory)


def _file_path(rest: str, url: str) -> Path:
    host, slash, path = rest.partition("/")
    if host not in {"", "localhost"} or not slash:
        raise UsageError(
            f"{without_credentials(url)} does not name a directory on this machine",
            hint=f"write file:///{rest}",
        )
    return Path("/" + unquote(path))


def _s3(rest: str, url: str, environ: Mapping[str, str], profile: str | None) -> Store:
    from raybundle.store.base import check_key  # noqa: PLC0415
    from raybundle.store.s3 import S3Store  # noqa: PLC0415

    bucket, _, prefix = rest.partition("/")
    if not BUCKET.fullmatch(bucket):
        raise UsageError(
            f"{without_credentials(url)!r} does not name an S3 bucket", hint="write s3://bucket/prefix"
        )
    prefix = prefix.strip("/")
    if any(character in prefix for character in "?#"):
        raise UsageError(
            f"{without_credentials(url)!r} has more than bucket and prefix", hint="write s3://bucket/prefix"
        )
    return S3Store(bucket, check_key(prefix) if prefix else "", environ, profile)
