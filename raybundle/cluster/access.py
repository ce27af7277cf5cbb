"""Finds address and credentials of a cluster: token, headers, certificates."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from raybundle.errors import UsageError
from raybundle.formats.credentials import without_credentials

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

TOKEN_MODES = ("token", "k8s")
"""Values of RAY_AUTH_MODE by which Ray's clients send a token."""
TOKEN_FILE = Path(".ray", "auth_token")
"""Ray's default place of a token, below the home directory; ray/_private/authentication."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
"""Characters that RFC 9110 allows, in the encoding of http.client."""
OF_RAY = (6379, 10001)
"""Default ports of Ray's own protocols: of its control service and of Ray Client."""
TRUE, FALSE = ("true", "1"), ("false", "0")
"""Values of `--verify` that are not a path; ray/dashboard/modules/job/cli_utils.py."""


@dataclass(frozen=True, slots=True)
class Access:
    """A cluster's address and the credentials for it; only the address may be shown."""

    address: str
    """URL of the dashboard, without credentials and without a slash at the end."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with every request."""
    verify: bool | str = True
    """Whether the server's certificate is checked; or a file or directory of certificates to trust."""
    certificate: str | None = None
    """PEM file of the client certificate."""
    key: str | None = field(default=None, repr=False)
    """PEM file of its private key, if that is another file."""

    @property
    def exposes_token(self) -> bool:
        """Whether credentials cross a network unencrypted."""
        return urlsplit(self.address).scheme == "http" and not self.is_loopback and self.has_credentials

    @property
    def is_loopback(self) -> bool:
        """Whether the address is on this machine: a local cluster, or a tunnel."""
        return _is_loopback(urlsplit(self.address).hostname or "")

    @property
    def has_credentials(self) -> bool:
        """Whether a token or password is sent."""
        return any(name.lower() in ("authorization", "x-ray-authorization") for name in self.headers)

    def tls(self) -> ssl.SSLContext:
        """Returns the TLS context of an https connection.

        Raises:
            UsageError: a file of certificates cannot be read.
        """
        import ssl  # noqa: PLC0415 - 10 ms that plain http does not pay

        try:
            context = ssl.create_default_context()
            if isinstance(self.verify, str):
                folder = Path(self.verify).is_dir()
                context = ssl.create_default_context(
                    capath=self.verify if folder else None, cafile=None if folder else self.verify
                )
            elif not self.verify:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self.certificate is not None:
                # With an empty password, an encrypted key is an error instead of a prompt on the terminal.
                context.load_cert_chain(self.certificate, self.key, password="")
        except OSError as error:  # SSLError is one
            files = [str(name) for name in (self.verify, self.certificate, self.key) if isinstance(name, str)]
            raise UsageError(
                f"cannot read the certificates in {', '.join(files)}: {error.strerror or error}",
                hint="`--verify` takes a PEM file of authorities; `--client-cert` and `--client-key` are PEM",
            ) from error
        return context


def make_access(  # noqa: PLR0913 - one per option
    address: str,
    environ: Mapping[str, str],
    *,
    headers: str | None = None,
    verify: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
) -> Access:
    """Returns how to reach a cluster; Ray's own variables and token file are the defaults.

    Args:
        address: URL or `host:port` of the dashboard; may hold user and password.
        environ: environment variables.
        headers: JSON object of headers; else `RAY_JOB_HEADERS`.
        verify: `true`, `false` or a path; else `RAYBUNDLE_VERIFY`.
        certificate: path of a client certificate; else `RAYBUNDLE_CLIENT_CERT`.
        key: path of its key; else `RAYBUNDLE_CLIENT_KEY`.

    Raises:
        UsageError: one of them is not valid.
    """
    parts = _split(address)
    found = _headers(headers, environ)
    if not any(name.lower() == "authorization" for name in found):
        found.update(_basic(parts) or _token(environ))
    _require_sendable(found)
    host = parts.netloc.rpartition("@")[2]
    return Access(
        address=parts._replace(netloc=host, query="", fragment="").geturl().rstrip("/"),
        headers=found,
        verify=_verify(verify or environ.get("RAYBUNDLE_VERIFY") or "true"),
        certificate=certificate or environ.get("RAYBUNDLE_CLIENT_CERT") or None,
        key=key or environ.get("RAYBUNDLE_CLIENT_KEY") or None,
    )


def _split(address: str) -> SplitResult:
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port not in OF_RAY
        valid = valid and address != "auto"
        (parts.hostname or "").encode("idna")
    except ValueError:
        valid = False
    if not valid:
        shown = without_credentials(address).rpartition("@")[2]  # a malformed URL may hide its login
        raise UsageError(
            f"{shown!r} is not the address of a Ray dashboard",
            hint="give a URL such as http://127.0.0.1:8265; `ray://`, `auto` and the ports 6379 and 10001 "
            "are not dashboards",
        )
    return parts


def _headers(text: str | None, environ: Mapping[str, str]) -> dict[str, str]:
    source = "--headers" if text is not None else "RAY_JOB_HEADERS"
    text = environ.get("RAY_JOB_HEADERS") if text is None else text
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        # The text is not shown: it may hold a token.
        raise UsageError(f"{source}: expected a JSON object of headers", hint='such as {"X-Team": "search"}')
    return {str(name): str(header) for name, header in value.items()}


def _require_sendable(headers: Mapping[str, str]) -> None:
    """Refuses headers that HTTP cannot carry. The message shows no value: it may be a token."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise UsageError(
                "a header or the token has characters that HTTP cannot carry",
                hint="check --headers, RAY_JOB_HEADERS, and the token, which is one line of ASCII",
            )


def _basic(parts: SplitResult) -> dict[str, str]:
    if parts.username is None:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _token(environ: Mapping[str, str]) -> dict[str, str]:
    """Returns the header of Ray's token; as in Ray, a token is used unless RAY_AUTH_MODE turns it off."""
    mode = environ.get("RAY_AUTH_MODE")
    if mode is not None and mode.lower() not in TOKEN_MODES:
        return {}
    token = environ.get("RAY_AUTH_TOKEN") or _read_token(environ)
    return {"Authorization": f"Bearer {token.strip()}"} if token and token.strip() else {}


def _read_token(environ: Mapping[str, str]) -> str | None:
    named = environ.get("RAY_AUTH_TOKEN_PATH")
    file = Path(named).expanduser() if named else Path(environ.get("HOME") or Path.home(), TOKEN_FILE)
    try:
        return file.read_text("utf-8")
    except FileNotFoundError:
        if named is None:
            return None
        raise UsageError(f"there is no token file {named}", hint="check RAY_AUTH_TOKEN_PATH") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the token file {file}: {type(error).__name__}") from error


def _verify(text: str) -> bool | str:
    if text.lower() in TRUE:
        return True
    return False if text.lower() in FALSE else text


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
