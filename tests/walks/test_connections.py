"""More connections than one client should have: whoever probes the server is answered all the same."""

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from pipelines.corpora import corpus_lock_name
from storage.locks import Locks
from tests.app.api.calls import API
from tests.app.api.uploads import upload_files
from tests.app.cli.test_serve import run_server
from tests.walks.pages import build_archive

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MANY = 1_100
HALVES = {
    "nothing": b"",
    "half a header": b"GET /health/live HTTP/1.1\r\nHost: loc",
    "no body": b"POST /api/v1/conversations/"
    + b"0" * 8
    + b"-0000-4000-8000-"
    + b"0" * 12
    + b"/messages"
    b" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
}


@pytest.fixture(autouse=True)
def many_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))


@asynccontextmanager
async def open_connections(
    client: httpx.Client, sent: bytes
) -> AsyncIterator[list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """That many connections, on each of which the same was sent."""
    address = ("127.0.0.1", client.base_url.port or 0)
    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    try:
        for _ in range(MANY):
            streams.append(await asyncio.open_connection(*address))
            streams[-1][1].write(sent)
        yield streams
    finally:
        for _, writer in streams:
            writer.transport.abort()


async def is_alive(client: httpx.Client) -> bool:
    """On a connection of its own, as a probe has it."""

    def ask() -> int:
        return httpx.get(f"{client.base_url}/health/live", timeout=30).status_code

    return await asyncio.to_thread(ask) == 200


async def first_line(reader: asyncio.StreamReader) -> str:
    return (await asyncio.wait_for(reader.readline(), 120)).decode().strip()


@pytest.mark.parametrize("half", HALVES)
async def test_half_open_connections_keep_nobody_out(tmp_path: Path, half: str) -> None:
    with run_server(tmp_path / "home") as (_, client):
        async with open_connections(client, HALVES[half]) as streams:
            assert await is_alive(client)
            ends = await asyncio.gather(*(first_line(reader) for reader, _ in streams[:20]))
            status = "HTTP/1.1 408 Request Timeout"
            assert set(ends) <= {"", status}, "they are ended, with a reason where there is one"
            assert status in ends if half == "no body" else True
            assert await is_alive(client)


async def test_one_client_watches_so_many_jobs_and_no_more(tmp_path: Path) -> None:
    home = tmp_path / "home"
    locks = Locks.create(home / "locks", None)
    with run_server(home, STREAM_LIMIT="8") as (_, client):
        async with locks.hold(corpus_lock_name("default")):  # so that the job goes on
            job = upload_files(client, {"docs.zip": build_archive(1)}).json()["id"]
            watch = f"GET {API}/jobs/{job} HTTP/1.1\r\nHost: localhost\r\n"
            accept = "Accept: text/event-stream\r\n\r\n"
            async with open_connections(client, (watch + accept).encode()) as streams:
                lines = await asyncio.gather(*(first_line(reader) for reader, _ in streams))
                assert Counter(lines) == {
                    "HTTP/1.1 200 OK": 8,
                    "HTTP/1.1 429 Too Many Requests": MANY - 8,
                }
                assert await is_alive(client)
                refused = client.get(f"{API}/jobs/{job}", headers={"accept": "text/event-stream"})
                assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
                assert refused.json()["title"] == "TooManyStreams"
                assert client.get(f"{API}/jobs/{job}").status_code == 200, "it may still be read"
