"""The proxy of the tests forwards what it should and misbehaves as it is told: shown on a real server."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import websocket
from aiohttp import web

from tests.support.certificates import make_certificates
from tests.support.proxy import Faults, Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PIECES = 200
PIECE = bytes(range(256)) * 256
"""64 KiB; all of them are more than sockets hold."""


class Origin:
    """A small dashboard: bodies, a log as a websocket that ends only with its client, and jobs."""

    def __init__(self) -> None:
        self.address = ""
        self.jobs: list[Any] = []
        self.authorization: list[str | None] = []
        self._submitted = asyncio.Event()

    def application(self) -> web.Application:
        application = web.Application(client_max_size=2 * PIECES * len(PIECE))
        application.router.add_get("/chunked", self._chunked)
        application.router.add_put("/back", self._back)
        application.router.add_get("/until-a-job", self._until_a_job)
        application.router.add_get("/logs/tail", self._tail)
        application.router.add_get("/echo", self._echo)
        application.router.add_post("/api/jobs/", self._submit)
        return application

    async def _submit(self, request: web.Request) -> web.Response:
        self.jobs.append(await request.json())
        self.authorization.append(request.headers.get("Authorization"))
        self._submitted.set()
        return web.json_response({"count": len(self.jobs)})

    @staticmethod
    async def _chunked(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        for _ in range(PIECES):
            await answer.write(PIECE)
        return answer

    @staticmethod
    async def _back(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def _until_a_job(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        await answer.write(b"begin")
        await self._submitted.wait()
        await answer.write(b"end")
        return answer

    @staticmethod
    async def _tail(request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse()
        await stream.prepare(request)
        number = 0
        with suppress(ConnectionError):
            while not stream.closed:
                await stream.send_str(f"line {number} " + "x" * (number * 9_973 % 70_000))
                number += 1
                await asyncio.sleep(0.001)
        return stream

    @staticmethod
    async def _echo(request: web.Request) -> web.WebSocketResponse:
        stream = web.WebSocketResponse(max_msg_size=0)
        await stream.prepare(request)
        async for message in stream:
            await stream.send_bytes(message.data)
        return stream


@pytest.fixture
def origin() -> Iterator[Origin]:
    origin = Origin()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        runner = asyncio.run_coroutine_threadsafe(serve(origin), loop).result()
        yield origin
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def serve(origin: Origin) -> web.AppRunner:
    runner = web.AppRunner(origin.application(), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    origin.address = f"http://{host}:{port}"
    return runner


@contextmanager
def connected(proxy: Proxy) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)) as connection:
        yield connection


def ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body)
    known = {"Content-Type": "application/json", "X-Canary": "seen"}
    connection.request(method, path, data, known | headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def open_websocket(proxy: Proxy, path: str, **options: Any) -> websocket.WebSocket:
    address = proxy.address.replace("http", "ws", 1)
    return websocket.create_connection(f"{address}{path}", timeout=10, suppress_origin=True, **options)


def end_of(stream: websocket.WebSocket) -> int:
    """Reads to the end and returns its close code as a browser does: 1006 where no close frame came."""
    try:
        while True:
            kind, data = stream.recv_data()
            if kind == websocket.ABNF.OPCODE_CLOSE:
                return int.from_bytes(data[:2], "big")
            assert data.startswith(b"line ")
    except websocket.WebSocketConnectionClosedException:
        return 1006
    finally:
        stream.shutdown()  # `close` keeps the socket where the server closed first


def test_a_large_chunked_body_and_the_next_request_pass_over_one_connection(origin: Origin) -> None:
    with Proxy(origin.address) as proxy, connected(proxy) as connection:
        large = ask(connection, "GET", "/chunked")
        kept = connection.sock
        small = ask(connection, "POST", "/api/jobs/", {"entrypoint": "x"})

        assert large == (200, PIECE * PIECES)
        assert small == (200, b'{"count": 1}')
        assert connection.sock is kept
    assert [request[1:] for request in proxy.requests] == [("GET", "/chunked"), ("POST", "/api/jobs/")]
    assert [headers["x-canary"] for headers in proxy.headers] == ["seen", "seen"]
    assert proxy.requests[0].time <= proxy.requests[1].time <= time.monotonic()


def test_a_large_body_with_its_length_passes_both_ways(origin: Origin) -> None:
    with Proxy(origin.address) as proxy, connected(proxy) as connection:
        connection.request("PUT", "/back", PIECE * PIECES)

        assert connection.getresponse().read() == PIECE * PIECES


def test_a_body_is_passed_on_before_the_server_has_ended_it(origin: Origin) -> None:
    with Proxy(origin.address) as proxy, connected(proxy) as connection, connected(proxy) as other:
        connection.request("GET", "/until-a-job")
        answer = connection.getresponse()

        assert answer.read(5) == b"begin"
        ask(other, "POST", "/api/jobs/", {})
        assert answer.read() == b"end"


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536, 3_000_000])
def test_frames_of_all_sizes_pass_both_ways(origin: Origin, size: int) -> None:
    message = bytes(number % 251 for number in range(size))
    with Proxy(origin.address, Faults(tail_seconds=0.01)) as proxy:
        with closing(open_websocket(proxy, "/echo")) as stream:
            stream.send_binary(message)

            assert stream.recv() == message
        assert proxy.closed == []


def test_log_websockets_are_closed_with_each_code_in_turn(origin: Origin) -> None:
    with Proxy(origin.address, Faults(tail_seconds=0.1)) as proxy:
        codes = [end_of(open_websocket(proxy, "/logs/tail")) for _ in range(4)]

    assert codes == [1000, 1001, 1006, 1000]
    assert proxy.closed == codes


@pytest.mark.parametrize("status", [403, 502])
def test_websockets_are_refused_and_requests_are_not(origin: Origin, status: int) -> None:
    with Proxy(origin.address, Faults(websocket_status=status)) as proxy:
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            open_websocket(proxy, "/logs/tail")
        with connected(proxy) as connection:
            answer = ask(connection, "POST", "/api/jobs/", {})

    assert refused.value.status_code == status
    assert answer[0] == 200


@pytest.mark.slow
def test_the_proxy_refuses_cuts_and_comes_back_at_the_same_port(origin: Origin) -> None:
    with Proxy(origin.address) as proxy, connected(proxy) as kept:
        assert ask(kept, "POST", "/api/jobs/", {})[0] == 200
        stream = open_websocket(proxy, "/logs/tail")
        proxy.refuse(1.0)

        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port))
        with pytest.raises(ConnectionError):
            ask(kept, "POST", "/api/jobs/", {})
        with pytest.raises(ConnectionResetError):
            end_of(stream)
        kept.close()
        wait_until_listening(proxy)
        assert ask(kept, "POST", "/api/jobs/", {})[0] == 200


def wait_until_listening(proxy: Proxy) -> None:
    with socket.socket() as probe:
        while probe.connect_ex(("127.0.0.1", proxy.port)) != 0:
            time.sleep(0.05)


def test_a_reset_strikes_after_the_request_has_reached_the_server(origin: Origin) -> None:
    with Proxy(origin.address, Faults(reset=("^POST /api/jobs/$", 1))) as proxy:
        with connected(proxy) as connection, pytest.raises(ConnectionResetError):
            ask(connection, "POST", "/api/jobs/", {"submission_id": "first"})
        with connected(proxy) as connection:
            second = ask(connection, "POST", "/api/jobs/", {"submission_id": "second"})

    assert second == (200, b'{"count": 2}')
    assert [job["submission_id"] for job in origin.jobs] == ["first", "second"]


def test_503_is_answered_a_number_of_times_and_unrouted_paths_always(origin: Origin) -> None:
    faults = Faults(unavailable=("^POST ", 2), not_found=("/chunked",))
    with Proxy(origin.address, faults) as proxy, connected(proxy) as connection:
        posts = [ask(connection, "POST", "/api/jobs/", {"number": number})[0] for number in range(3)]
        gets = [ask(connection, "GET", "/chunked")[0] for _ in range(3)]

    assert posts == [503, 503, 200]
    assert origin.jobs == [{"number": 2}]
    assert gets == [404] * 3


def test_credentials_are_asked_for_and_exchanged(origin: Origin) -> None:
    faults = Faults(exchange=("Basic dTpw", "Bearer inner"))
    with Proxy(origin.address, faults) as proxy, connected(proxy) as connection:
        wrong = [
            ask(connection, "POST", "/api/jobs/", {})[0],
            ask(connection, "POST", "/api/jobs/", {}, Authorization="Basic eDp5")[0],
        ]
        right = ask(connection, "POST", "/api/jobs/", {}, Authorization="Basic dTpw")[0]

    assert (wrong, right) == ([401, 401], 200)
    assert origin.authorization == ["Bearer inner"]


def test_a_server_that_is_gone_is_answered_with_502() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        gone = f"http://127.0.0.1:{listener.getsockname()[1]}"

    with Proxy(gone) as proxy, connected(proxy) as connection:
        assert ask(connection, "GET", "/chunked")[0] == 502


def test_tls_carries_requests_and_log_websockets_and_asks_for_a_certificate(
    origin: Origin, tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path)
    trusting = certificates.client_context()
    known = certificates.client_context(certificates.client)
    faults = Faults(tail_seconds=0.1)
    with Proxy(origin.address, faults, tls=certificates.context(asks_client=True)) as proxy:
        host, port = urlsplit(proxy.address).hostname or "", proxy.port
        with closing(http.client.HTTPSConnection(host, port, context=known)) as connection:
            large = ask(connection, "GET", "/chunked")
        codes = [end_of(open_websocket(proxy, "/logs/tail", sslopt={"context": known})) for _ in range(2)]
        with (
            closing(http.client.HTTPSConnection(host, port, context=trusting)) as connection,
            pytest.raises(OSError, match=r"certificate required|reset|Broken pipe|closed"),
        ):
            ask(connection, "GET", "/chunked")

    assert large == (200, PIECE * PIECES)
    assert codes == [1000, 1001]
