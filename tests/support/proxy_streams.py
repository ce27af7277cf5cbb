"""HTTP/1.1 messages and WebSocket frames for the test proxy, which passes them on unchanged, in pieces."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PIECE = 1 << 16
"""Maximum bytes of a message in memory."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a request or an answer; names of headers in lower case."""

    raw: bytes
    words: tuple[str, str]
    """The first two words of its first line: method and path, or version and status."""
    headers: dict[str, str]

    @property
    def upgrades(self) -> bool:
        return self.headers.get("upgrade", "").lower() == "websocket"

    @property
    def has_end(self) -> bool:
        """Whether the body has a known end. That of a request always has."""
        return "content-length" in self.headers or "transfer-encoding" in self.headers


class Stream:
    """A connection to one end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self._writer = writer

    @property
    def peer(self) -> str:
        """The address of the other end; empty if it has already hung up."""
        address = self._writer.get_extra_info("peername")
        return address[0] if address else ""

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def read_head(self) -> Head | None:
        """Returns the next head; None if the peer has hung up."""
        try:
            raw = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return None
        first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
        pairs = (line.partition(":") for line in lines)
        one, two, *_ = *first.split(" "), ""
        return Head(raw, (one, two), {name.lower(): value.strip() for name, _, value in pairs})

    async def read_body(self, head: Head) -> AsyncIterator[bytes]:
        """Yields the rest of a message after its head, as it arrives."""
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            async for piece in self._read_chunks():
                yield piece
            return
        async for piece in self.read(int(head.headers.get("content-length", 0))):
            yield piece

    async def read(self, size: int | None = None) -> AsyncIterator[bytes]:
        """Yields `size` bytes, or everything until the end."""
        while size is None or size > 0:
            piece = await self.reader.read(PIECE if size is None else min(size, PIECE))
            if not piece:
                if size is None:
                    return
                raise ConnectionError("the peer hung up within a body")
            size = None if size is None else size - len(piece)
            yield piece

    async def _read_chunks(self) -> AsyncIterator[bytes]:
        size = -1
        while size != 0:
            line = await self.reader.readuntil(b"\r\n")
            size = int(line.partition(b";")[0], 16)
            yield line
            async for piece in self.read(size + 2 if size else 0):
                yield piece
        while line != b"\r\n":  # trailers
            line = await self.reader.readuntil(b"\r\n")
            yield line

    def close(self) -> None:
        """Hangs up after everything written has been sent."""
        self._writer.close()

    def cut(self, *, reset: bool) -> None:
        """Ends the TCP connection at once with RST or FIN, without closing TLS or WebSocket."""
        connection = self._writer.get_extra_info("socket")
        if reset and connection is not None and connection.fileno() >= 0:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def wait_closed(self) -> None:
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def pump(source: Stream, sink: Stream) -> bool:
    """Passes on all bytes until one end hangs up. Returns False, like `pump_frames`."""
    with contextlib.suppress(OSError):
        async for piece in source.read():
            await sink.write(piece)
    return False


async def pump_frames(source: Stream, sink: Stream, seconds: float) -> bool:
    """Passes on whole frames (RFC 6455, 5.2); returns whether `seconds` ended it, and not one of the ends."""
    deadline = time.monotonic() + seconds
    try:
        while (left := deadline - time.monotonic()) > 0:
            head = await _read_within(source.reader, 2, left)
            if head is not None:
                await _pass_frame(head, source, sink)
    except (OSError, asyncio.IncompleteReadError):
        return False
    return True


async def _read_within(reader: asyncio.StreamReader, size: int, seconds: float) -> bytes | None:
    try:
        return await asyncio.wait_for(reader.readexactly(size), seconds)
    except asyncio.TimeoutError:
        return None


async def _pass_frame(head: bytes, source: Stream, sink: Stream) -> None:
    kind = head[1] & 0x7F
    extended = await source.reader.readexactly({126: 2, 127: 8}.get(kind, 0))
    await sink.write(head + extended)
    size = int.from_bytes(extended, "big") if extended else kind
    async for piece in source.read(size + (4 if head[1] & 0x80 else 0)):
        await sink.write(piece)
