"""What is remembered of the database: as good as reading it, whoever writes, and no trip to it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from storage.sql.commit_cache import CommitCache
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.tables import Corpus
from tests.conftest import fresh_database


class CachedNames:
    """The names of all corpora, and how often they were read."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.times = 0
        self.cache = CommitCache[list[str]](database)

    async def read(self) -> list[str]:
        self.times += 1
        async with self.database.read_transaction() as session:
            return [corpus.name for corpus in await Corpora(session).all()]

    async def names(self) -> list[str]:
        return await self.cache.get("names", self.read)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ibid.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def test_what_nobody_has_changed_is_read_once(url: str) -> None:
    async with Database.open(url) as database:
        reading = CachedNames(database)
        assert [await reading.names() for _ in range(3)] == [[], [], []]
    assert reading.times == 1


async def test_a_commit_of_this_process_is_seen_at_once(url: str) -> None:
    async with Database.open(url) as database:
        reading = CachedNames(database)
        await reading.names()
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name="new"))
            assert await reading.names() == []
        assert await reading.names() == ["new"]


async def test_a_commit_of_another_process_is_seen_at_once(url: str, path: Path) -> None:
    async with Database.open(url) as database:
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name="old"))
        reading = CachedNames(database)
        assert await reading.names() == ["old"]
        with closing(sqlite3.connect(path)) as other:
            other.execute("update corpora set name = 'new'")
            assert await reading.names() == ["old"]
            other.commit()
        assert await reading.names() == ["new"]


async def test_what_was_read_while_somebody_wrote_is_not_kept(url: str, path: Path) -> None:
    async with Database.open(url) as database:
        reading, was_read, written = CachedNames(database), asyncio.Event(), asyncio.Event()

        async def slowly() -> list[str]:
            names = await reading.read()
            was_read.set()
            await written.wait()
            return names

        early = asyncio.create_task(reading.cache.get("names", slowly))
        await was_read.wait()
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name="new"))
        written.set()
        assert await early == []
        assert await reading.names() == ["new"]


async def test_what_could_not_be_read_is_not_remembered(url: str) -> None:
    async def failing() -> list[str]:
        raise ConnectionError

    async with Database.open(url) as database:
        reading = CachedNames(database)
        with pytest.raises(ConnectionError):
            await reading.cache.get("names", failing)
        assert await reading.names() == []


async def test_on_postgres_all_is_read_anew(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    async with Database.open(
        fresh_database(request, "postgres", tmp_path, empty=False)
    ) as database:
        reading = CachedNames(database)
        assert not reading.cache.is_enabled
        assert [await reading.names() for _ in range(3)] == [[], [], []]
    assert reading.times == 3
