"""Keeps one HTTP connection to a dashboard, and repeats failed requests for a limited time."""

from __future__ import annotations

import http.client
import re
import ssl
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raybundle.errors import ClusterError, ClusterUnreachableError
from raybundle.outage import Outage
from raybundle.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from raybundle.cluster.access import Access

USER_AGENT = f"raybundle/{__version__}"
"""Ray before 2.52 answers a request without one with HTTP 500."""
TIMEOUT = 30.0
"""Seconds without an answer before a request counts as lost."""
PATIENCE = 3.0
"""Seconds that a request is tried again, unless the caller has more patience."""
FIRST_RETRY, LONGEST_RETRY = 0.1, 2.0
"""Seconds before the second try, which double up to the longest."""
JITTER = 0.5
"""Share of each delay that chance may take."""
BUSY = frozenset({429, 502, 503, 504})
"""Answers of a server, or of a proxy before it, that cannot answer now."""
RAY_REFUSES = "authentication token"
"""Words of Ray's own refusals; ray/_private/authentication/http_token_authentication.py."""
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
REDIRECTIONS = frozenset({301, 302, 303, 307, 308})
BLOCK = 1 << 16
"""Bytes of a streamed answer in memory at once."""

_TAG = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|</?[a-z!][^>]*>", re.DOTALL | re.IGNORECASE)
"""Markup of an HTML page, in which a proxy reports an error."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: an HTTP status and a body."""

    status: int
    body: bytes
    location: str | None = None
    """Where a redirection leads."""

    @property
    def good(self) -> bool:
        """Whether the request was carried out."""
        return self.status == HTTPStatus.OK

    @property
    def sentence(self) -> str:
        """The last line of an error: Ray answers with a Python traceback."""
        text = _TAG.sub(" ", self.body.decode("utf-8", "replace"))
        lines = [line.strip() for line in text.splitlines()]
        words = [line for line in lines if any(character.isalnum() for character in line)]
        return words[-1][:500] if words else http.client.responses.get(self.status, "no reason given")


BROKEN_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""Errors of TLS if the connection was cut; its other errors are permanent."""


class Connection:
    """A connection to a dashboard."""

    def __init__(self, access: Access, notify: Callable[[str], None] = lambda _text: None) -> None:
        """Makes the connection; the first request opens it.

        Args:
            access: address and credentials.
            notify: receives messages for the user while a request is tried again.
        """
        self.access = access
        self.notify = notify
        self._connection: http.client.HTTPConnection | None = None

    def request(  # noqa: PLR0913 - what HTTP is made of
        self,
        method: str,
        path: str,
        data: bytes | None = None,
        *,
        again: bool,
        patience: float = PATIENCE,
        busy: Container[int] = BUSY,
    ) -> Answer:
        """Returns the answer to a request.

        Args:
            method: HTTP method.
            path: below the address, with the query if there is one.
            data: JSON, or the bytes of a package.
            again: whether it may reach the server twice; one that did not reach it is always repeated.
            patience: seconds for which the request is tried again.
            busy: statuses of a server that cannot answer now.

        Raises:
            ClusterError: no answer came, the server refuses access, or it was busy at the last try.
        """
        address = self.access.address
        outage = Outage(FIRST_RETRY, LONGEST_RETRY, patience=patience, jitter=JITTER, notify=self.notify)
        while True:
            found = self._answer(method, path, data)
            if isinstance(found, Answer) and found.status not in busy:
                outage.over(f"the cluster at {address} answers again")
                return _admitted(address, found)
            if isinstance(found, Answer):
                fault, may = _busy(address, found), again
            else:
                fault = _fault(address, found)
                unsent = isinstance(found, ConnectionRefusedError)
                may = (again or unsent) and isinstance(fault, ClusterUnreachableError)
            if not (may and outage.wait(f"warning: {fault}; trying again for {patience:.0f} s")):
                raise fault

    def _answer(
        self, method: str, path: str, data: bytes | None
    ) -> Answer | http.client.HTTPException | OSError:
        try:
            response = self._send(method, path, data)
            return Answer(response.status, response.read(), response.getheader("Location"))
        except (http.client.HTTPException, OSError) as error:
            self.close()
            return error

    def stream(self, path: str) -> Iterator[bytes]:
        """Yields the body of an answer in blocks; does not try again: the caller knows the position.

        Raises:
            ClusterError: the answer is an error, or it was cut.
        """
        ended = False
        try:
            response = self._send("GET", path, None)
            if response.status != HTTPStatus.OK:
                answer = _admitted(self.access.address, Answer(response.status, response.read()))
                raise _busy(self.access.address, answer)
            while block := response.read1(BLOCK):
                yield block
            if response.length:  # `read1` does not report a body that is shorter than announced
                raise http.client.IncompleteRead(b"", response.length)
            response.read()  # lets the connection take the next request
            ended = True
        except (http.client.HTTPException, OSError) as error:
            raise _fault(self.access.address, error) from error
        finally:
            if not ended:
                self.close()

    def _send(self, method: str, path: str, data: bytes | None) -> http.client.HTTPResponse:
        reused = self._connection is not None
        try:
            return self._send_once(method, path, data)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self.close()
            # The server may have closed the idle connection; GET may be sent twice without harm.
            if not reused or method != "GET":
                raise
            return self._send_once(method, path, data)

    def _send_once(self, method: str, path: str, data: bytes | None) -> http.client.HTTPResponse:
        if self._connection is None:
            self._connection = _connect(self.access)
        prefix = urlsplit(self.access.address).path
        self._connection.request(method, prefix + path, data, dict(self._headers(path)))
        return self._connection.getresponse()

    def _headers(self, path: str) -> Mapping[str, str]:
        kind = "application/octet-stream" if path.startswith("/api/packages/") else "application/json"
        return {"User-Agent": USER_AGENT, "Content-Type": kind, **self.access.headers}

    def close(self) -> None:
        """Closes the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(access: Access) -> http.client.HTTPConnection:
    parts = urlsplit(access.address)
    host = parts.hostname or ""
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, parts.port, timeout=TIMEOUT, context=access.tls())
    return http.client.HTTPConnection(host, parts.port, timeout=TIMEOUT)


def _admitted(address: str, answer: Answer) -> Answer:
    if answer.status in _REFUSED and RAY_REFUSES not in answer.sentence:
        raise ClusterError(
            f"{address} answers HTTP {answer.status}, and not as a Ray dashboard does: {answer.sentence}",
            status=answer.status,
            hint="check that it is the dashboard's address; if a proxy before it asks for credentials, "
            "give --headers",
        )
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise ClusterError(
            f"the cluster at {address} requires credentials: HTTP 401",
            status=answer.status,
            hint="set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or give --headers",
        )
    if answer.status == HTTPStatus.FORBIDDEN:
        raise ClusterError(
            f"the cluster at {address} refuses the credentials: HTTP 403",
            status=answer.status,
            hint="check that RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token is for this cluster",
        )
    if answer.status in REDIRECTIONS:
        # Not followed: a token goes only to the server that was named.
        raise ClusterError(
            f"{address} redirects to {(answer.location or 'nowhere').partition('?')[0]}",
            hint="if that is the dashboard, give it as the address; if it is a login page, give --headers",
        )
    return answer


def _busy(address: str, answer: Answer) -> ClusterError:
    kind = ClusterUnreachableError if answer.status in BUSY else ClusterError
    text = f"the cluster at {address} answers HTTP {answer.status}: {answer.sentence}"
    return kind(text, status=answer.status)


_SAID: dict[type[Exception], str] = {
    http.client.IncompleteRead: "the answer was cut",
    http.client.RemoteDisconnected: "the connection was closed without an answer",
    http.client.BadStatusLine: "the answer is not HTTP",
}
"""What http.client means; the first that fits counts."""


def _fault(address: str, error: Exception) -> ClusterError:
    reason = getattr(error, "verify_message", None)
    if reason is not None:
        return ClusterError(
            f"the certificate of {address} is not valid: {reason}",
            hint="give the certificates of your authority with `--verify FILE`, in PEM",
        )
    if isinstance(error, ssl.SSLError) and not isinstance(error, BROKEN_TLS):
        # OpenSSL's name of the error, such as TLSV13_ALERT_CERTIFICATE_REQUIRED, in words.
        words = (error.reason or str(error)).replace("_", " ").lower()
        return ClusterError(
            f"cannot make a secure connection to {address}: {words}",
            hint="check that the server speaks https, and whether it requires `--client-cert`",
        )
    said = next((words for kind, words in _SAID.items() if isinstance(error, kind)), None)
    said = said or getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ClusterUnreachableError(
        f"cannot reach the cluster at {address}: {said}",
        hint="check that the address is the dashboard's, and that the cluster is up",
    )
