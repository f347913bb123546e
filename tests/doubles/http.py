"""An HTTP/1.1 server on bare sockets: it can misbehave as no framework can, for example cut off a chunk."""

import asyncio
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

JSON = dict[str, Any]
ResponseEnding = Literal["open", "whole", "left", "cut"]


@dataclass
class RecordedRequest:
    """A request and how its response ended: `left` if the client disconnected, `cut` if the server did."""

    method: str
    path: str
    key: str
    body: JSON
    headers: dict[str, str]
    status: int = 0
    ended: ResponseEnding = "open"
    pieces: int = 0
    """Number of chunks that were streamed."""
    connection: int = 0
    """Number of the connection; requests with the same number came on one kept-alive connection."""
    started: float = field(default_factory=time.monotonic)
    finished: float = 0.0

    @property
    def model(self) -> str:
        """The requested model, or an empty string."""
        return str(self.body.get("model", ""))


class ClientLeft(Exception):
    """Raised when the client closes the connection before the end of the response."""


class Exchange:
    """One request on a connection, with methods for correct and faulty responses."""

    def __init__(
        self, seen: RecordedRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.request = seen
        self._reader = reader
        self._writer = writer
        self._streaming = False
        self.keeps_alive = True

    @property
    def body(self) -> JSON:
        """The JSON body of the request."""
        return self.request.body

    async def answer(self, status: int, body: JSON, headers: dict[str, str] | None = None) -> None:
        """Send a complete JSON document."""
        await self.answer_bytes(status, json.dumps(body).encode(), headers)

    async def answer_bytes(
        self, status: int, data: bytes, headers: dict[str, str] | None = None
    ) -> None:
        """Send a complete response of bytes, which need not be JSON."""
        length = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        self._head(status, length | (headers or {}))
        await self._write(data)
        self.request.ended = "whole"

    async def begin(self, headers: dict[str, str] | None = None) -> None:
        """Send the head of a stream of server-sent events."""
        kinds = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        self._head(200, kinds | (headers or {}))
        self._streaming = True

    async def send(self, data: bytes, segment: int | None = None) -> None:
        """Send one chunk, in segments of `segment` bytes if given, so that it arrives in pieces."""
        framed = b"%x\r\n%b\r\n" % (len(data), data)
        step = segment or len(framed)
        for start in range(0, len(framed), step):
            await self._write(framed[start : start + step])
            if segment:
                await asyncio.sleep(0.001)
        self.request.pieces += 1

    async def end(self) -> None:
        """Send the last chunk of the stream."""
        await self._write(b"0\r\n\r\n")
        self.request.ended = "whole"

    async def pause(self, seconds: float) -> None:
        """Wait; raise `ClientLeft` as soon as the client disconnects."""
        try:
            async with asyncio.timeout(seconds):
                if await self._reader.read(1) == b"":
                    raise ClientLeft
        except TimeoutError:
            return

    def reset(self) -> None:
        """Abort the connection by RST; bytes in transit may be lost."""
        self._disable_linger()
        self._writer.transport.abort()
        self.request.ended, self.keeps_alive = "cut", False

    async def break_off(self, unfinished: bytes) -> None:
        """Announce a chunk, send only a part of it, and close the connection."""
        await self._write(b"%x\r\n%b" % (len(unfinished) + 40, unfinished))
        self.request.ended, self.keeps_alive = "cut", False

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.request.status = status
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    async def _write(self, data: bytes) -> None:
        if self._reader.at_eof() or self._writer.transport.is_closing():
            raise ClientLeft
        self._writer.write(data)
        await self._writer.drain()

    def _disable_linger(self) -> None:
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


ExchangeHandler = Callable[[Exchange], Awaitable[None]]


class DoubleServer:
    """A server on a loopback port; `log` holds every request in order."""

    def __init__(
        self, handler: ExchangeHandler, on_request: Callable[[RecordedRequest], None] | None = None
    ) -> None:
        self.log: list[RecordedRequest] = []
        self._handler = handler
        self._on_request = on_request
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Start to listen and return the port."""
        self._server = await asyncio.start_server(self._on_connect, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and close all connections."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _on_connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (seen := await _read_request(reader)) is not None:
                seen.connection = number
                self.log.append(seen)
                if not await self._handle(Exchange(seen, reader, writer)):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # either side has disconnected
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _handle(self, exchange: Exchange) -> bool:
        """Answer a request; return whether the connection can take another one."""
        seen = exchange.request
        try:
            await self._handler(exchange)
        except (ClientLeft, ConnectionError):
            seen.ended, exchange.keeps_alive = "left", False
        finally:
            seen.finished = time.monotonic()
            if seen.ended == "open":
                seen.ended, exchange.keeps_alive = "cut", False
            if self._on_request:
                self._on_request(seen)
        return exchange.keeps_alive


async def _read_request(reader: asyncio.StreamReader) -> RecordedRequest | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    key = headers.get("authorization", "").removeprefix("Bearer ").strip()
    return RecordedRequest(
        method, path.partition("?")[0], key, json.loads(data) if data else {}, headers
    )
