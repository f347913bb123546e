"""HTTP/1.1 on bare sockets: what no framework will do, a stand-in must, such as break off in mid-chunk."""

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
Ending = Literal["open", "whole", "left", "cut"]


@dataclass
class Seen:
    """A request and how its answer ended: `left` when the client hung up, `cut` when we did."""

    method: str
    path: str
    key: str
    body: JSON
    headers: dict[str, str]
    status: int = 0
    ended: Ending = "open"
    pieces: int = 0
    """Chunks that were streamed."""
    connection: int = 0
    """Which connection it came on: the same number means that it was kept alive."""
    started: float = field(default_factory=time.monotonic)
    finished: float = 0.0

    @property
    def model(self) -> str:
        """The model that was asked for, if any."""
        return str(self.body.get("model", ""))


class ClientLeft(Exception):
    """The client closed the connection while it was being answered."""


class Exchange:
    """One request on a connection, and all the ways to answer it, well or badly."""

    def __init__(
        self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.seen = seen
        self._reader = reader
        self._writer = writer
        self._streaming = False
        self.keeps_alive = True

    @property
    def body(self) -> JSON:
        """What was sent, as JSON."""
        return self.seen.body

    async def answer(self, status: int, body: JSON, headers: dict[str, str] | None = None) -> None:
        """A whole JSON document."""
        await self.answer_bytes(status, json.dumps(body).encode(), headers)

    async def answer_bytes(
        self, status: int, data: bytes, headers: dict[str, str] | None = None
    ) -> None:
        """The same of bytes, which need not be JSON."""
        length = {"Content-Type": "application/json", "Content-Length": str(len(data))}
        self._head(status, length | (headers or {}))
        await self._write(data)
        self.seen.ended = "whole"

    async def begin(self, headers: dict[str, str] | None = None) -> None:
        """The head of a stream of server-sent events."""
        kinds = {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
        self._head(200, kinds | (headers or {}))
        self._streaming = True

    async def send(self, data: bytes, segment: int | None = None) -> None:
        """One chunk; in segments of so many bytes when it is to arrive in pieces."""
        framed = b"%x\r\n%b\r\n" % (len(data), data)
        step = segment or len(framed)
        for start in range(0, len(framed), step):
            await self._write(framed[start : start + step])
            if segment:
                await asyncio.sleep(0.001)
        self.seen.pieces += 1

    async def end(self) -> None:
        """The stream's last chunk."""
        await self._write(b"0\r\n\r\n")
        self.seen.ended = "whole"

    async def pause(self, seconds: float) -> None:
        """Waits; raises `ClientLeft` as soon as the client has hung up."""
        try:
            async with asyncio.timeout(seconds):
                if await self._reader.read(1) == b"":
                    raise ClientLeft
        except TimeoutError:
            return

    def reset(self) -> None:
        """The connection is torn down, by RST: bytes on their way may be lost."""
        self._linger_not()
        self._writer.transport.abort()
        self.seen.ended, self.keeps_alive = "cut", False

    async def break_off(self, unfinished: bytes) -> None:
        """Promises a chunk, sends a part of it, and closes."""
        await self._write(b"%x\r\n%b" % (len(unfinished) + 40, unfinished))
        self.seen.ended, self.keeps_alive = "cut", False

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.seen.status = status
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode())

    async def _write(self, data: bytes) -> None:
        if self._reader.at_eof() or self._writer.transport.is_closing():
            raise ClientLeft
        self._writer.write(data)
        await self._writer.drain()

    def _linger_not(self) -> None:
        raw: socket.socket = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Handler = Callable[[Exchange], Awaitable[None]]


class Server:
    """Listens on a loopback port; `log` has every request, in order."""

    def __init__(self, handler: Handler, told: Callable[[Seen], None] | None = None) -> None:
        self.log: list[Seen] = []
        self._handler = handler
        self._told = told
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int = 0) -> int:
        """Returns the port."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Hangs up on everyone."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while (seen := await _request(reader)) is not None:
                seen.connection = number
                self.log.append(seen)
                if not await self._answered(Exchange(seen, reader, writer)):
                    break
        except (ConnectionError, asyncio.CancelledError):
            pass  # hung up, by either side
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answered(self, exchange: Exchange) -> bool:
        """Whether the connection may take another request."""
        seen = exchange.seen
        try:
            await self._handler(exchange)
        except (ClientLeft, ConnectionError):
            seen.ended, exchange.keeps_alive = "left", False
        finally:
            seen.finished = time.monotonic()
            if seen.ended == "open":
                seen.ended, exchange.keeps_alive = "cut", False
            if self._told:
                self._told(seen)
        return exchange.keeps_alive


async def _request(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (s.partition(":") for s in lines)}
    data = await reader.readexactly(int(headers.get("content-length", 0)))
    key = headers.get("authorization", "").removeprefix("Bearer ").strip()
    return Seen(method, path.partition("?")[0], key, json.loads(data) if data else {}, headers)
