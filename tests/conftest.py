"""What every test stands on: a home of its own, real engines, nothing from outside."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis
import pytest
from aiohttp import ClientSession
from llama_index.core import Settings as LlamaSettings

from app.settings import Settings
from app.wiring import Services, open_services
from storage.http.pool import open_pool
from storage.sql.database import Database
from tests.doubles.issuer import Issuer
from tests.doubles.services import Doubles
from tests.library import write_docs
from tests.postgres import Postgres

# A landing must not depend on luck: examples are drawn anew everywhere but in CI. No deadline, for
# a busy machine proves nothing.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine, and no `.env` of the checkout, reaches a test."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _no_llamaindex_globals() -> Iterator[None]:
    """LlamaIndex's process-wide `Settings` stays empty, whatever was done."""
    yield
    assert LlamaSettings._llm is None
    assert LlamaSettings._embed_model is None
    assert LlamaSettings._transformations is None


@pytest.fixture
def llamaindex_transformations() -> Iterator[None]:
    """For a test that builds a `VectorStoreIndex`, which fills LlamaIndex's process-wide `Settings`."""
    yield
    LlamaSettings._transformations = None


@pytest.fixture
async def doubles() -> AsyncIterator[Doubles]:
    """Stand-ins for the hosted services, in this test's own loop."""
    async with Doubles().running() as doubles:
        yield doubles


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    """What they are reached by."""
    async with open_pool() as http:
        yield http


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    """Signs tokens, and publishes its keys."""
    issuer = Issuer()
    yield issuer
    issuer.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests, with a database `migrated` to copy."""
    server = Postgres()
    server.start()
    try:
        url = server.create("migrated")

        async def migrate() -> None:
            async with Database.open(url):
                pass

        with ThreadPoolExecutor(1) as elsewhere:  # a loop may be running here
            elsewhere.submit(lambda: asyncio.run(migrate())).result()
        yield server
    finally:
        server.close()


_NUMBERS = itertools.count(1)


def fresh_database(request: pytest.FixtureRequest, kind: str, folder: Path, *, empty: bool) -> str:
    """The URL of a database of one's own: a file in the folder, or one on the shared server."""
    if kind == "sqlite":
        return f"sqlite+aiosqlite:///{folder / 'ibid.db'}"
    server: Postgres = request.getfixturevalue("postgres")
    name = f"ibid{next(_NUMBERS)}"
    request.addfinalizer(lambda: server.drop(name))
    return server.create(name, "template1" if empty else "migrated")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(ibid_home=tmp_path / "home")


@pytest.fixture
async def services(settings: Settings) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        yield services


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A small documentation of our own, on disk."""
    return write_docs(tmp_path / "docs")
