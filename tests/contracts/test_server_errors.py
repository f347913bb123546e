"""What a Qdrant server refuses, in our words."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from storage.errors import IndexUnavailable, NotFound, StorageFull
from storage.index.engine import (
    IndexEngine,
    Query,
)
from storage.index.server.engine import open_server
from tests.contracts.points import EVERYTHING


@asynccontextmanager
async def serve_error(status: str, reason: str) -> AsyncGenerator[IndexEngine]:
    """A server with one answer to everything."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = json.dumps({"status": {"error": reason}, "time": 0.0})
        headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}"
        writer.write(f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with open_server(f"http://127.0.0.1:{port}") as engine:
            yield engine


@pytest.mark.parametrize(
    ("status", "reason", "error", "message"),
    [
        (
            "401 Unauthorized",
            "Must provide an API key",
            IndexUnavailable,
            r"at 127.0.0.1:\d+ rejects QDRANT_API_KEY",
        ),
        (
            "403 Forbidden",
            "Forbidden",
            IndexUnavailable,
            r"at 127.0.0.1:\d+ rejects QDRANT_API_KEY",
        ),
        ("404 Not Found", "Collection `c` doesn't exist!", NotFound, "no collection 'c'"),
        ("500 Internal Server Error", "No space left on device", StorageFull, "no disk space left"),
        ("503 Service Unavailable", "starting", IndexUnavailable, "cannot be used: .*starting"),
    ],
)
async def test_what_a_server_refuses_is_put_in_our_words(
    status: str, reason: str, error: type[Exception], message: str
) -> None:
    async with serve_error(status, reason) as engine:
        with pytest.raises(error, match=message):
            await engine.count("c", EVERYTHING)


async def test_a_server_that_is_not_there_is_unavailable(unused_tcp_port: int) -> None:
    async with open_server(f"http://127.0.0.1:{unused_tcp_port}") as engine:
        with pytest.raises(
            IndexUnavailable, match=rf"at 127.0.0.1:{unused_tcp_port} \(QDRANT_URL\) cannot be used"
        ):
            await engine.search("c", Query({}, 1, [1.0]))
