"""Connections to hosted models, as their services meet them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession

from storage.errors import InvalidInput
from storage.http.pool import borrow_pool, open_pool

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def run_service(serve: Serve) -> AsyncIterator[str]:
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


async def get_text(http: ClientSession, url: str) -> str:
    async with http.get(url) as answer:
        return await answer.text()


async def test_no_turn_waits_for_the_end_of_another() -> None:
    everybody, came = asyncio.Event(), 0

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal came
        came += 1
        if came == 150:
            everybody.set()
        await everybody.wait()
        writer.write(ANSWER)

    async with run_service(serve) as url, open_pool() as http, asyncio.timeout(20):
        answers = await asyncio.gather(*(get_text(http, url) for _ in range(150)))
    assert answers == ["ok"] * 150


async def test_a_connection_is_used_again() -> None:
    writers: list[asyncio.StreamWriter] = []

    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(ANSWER)

    async with run_service(serve) as url, open_pool() as http:
        for _ in range(3):
            async with borrow_pool(http) as same:
                assert await get_text(same, url) == "ok"
        async with borrow_pool(None) as another:
            assert await get_text(another, url) == "ok"
    assert writers == [writers[0]] * 3 + [writers[3]]
    assert writers[3] is not writers[0]


@pytest.mark.parametrize(
    "said",
    [
        b"SMTP ready\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nLocation: \xff\xfe\r\nContent-Length: 9\r\n\r\ncut",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"",
    ],
)
async def test_what_is_no_answer_is_an_error_of_the_client(said: bytes) -> None:
    async def serve(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with run_service(serve) as url, open_pool() as http:
        with pytest.raises(ClientError):
            await get_text(http, url)


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/", "http://no host/", "ftp://127.0.0.1/", "http://a:99999", "x"]
)
async def test_where_nobody_listens_is_an_error_of_the_client(address: str) -> None:
    async with open_pool() as http:
        with pytest.raises(ClientError):
            await get_text(http, address)


async def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    async def serve(head: bytes, writer: asyncio.StreamWriter) -> None:
        asked.append(head.split(b"\r\n")[0])
        writer.write(ANSWER)

    async with run_service(serve) as url:
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.setenv("NO_PROXY", "")
        async with open_pool() as http:
            assert await get_text(http, "http://models.example.com/v1/models") == "ok"
    assert asked == [b"GET http://models.example.com/v1/models HTTP/1.1"]


@pytest.mark.parametrize("held", [None, "no certificate"])
async def test_certificates_that_cannot_be_read_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: str | None
) -> None:
    file = tmp_path / "company.pem"
    if held is not None:
        file.write_text(held, encoding="utf-8")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with pytest.raises(InvalidInput, match=r"^SSL_CERT_FILE cannot be used"):
        async with open_pool():
            pass
