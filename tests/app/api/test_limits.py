"""Tests of rate limits that several server processes share."""

import asyncio
import logging
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, aclosing
from pathlib import Path

import pytest
from litestar.testing import TestClient

from app.api import create_app
from app.rate_limiting.limiter import PERIOD, build_rate_limiter
from app.rate_limiting.sqlite_storage import SqliteStorage
from app.settings import Settings
from storage.errors import InvalidInput
from tests.app.api.calls import API, Client
from tests.app.api.conftest import local
from tests.doubles.issuer import Issuer
from tests.postgres import free_port

needs_redis = pytest.mark.skipif(
    shutil.which("redis-server") is None,
    reason="Redis is not installed: apt-get install redis-server",
)


class Redis:
    """A private Redis server on loopback that can be killed and restarted."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://:hidden@127.0.0.1:{self.port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--requirepass", "hidden"]
        self._process = subprocess.Popen(
            ["redis-server", *options, "--save", "", "--dir", self._folder],
            stdout=subprocess.DEVNULL,
        )
        for _ in range(300):
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("Redis does not start")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["file", pytest.param("redis", marks=needs_redis)])
def store(request: pytest.FixtureRequest) -> str:
    """The setting of each rate limit store that processes can share."""
    return "file" if request.param == "file" else request.getfixturevalue("redis").url


OpenServer = Callable[[str], Client]


@pytest.fixture
def door(issuer: Issuer, tmp_path: Path) -> Iterator[OpenServer]:
    """A function that opens another server with the same home and a limit of three requests per minute."""
    with ExitStack() as stack:

        def opened(store: str) -> Client:
            settings = local(tmp_path, **issuer.settings(), rate_limit=3, rate_limit_store=store)
            return stack.enter_context(TestClient(create_app(settings)))

        yield opened


def request_status(client: Client, issuer: Issuer, who: str = "ada") -> int:
    headers = {"authorization": f"Bearer {issuer.token(who)}"}
    return client.get(f"{API}/corpora", headers=headers).status_code


def test_servers_with_one_store_have_one_limit(
    store: str, door: OpenServer, issuer: Issuer
) -> None:
    one, other = door(store), door(store)
    assert [request_status(client, issuer) for client in (one, other, one, other, one)] == [
        *(200, 200, 200),
        *(429, 429),
    ]
    assert request_status(one, issuer, "eve") == 200


@needs_redis
def test_a_server_that_lost_the_store_counts_for_itself(
    redis: Redis,
    door: OpenServer,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(logging.getLogger("ibid.limits"), "handlers", [caplog.handler])
    one, other = door(redis.url), door(redis.url)
    assert [request_status(one, issuer) for _ in range(4)] == [200, 200, 200, 429]
    redis.kill()
    assert [request_status(other, issuer) for _ in range(4)] == [200, 200, 200, 429]
    assert {each.msg for each in caplog.records} == {"rate_limit_store_failed"}
    assert "hidden" not in str([vars(each) for each in caplog.records])

    monkeypatch.setattr("app.rate_limiting.limiter._RETRY_SECONDS", 0)
    assert request_status(one, issuer) == 200, "it had not noticed, and has no count of its own"
    redis.start()
    assert [request_status(one, issuer, "eve") for _ in range(4)] == [200, 200, 200, 429]
    assert request_status(door(redis.url), issuer, "eve") == 429


def test_a_store_that_says_nothing_delays_one_request(door: OpenServer, issuer: Issuer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = door(f"redis://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        assert [request_status(client, issuer) for _ in range(4)] == [200, 200, 200, 429]
        assert time.monotonic() - began < 3


def test_a_file_that_cannot_be_read_locks_nobody_out(
    door: OpenServer, issuer: Issuer, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "rate_limits.db").write_bytes(b"not a database" * 100)
    client = door("file")
    assert [request_status(client, issuer) for _ in range(4)] == [200, 200, 200, 429]


async def test_expired_counts_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counts, now = SqliteStorage(tmp_path / "counts.db"), time.time()
    assert [await counts.incr("ada", PERIOD) for _ in range(2)] == [1, 2]
    monkeypatch.setattr(time, "time", lambda: now + PERIOD + 1)
    assert await counts.get("ada") == 0
    assert await counts.incr("eve", PERIOD) == 1
    await counts.close()
    with sqlite3.connect(tmp_path / "counts.db") as database:
        assert database.execute("SELECT key FROM counts").fetchall() == [("eve",)]
    database.close()


def test_concurrent_requests_are_all_counted(store: str, tmp_path: Path) -> None:
    settings = Settings(ibid_home=tmp_path / "home", rate_limit_store=store)

    async def hit(times: int) -> int:
        async with aclosing(build_rate_limiter(settings)) as limiter:
            windows = await asyncio.gather(*(limiter.hit("ada") for _ in range(times)))
            assert await limiter.is_shared()
        return max(window.count for window in windows)

    with ThreadPoolExecutor(4) as threads:
        counts = [*threads.map(lambda _: asyncio.run(hit(25)), range(4))]
    assert max(counts) == 100


def test_a_store_whose_package_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkey.asyncio", None)
    settings = Settings(ibid_home=tmp_path, rate_limit_store="redis://127.0.0.1")
    with pytest.raises(InvalidInput, match=r"needs the package valkey: install ibid\[redis\]"):
        build_rate_limiter(settings)


@pytest.mark.parametrize("address", ["redis://h:p/w@x", "rediss://h?nonsense=1"])
def test_an_address_that_makes_no_sense_is_refused_and_not_repeated(
    tmp_path: Path, address: str
) -> None:
    with pytest.raises(
        InvalidInput, match=r"^RATE_LIMIT_STORE is not a valid URL of a Redis or Valkey"
    ):
        build_rate_limiter(Settings(ibid_home=tmp_path, rate_limit_store=address))
