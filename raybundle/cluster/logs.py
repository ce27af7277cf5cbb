"""Reads a driver's log to its end: in order, each byte once, whatever fails meanwhile."""

from __future__ import annotations

import contextlib
import http
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from raybundle.cluster.connection import USER_AGENT
from raybundle.errors import ClusterError, ClusterUnreachableError, RaybundleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from websocket import WebSocket

    from raybundle.cluster.jobs import JobInfo, JobsClient

LOG_END = 1 << 16
"""Bytes of the log's end that are kept to explain a failure; Ray's message has only ten lines."""
LOOK_DELAY = 0.5
"""Seconds between two looks at a log."""
READ_RATE = 8 << 20
"""Bytes per second that repeated reads may cost the dashboard: it reads 80 MB every 10 s."""
REFUSALS = 4
"""Consecutive failures of one way to the log before the next way is used."""
SERVER_REFUSALS = 5
"""Server errors, such as HTTP 500, that count as one failure: the file may not exist yet."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.15
"""Seconds until the next look after one that found nothing, at first and later."""
LONGEST_IDLE = 16.0
"""Longest delay for a log that does not grow, as a multiple of the usual one."""
TRIES = 3
"""Tries to read the log of a job that has ended if the cluster does not answer."""
PATIENCE = 30.0
"""Seconds for each of these tries."""
FIRST_DELAY, LONGEST_DELAY = 0.2, 2.0
"""Seconds before a closed websocket is opened again; doubles while nothing new arrives."""
HELD = 1 << 20
"""Bytes in memory before those that are not in the last lines are dropped."""
OPEN_TIMEOUT = 10.0
"""Seconds in which a websocket must open."""


class LogReader:
    """One job's log: how it is read, and how much of it is written.

    The file on the driver's node is the best source: it is exact, and can be read at any time, while Ray's
    websocket looks for news once a second. If the cluster, or a proxy, does not serve the file, the websocket
    is used, and if that is refused, the log as JSON. The last two carry text, in which Ray replaces `CR LF`
    and `CR` by `LF`, and fail at bytes that are not UTF-8.
    """

    def __init__(
        self,
        client: JobsClient,
        submission_id: str,
        write: Callable[[bytes], None],
        last_lines: int | None = None,
    ) -> None:
        """Makes the reader; does not read yet.

        Args:
            client: of the cluster that runs the job.
            submission_id: of the job.
            write: receives the log in pieces.
            last_lines: number of lines to write of the log at the first look; all if None.
        """
        self._client = client
        self._id = submission_id
        self._write = write
        self._first = None if last_lines is None else _LastLines(last_lines)
        self._written = 0
        """Bytes of the log that are written: of the file, or of its text if `_as_text`."""
        self._as_text = False
        self._pairs = 0
        """Number of `CR LF` in the bytes of the file that are written."""
        self._end = bytearray()
        self._refusals = 0.0
        self._tail = _Tail(client, submission_id)
        self._due = 0.0
        self._idle = 1.0

    @property
    def end(self) -> str:
        """The last `LOG_END` bytes that were written, as text."""
        return self._end.decode("utf-8", "replace")

    def watch(self, info: JobInfo, seconds: float) -> None:
        """Writes new output for some seconds; ignores a look that fails."""
        until = time.monotonic() + seconds
        while True:
            if info.node is not None and time.monotonic() >= self._due:
                self._look(info, until)
            if (left := until - time.monotonic()) > LOOK_DELAY:
                time.sleep(LOOK_DELAY)
            else:  # the next look is after the question for the status
                time.sleep(max(0.0, left))
                return

    def finish(self, info: JobInfo) -> RaybundleError | None:
        """Writes the rest of the log of a job that has ended; returns why it is incomplete."""
        self._tail.close()
        if info.node is None:
            return None
        try:
            return self._read_to_end(info)
        finally:
            self._caught_up()

    def _read_to_end(self, info: JobInfo) -> RaybundleError | None:
        self._as_text = self._as_text and self._written > 0
        fault = self._try_file(info)
        for _ in range(TRIES):
            if not isinstance(fault, ClusterUnreachableError):
                break
            with contextlib.suppress(RaybundleError):
                self._client.info(self._id, PATIENCE)  # returns once the cluster answers
            fault = self._try_file(info)
        if fault is not None:
            try:
                self._read_whole()
            except RaybundleError:
                return fault
        return None

    def _try_file(self, info: JobInfo) -> RaybundleError | None:
        """Writes new output of the file; returns why it is incomplete."""
        try:
            self._read_file(info)
        except RaybundleError as error:
            return error
        return None

    def _look(self, info: JobInfo, until: float) -> None:
        """Takes one look in the way that works; `finish` completes a log."""
        before = self._written
        try:
            if self._refusals < REFUSALS:
                self._read_file(info)
            elif self._tail.refusals < REFUSALS:
                self._read_tail(until)
                return
            else:
                self._read_whole()
            self._caught_up()
        except RaybundleError as error:
            # A file that was readable stays the source: the others would change its bytes.
            if not self._written:
                self._refusals += _weight(error)
            self._due = time.monotonic() + FIRST_DELAY
        else:
            if self._refusals < REFUSALS:
                self._refusals = 0.0
            self._wait_longer(before)

    def _wait_longer(self, before: int) -> None:
        """Sets when the next look is due: later for a large log, and for a log that has not grown."""
        grown = self._written > before
        self._idle = 1.0 if grown else min(LONGEST_IDLE, self._idle * 1.5)
        shortest = 0.0 if grown else min(LONGEST_PAUSE, SHORTEST_PAUSE * self._idle)
        self._due = time.monotonic() + max(shortest, self._written / READ_RATE * self._idle)

    def _read_file(self, info: JobInfo) -> None:
        pieces = self._client.log_bytes(info)
        self._add_from_start(_as_text(pieces) if self._as_text else pieces)

    def _read_tail(self, until: float) -> None:
        self._as_text = True
        for position, piece in self._tail.read(until):
            self._add(position, piece)
        self._caught_up()

    def _read_whole(self) -> None:
        if not self._as_text:
            self._as_text, self._written = True, self._written - self._pairs
        self._add_from_start([self._client.logs(self._id).encode("utf-8", "surrogatepass")])

    def _caught_up(self) -> None:
        """Writes the last lines of the log at the first look, if only those were requested."""
        if self._first is not None:
            first, self._first = self._first, None
            self._write(first.lines())

    def _add_from_start(self, pieces: Iterable[bytes]) -> None:
        position = 0
        for piece in pieces:
            self._add(position, piece)
            position += len(piece)
        if position < self._written:
            raise ClusterError(f"the log of {self._id} is shorter than it was")

    def _add(self, position: int, piece: bytes) -> None:
        """Writes the new part of a piece of the log that begins at `position`."""
        new = piece[max(0, self._written - position) :]
        if new:
            if self._first is None:
                self._write(new)
            else:
                self._first.add(new)
            self._pairs += new.count(b"\r\n") + (self._end[-1:] == b"\r" and new[:1] == b"\n")
            self._written += len(new)
            self._end += new[-LOG_END:]
            del self._end[:-LOG_END]


class _LastLines:
    """Keeps the last lines of what is added, and little more."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._held = bytearray()
        self._trim_at = HELD

    def add(self, piece: bytes) -> None:
        self._held += piece
        if len(self._held) > self._trim_at:
            self._held = bytearray(self.lines())
            self._trim_at = max(HELD, 2 * len(self._held))

    def lines(self) -> bytes:
        """Returns the last lines; an unfinished line counts."""
        end = len(self._held) - self._held.endswith(b"\n")
        for _ in range(self._count):
            end = self._held.rfind(b"\n", 0, end)
            if end < 0:
                return bytes(self._held)
        return bytes(self._held[end + 1 :]) if self._count else b""


class _Tail:
    """Ray's websocket of a log, reopened after it closes; it always sends the log from the start."""

    def __init__(self, client: JobsClient, submission_id: str) -> None:
        self._client = client
        self._id = submission_id
        self._stream: WebSocket | None = None
        self._position = 0
        self._delay = FIRST_DELAY
        self._due = 0.0
        self.refusals = 0
        """Consecutive refusals."""

    def read(self, until: float) -> Iterator[tuple[int, bytes]]:
        """Yields what arrives before `until` (`time.monotonic()`), each piece with its position."""
        import websocket  # noqa: PLC0415 - 30 ms that only this way pays

        if self._stream is None and time.monotonic() >= self._due:
            self._open()
        while self._stream is not None and (left := until - time.monotonic()) > 0:
            try:
                self._stream.settimeout(left)
                code, piece = self._stream.recv_data()
            except websocket.WebSocketTimeoutException:
                return
            except (OSError, websocket.WebSocketException):
                self.close()
                return
            if code == websocket.ABNF.OPCODE_CLOSE:
                self.close()
                return
            yield self._position, piece
            self._position += len(piece)
            self._delay = FIRST_DELAY

    def _open(self) -> None:
        import websocket  # noqa: PLC0415 - as above

        access = self._client.access
        parts = urlsplit(access.address)
        scheme = "wss" if parts.scheme == "https" else "ws"
        headers = {"User-Agent": USER_AGENT, **access.headers}
        self._due = time.monotonic() + self._delay
        self._delay = min(LONGEST_DELAY, self._delay * 2)
        try:
            stream = websocket.create_connection(
                f"{scheme}://{parts.netloc}{parts.path}/api/jobs/{quote(self._id, safe='')}/logs/tail",
                timeout=OPEN_TIMEOUT,
                suppress_origin=True,
                skip_utf8_validation=True,
                redirect_limit=0,  # a token goes only to the server that was named
                header=[f"{name}: {value}" for name, value in headers.items()],
                sslopt={"context": access.tls()} if scheme == "wss" else None,
                http_no_proxy=["*"],
            )
        except (OSError, ValueError, websocket.WebSocketException):
            self.refusals += 1
            return
        if stream.getstatus() == http.HTTPStatus.SWITCHING_PROTOCOLS:
            self._stream, self._position, self.refusals = stream, 0, 0
        else:
            stream.shutdown()
            self.refusals += 1

    def close(self) -> None:
        """Closes the websocket; the next look opens a new one."""
        if self._stream is not None:
            self._stream.shutdown()
            self._stream = None


def _weight(error: RaybundleError) -> float:
    """Returns the share of a failure that an error counts; an unreachable server counts nothing."""
    if isinstance(error, ClusterUnreachableError):
        return 0.0
    status = getattr(error, "status", None)
    return (
        1.0 / SERVER_REFUSALS
        if status is not None and status >= http.HTTPStatus.INTERNAL_SERVER_ERROR
        else 1.0
    )


def _as_text(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yields bytes of a file with the line ends of Ray's text."""
    held = b""
    for piece in pieces:
        joined = held + piece
        held = b"\r" if joined.endswith(b"\r") else b""
        yield joined[: len(joined) - len(held)].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if held:
        yield b"\n"
