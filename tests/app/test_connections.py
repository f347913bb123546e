"""Connections to hosted models, as their services meet them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from app.connections import open_pool

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def service(serve: Serve) -> AsyncIterator[str]:
    """Where it listens; it is given each request's head."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                await serve(head, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_no_turn_waits_for_the_end_of_another() -> None:
    everybody, came = asyncio.Event(), 0

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came == 150:
            everybody.set()
        await everybody.wait()
        writer.write(ANSWER)

    async with service(serve) as url, open_pool() as http, asyncio.timeout(20):
        answers = await asyncio.gather(*(http.get(url, timeout=None) for _ in range(150)))
    assert [answer.text for answer in answers] == ["ok"] * 150


async def test_a_connection_is_used_again() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(ANSWER)

    async with service(serve) as url, open_pool() as http:
        for _ in range(3):
            assert (await http.get(url)).text == "ok"
    assert writers == [writers[0]] * 3


@pytest.mark.parametrize(
    "said", [b"SMTP ready\r\n\r\n", b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", b""]
)
async def test_what_is_no_answer_is_an_error_of_httpx(said: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with service(serve) as url, open_pool() as http:
        with pytest.raises(httpx.HTTPError):
            await http.get(url, timeout=None)


async def test_where_nobody_listens_is_an_error_of_httpx() -> None:
    async with open_pool() as http:
        with pytest.raises(httpx.HTTPError):
            await http.get("http://127.0.0.1:9/", timeout=None)
