"""A proxy in front of a dashboard that records requests and misbehaves on demand. Standard library only."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import random
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from tests.support.proxy_streams import PIECE, Head, Stream, pump, pump_frames

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine
    from types import TracebackType

T = TypeVar("T")

PORTS = range(23_000, 29_900)
"""Below the ports of outgoing connections: while the proxy refuses, no other process gets its port, and a
client that connects to it does not connect to itself (TCP's simultaneous open)."""
CLOSE_CODES = (1000, 1001, 1006)
"""How log websockets are closed, in turn. 1006 means without a close frame (RFC 6455)."""
LATE = 0.5
"""Seconds by which a request is late."""
CLOSE_PATIENCE = 1.0
"""Seconds for a client to answer a close frame."""
REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    412: "Precondition Failed",
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Request(NamedTuple):
    """A request as it arrived; `time` by `time.monotonic()`."""

    time: float
    method: str
    path: str


PAGE = (
    b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Sign in to the network</body></html>\n"
)
"""What a captive portal, or the wrong server, answers to everything."""


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault of some requests, which ends."""

    pattern: str
    """A regular expression that is searched in `METHOD PATH`."""
    mode: str
    """`reset` or `close` instead of the answer; `cut`: half of the body; `stall`: half of the body, and then
    nothing; `flip`: another bit in the body; `short`: half of the body, and a length that fits; `other`: the
    body of something else; `html`: status 200 and a page; `twice`: the server gets the request twice, the
    client the second answer; `late`: 503, and the server gets the request after `LATE` seconds; `silent`:
    nothing; else the status of the proxy's own answer."""
    times: float = math.inf
    """Requests that it strikes."""
    seconds: float = math.inf
    """From the first of them."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How a proxy misbehaves. A pattern is a regular expression that is searched in `METHOD PATH`."""

    tail_seconds: float | None = None
    """Seconds until a websocket on `/logs/tail` is closed with the next of `CLOSE_CODES`."""
    websocket_status: int | None = None
    """The HTTP status with which the proxy refuses every websocket."""
    unavailable: tuple[str, int] | None = None
    """A pattern, and the number of matching requests that get 503 and do not reach the server."""
    reset: tuple[str, int] | None = None
    """A pattern, and the number of matching requests whose answer is replaced by a reset."""
    not_found: tuple[str, ...] = ()
    """Prefixes of paths that are not routed."""
    strikes: tuple[Strike, ...] = ()
    exchange: tuple[str, str] | None = None
    """The `Authorization` that the proxy requires, and the one that the server gets instead."""
    rewrite: Callable[[Head], bytes] | None = None
    """Returns the head that the server gets instead of the client's."""


class _Countdown:
    """A fault that affects a number of requests."""

    def __init__(self, fault: tuple[str, int] | None) -> None:
        self._pattern, self._left = fault or ("", 0)

    def takes(self, request: Head) -> bool:
        if self._left == 0 or not re.search(self._pattern, " ".join(request.words)):
            return False
        self._left -= 1
        return True


class _Struck:
    """A strike, and what is left of it."""

    def __init__(self, strike: Strike) -> None:
        self.strike = strike
        self._left, self._end = strike.times, math.inf

    def takes(self, request: Head) -> bool:
        now = time.monotonic()
        if not re.search(self.strike.pattern, " ".join(request.words)) or self._left <= 0 or now > self._end:
            return False
        self._left, self._end = self._left - 1, min(self._end, now + self.strike.seconds)
        return True


class Proxy:
    """Forwards HTTP/1.1 and websockets to `target` in its own thread; a context manager."""

    def __init__(
        self,
        target: str,
        faults: Faults | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """Does not listen yet. `tls` is a server's context and may ask for client certificates."""
        parts = urlsplit(target)
        self._target = (parts.hostname, parts.port)
        self._faults = faults or Faults()
        self._tls = tls
        self._host = host
        self._unavailable = _Countdown(self._faults.unavailable)
        self._reset = _Countdown(self._faults.reset)
        self._strikes = [_Struck(each) for each in self._faults.strikes]
        self._codes = itertools.cycle(CLOSE_CODES)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy")
        self._server: asyncio.Server | None = None
        self._streams: set[Stream] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.sent = self.received = 0
        """Bytes of the bodies of requests, and of answers."""
        self.late: list[str] = []
        """The statuses with which the server answered late requests."""
        self.requests: list[Request] = []
        self.headers: list[dict[str, str]] = []
        """Headers of the requests, in order; names in lower case."""
        self.peers: list[str] = []
        """The clients' addresses of the requests, in order."""
        self.closed: list[int] = []
        """The codes with which log websockets were closed so far."""

    @property
    def address(self) -> str:
        """The URL of the proxy."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    def __enter__(self) -> Proxy:  # noqa: PYI034 - typing.Self is younger than Python 3.10
        self._thread.start()
        self._call(self._listen_somewhere())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def refuse(self, seconds: float) -> None:
        """Cuts all connections and stops listening before it returns; listens again after `seconds`."""

        async def refuse() -> None:
            await self._hang_up()
            self._spawn(self._listen_again(seconds))

        self._call(refuse())

    # Listening

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _listen_somewhere(self) -> None:
        for self.port in random.Random().sample(PORTS, len(PORTS)):  # noqa: S311 - pytest-randomly seeds the other
            with contextlib.suppress(OSError):
                await self._listen()
                return
        raise OSError(f"no free port in {PORTS}")

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(
            self._accept, self._host, self.port, ssl=self._tls, limit=PIECE
        )

    async def _listen_again(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self._listen()

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        streams = list(self._streams)
        for stream in streams:
            stream.cut(reset=True)
        for stream in streams:
            await stream.wait_closed()

    async def _end(self) -> None:
        await self._hang_up()
        for task in (tasks := list(self._tasks)):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._hang_up()  # what a task opened meanwhile

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._spawn(self._serve(Stream(reader, writer)))

    # One connection

    async def _serve(self, client: Stream) -> None:
        if self._server is None:  # its handshake outlived the listening socket
            client.cut(reset=True)
            return
        async with self._held(client):
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._converse(client)

    async def _converse(self, client: Stream) -> None:
        while (request := await client.read_head()) is not None:
            self.requests.append(Request(time.monotonic(), *request.words))
            self.peers.append(client.peer)
            self.headers.append(request.headers)
            if not await self._answer(request, client):
                return

    @contextlib.asynccontextmanager
    async def _held(self, stream: Stream) -> AsyncIterator[None]:
        """Makes a connection cuttable until it is closed."""
        self._streams.add(stream)
        try:
            yield
        finally:
            stream.close()
            await stream.wait_closed()
            self._streams.discard(stream)

    async def _answer(self, request: Head, client: Stream) -> bool:
        """Answers one request; returns whether the connection can take another."""
        mode = next((each.strike.mode for each in self._strikes if each.takes(request)), None)
        if mode is not None:
            return await self._strike(mode, request, client)
        status = self._own_status(request)
        if status is None:
            return await self._forward(request, client)
        async for _ in client.read_body(request):
            pass
        return await _refuse(client, status)

    async def _strike(self, mode: str, request: Head, client: Stream) -> bool:
        body = b"".join([piece async for piece in client.read_body(request)])
        if mode in {"cut", "stall", "flip", "short", "other"}:
            return await self._spoil(mode, request, body, client)
        if mode in {"twice", "late"}:
            return await self._repeat(mode, request, body, client)
        if mode == "html":
            await client.write(
                _head(200, "text/html", len(PAGE)) + (b"" if request.words[0] == "HEAD" else PAGE)
            )
            return True
        if mode.isdecimal():
            return await _refuse(client, int(mode))
        if mode == "silent":
            await asyncio.sleep(3600)
        client.cut(reset=mode == "reset")
        return False

    async def _spoil(self, mode: str, request: Head, body: bytes, client: Stream) -> bool:
        """Passes on an answer whose body is cut, or has another bit."""
        upstream = Stream(*await asyncio.open_connection(*self._target, limit=PIECE))
        async with self._held(upstream):
            await upstream.write(request.raw + body)
            answer = await upstream.read_head()
            if answer is None:
                return await _refuse(client, 502)
            if request.words[0] == "HEAD" or answer.headers.get("content-length") == "0":
                await client.write(answer.raw)  # there is nothing to spoil
                return True
            whole = b"".join([piece async for piece in upstream.read_body(answer)])
            half = len(whole) // 2
            if mode in {"short", "other"}:
                await client.write(
                    _resized(answer, spoiled := whole[:half] if mode == "short" else b"{}") + spoiled
                )
                return True
            if mode == "flip":
                await client.write(answer.raw + whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :])
                return True
            await client.write(answer.raw + whole[:half])
            if mode == "stall":
                await asyncio.sleep(3600)
            client.close()
            return False

    async def _repeat(self, mode: str, request: Head, body: bytes, client: Stream) -> bool:
        """Lets a request arrive twice, or after its client has given it up."""
        if mode == "late":
            self._spawn(self._send_late(request, body))
            return await _refuse(client, 503)
        await self._ask(request, body)
        head, answer = await self._ask(request, body)
        await client.write(head.raw + answer)
        return True

    async def _send_late(self, request: Head, body: bytes) -> None:
        await asyncio.sleep(LATE)
        self.late.append((await self._ask(request, body))[0].words[1])

    async def _ask(self, request: Head, body: bytes) -> tuple[Head, bytes]:
        """Returns the server's answer to a request."""
        upstream = Stream(*await asyncio.open_connection(*self._target, limit=PIECE))
        async with self._held(upstream):
            await upstream.write(request.raw + body)
            answer = await upstream.read_head()
            if answer is None:
                raise ConnectionError
            return answer, b"".join([piece async for piece in upstream.read_body(answer)])

    def _own_status(self, request: Head) -> int | None:
        """Returns a status that the proxy itself answers with, without asking the server."""
        if self._faults.exchange and request.headers.get("authorization") != self._faults.exchange[0]:
            return 401
        if request.words[1].startswith(self._faults.not_found):
            return 404
        if request.upgrades and self._faults.websocket_status is not None:
            return self._faults.websocket_status
        return 503 if self._unavailable.takes(request) else None

    async def _forward(self, request: Head, client: Stream) -> bool:
        try:
            upstream = Stream(*await asyncio.open_connection(*self._target, limit=PIECE))
        except OSError:
            return await _refuse(client, 502)
        async with self._held(upstream):
            await upstream.write(self._exchanged(request))
            async for piece in client.read_body(request):
                self.sent += len(piece)
                await upstream.write(piece)
            answer = await upstream.read_head()
            if answer is None:
                return await _refuse(client, 502)
            if self._reset.takes(request):
                client.cut(reset=True)
                return False
            await client.write(answer.raw)
            if answer.words[1] == "101":
                await self._tunnel(request, client, upstream)
                return False
            return await self._relay_body(request, answer, upstream, client)

    async def _relay_body(self, request: Head, answer: Head, upstream: Stream, client: Stream) -> bool:
        """Passes on the body of an answer; returns whether the connection can take another request."""
        if request.words[0] == "HEAD" or answer.words[1] in {"204", "304"}:
            return True
        pieces = upstream.read_body(answer) if answer.has_end else upstream.read()
        try:
            async for piece in pieces:
                self.received += len(piece)
                await client.write(piece)
        except ConnectionError:
            client.cut(reset=True)
            raise
        return answer.has_end and "close" not in answer.headers.get("connection", "").lower()

    def _exchanged(self, request: Head) -> bytes:
        raw = self._faults.rewrite(request) if self._faults.rewrite else request.raw
        asked, given = self._faults.exchange or ("", "")
        return raw.replace(asked.encode(), given.encode()) if asked else raw

    async def _tunnel(self, request: Head, client: Stream, upstream: Stream) -> None:
        """Passes frames both ways until one end hangs up or the time of a log websocket is over."""
        up = asyncio.ensure_future(pump(client, upstream))
        is_tail = request.words[1].partition("?")[0].endswith("/logs/tail")
        seconds = self._faults.tail_seconds if is_tail else None
        passing = pump(upstream, client) if seconds is None else pump_frames(upstream, client, seconds)
        down = asyncio.ensure_future(passing)
        await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
        expired = down.done() and down.result()
        for task in (up, down):
            task.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        if expired:
            await self._close_tail(client)

    async def _close_tail(self, client: Stream) -> None:
        code = next(self._codes)
        self.closed.append(code)
        if code == 1006:
            client.cut(reset=False)
            return
        await client.write(b"\x88\x02" + code.to_bytes(2, "big"))
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(client.reader.read(PIECE), CLOSE_PATIENCE)


def _resized(answer: Head, body: bytes) -> bytes:
    """Returns the head of an answer with the length of another body."""
    length = f"content-length: {len(body)}".encode()
    raw = re.sub(rb"(?im)^content-length:[^\r\n]*", length, answer.raw)
    return re.sub(rb"(?im)^transfer-encoding:[^\r\n]*", length, raw)


def _head(status: int, kind: str, size: int) -> bytes:
    reason = REASONS.get(status, "OK")
    return f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n".encode()


async def _refuse(client: Stream, status: int) -> bool:
    text = f"{REASONS[status]}, says the proxy\n"
    await client.write(_head(status, "text/plain", len(text)) + text.encode())
    return True
