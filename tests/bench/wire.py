"""A minimal HTTP/1.1 client: a client library would use more CPU time than the server."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit


class HttpConnection:
    """A kept-alive connection; calls open it on first use and reopen it if the server has closed it.

    Calls raise `OSError` or `EOFError`, and `ValueError` if the status is not 2xx.
    """

    def __init__(self, base: str, token: str) -> None:
        address = urlsplit(base)
        self._host, self._port = address.hostname, address.port
        self._who = f"host: {address.netloc}\r\nauthorization: Bearer {token}\r\n"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, path: str) -> bytes:
        """Return the whole body of a GET request."""
        return b"".join([piece async for piece in self._pieces(f"GET {path}", "")])

    async def events(self, path: str, body: dict[str, object]) -> AsyncGenerator[bytes]:
        """Send a POST request and yield its server-sent events, each with all its lines."""
        rest = b""
        async with aclosing(self._pieces(f"POST {path}", json.dumps(body))) as pieces:
            async for piece in pieces:
                *whole, rest = (rest + piece).replace(b"\r\n", b"\n").split(b"\n\n")
                for event in whole:
                    yield event

    def close(self) -> None:
        """Close the connection; required after a failed call, which may leave unread data."""
        if self._streams:
            self._streams[1].close()
            self._streams = None

    async def _pieces(self, what: str, body: str) -> AsyncGenerator[bytes]:
        reader, writer = await self._open()
        kinds = "accept: text/event-stream\r\ncontent-type: application/json\r\n" if body else ""
        length = f"content-length: {len(body)}\r\n\r\n"
        writer.write(f"{what} HTTP/1.1\r\n{self._who}{kinds}{length}{body}".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        _, known, rest = head.partition(b"content-length: ")
        if known:
            yield await reader.readexactly(int(rest.partition(b"\r")[0]))
        else:
            while size := int(await reader.readline(), 16):
                yield (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        if not head.startswith(b"http/1.1 2"):
            raise ValueError(head.partition(b"\r")[0].decode())

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None or self._streams[0].at_eof():
            self.close()
            self._streams = await asyncio.open_connection(self._host, self._port)
        return self._streams
