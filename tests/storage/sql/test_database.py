"""The relational store: made whole, shared by processes, and clear about what is wrong with it."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlmodel import SQLModel, select

from storage.domain import Answer, SourceVersion
from storage.errors import DatabaseUnavailable, InvalidInput, NotFound, StorageFull, Vanished
from storage.sql.database import HEAD, Database
from storage.sql.migrations import configuration
from storage.sql.repositories.conversations import Conversations
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.messages import StoredMessages
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Corpus, Message, Source, SourceText
from tests.conftest import fresh_database
from tests.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Up to date on Postgres, where making the schema takes a while."""
    return fresh_database(request, request.param, tmp_path, empty=False)


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_database(request, request.param, tmp_path, empty=True)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return url_of(tmp_path / "ibid.db")


def url_of(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


async def names(database: Database) -> list[str]:
    async with database.read_transaction() as session:
        return [corpus.name for corpus in await Corpora(session).all()]


async def add(database: Database, name: str) -> None:
    async with database.transaction() as session:
        await Corpora(session).add(Corpus(name=name))


async def test_an_empty_database_is_brought_up_to_date(empty_url: str) -> None:
    async with Database.open(empty_url) as database, database.engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        version = (await connection.execute(text("select * from alembic_version"))).scalar()
    assert set(tables) == {*SQLModel.metadata.tables, "alembic_version"}
    assert version == HEAD
    async with Database.open(empty_url) as database:
        assert await names(database) == []


def test_the_newest_migration_is_the_one_that_is_asked_for() -> None:
    scripts = ScriptDirectory.from_config(configuration())
    assert scripts.get_heads() == [HEAD]


async def test_tables_and_migrations_do_not_drift_apart(empty_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, SQLModel.metadata)

    async with Database.open(empty_url) as database, database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


OPEN_AND_ADD = """
import asyncio, sys
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.tables import Corpus

async def main(url, name):
    async with Database.open(url) as database:
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name=name))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.slow
def test_processes_that_open_it_at_once_migrate_it_once(empty_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPEN_AND_ADD, empty_url, f"corpus-{number}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in processes:
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told

    async def kept() -> list[str]:
        async with Database.open(empty_url) as database:
            return await names(database)

    assert asyncio.run(kept()) == [f"corpus-{number}" for number in range(4)]


async def test_tasks_that_open_it_at_once_migrate_it_once(empty_url: str) -> None:
    async def open_and_add(name: str) -> None:
        async with Database.open(empty_url) as database:
            await add(database, name)

    await asyncio.gather(*(open_and_add(f"corpus-{number}") for number in range(6)))
    async with Database.open(empty_url) as database:
        assert len(await names(database)) == 6


async def test_writers_wait_for_one_another(file_url: str) -> None:
    async with Database.open(file_url) as database:
        await add(database, "counted")

        async def count_up() -> None:
            async with database.transaction() as session:
                corpus = await Corpora(session).get("counted")
                await asyncio.sleep(0)
                corpus.access = str(int(corpus.access.replace("public", "0")) + 1)

        await asyncio.gather(*(count_up() for _ in range(20)))
        async with database.read_transaction() as session:
            assert (await Corpora(session).get("counted")).access == "20"


async def test_a_reader_does_not_wait_for_a_writer(url: str) -> None:
    async with Database.open(url) as database:
        await add(database, "before")
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name="meanwhile"))
            await session.flush()
            async with asyncio.timeout(8):
                assert await names(database) == ["before"]
        assert await names(database) == ["before", "meanwhile"]


@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, NotFound("x", "y")])
async def test_a_transaction_is_kept_whole_or_not_at_all(
    url: str, error: type[BaseException]
) -> None:
    async with Database.open(url) as database:
        with pytest.raises(error if isinstance(error, type) else NotFound):  # noqa: PT012
            async with database.transaction() as session:
                await Corpora(session).add(Corpus(name="half"))
                await session.flush()
                raise error
        assert await names(database) == []
        await add(database, "whole")
        assert await names(database) == ["whole"]


async def add_and_remove(database: Database, name: str) -> None:
    while True:
        await add(database, name)
        await names(database)
        async with database.transaction() as session:
            await Corpora(session).remove(name)


async def test_work_that_is_cancelled_at_any_moment_leaves_no_lock_behind(url: str) -> None:
    """As when clients go away: the next writer waits for nobody."""
    async with Database.open(url) as database:
        for moment in range(60):
            tasks = [
                asyncio.create_task(add_and_remove(database, f"{moment}-{n}")) for n in range(3)
            ]
            await asyncio.sleep(0.005 + moment * 0.0003)
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(end) for end in ends} == {asyncio.CancelledError}
            async with asyncio.timeout(60):
                await add(database, f"after-{moment}")


def test_a_loop_that_is_closed_at_any_moment_tears_no_connection(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As Ctrl-C does it: what is still under way when the loop closes is cancelled."""

    async def work(name: str, seconds: float) -> None:
        async with asyncio.timeout(seconds), Database.open(url) as database:
            await add_and_remove(database, name)

    for moment in range(60):
        with pytest.raises(TimeoutError):
            asyncio.run(work(f"corpus-{moment}", 0.02 + moment * 0.0003))
    complaints = [record for record in caplog.records if record.name.startswith("sqlalchemy")]
    assert [record.getMessage() for record in complaints] == []


async def test_what_belongs_to_nothing_is_not_kept(url: str) -> None:
    async with Database.open(url) as database:
        with pytest.raises(Vanished):
            async with database.transaction() as session:
                session.add(Message.question(uuid4(), "Is anybody there?"))


async def test_what_belongs_to_a_corpus_goes_with_it(url: str) -> None:
    async with Database.open(url) as database:
        source = Source(id=uuid4(), corpus="boats", location="/boats.md", version=1)
        kept = SourceText(source_id=source.id, version=1, title="Boats", url="/boats", text="Boats")
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name="boats"))
            await Sources(session).save([source], [kept])
        async with database.transaction() as session:
            await Corpora(session).remove("boats")
        async with database.read_transaction() as session:
            assert (await session.exec(select(Source))).all() == []
            assert (await session.exec(select(SourceText))).all() == []


async def test_a_moment_comes_back_with_its_zone(url: str) -> None:
    async with Database.open(url) as database:
        await add(database, "boats")
    async with Database.open(url) as database, database.read_transaction() as session:
        made = (await Corpora(session).get("boats")).created_at
    assert made.tzinfo is not None
    assert made.utcoffset() == timedelta(0)
    assert timedelta(0) <= datetime.now(UTC) - made < timedelta(minutes=1)


async def test_values_come_back_as_they_were(url: str) -> None:
    answer = Answer(
        id=uuid4(),
        conversation_id=uuid4(),
        message_id=uuid4(),
        status="answered",
        text="naïve 灯 \x01 “[1]”",
    )
    async with Database.open(url) as database:
        async with database.transaction() as session:
            conversations = Conversations(session, "local")
            thread = await conversations.start(uuid4())
            answer = answer.model_copy(update={"conversation_id": thread.id})
            await conversations.add(Message.question(thread.id, answer.text))
            await conversations.add(Message.reply(answer))
        async with database.read_transaction() as session:
            messages = await StoredMessages(session, "local").all(thread.id)
    assert [(message.text, message.answer) for message in messages] == [
        (answer.text, None),
        (answer.text, answer),
    ]


async def test_no_value_is_no_value_to_sql_either(url: str) -> None:
    """Not the JSON text `null`: queries tell sources that are being written by this column."""
    staged = SourceVersion(
        version=1, digest="x", title="Boats", url="/boats", passages=1, root=None
    )
    source = Source(id=uuid4(), corpus="boats", location="/boats.md", staged=staged)
    count = text("select count(*) from sources where staged is null")
    async with Database.open(url) as database:
        async with database.transaction() as session:
            await Corpora(session).add(Corpus(name="boats"))
            await Sources(session).save([source])
            assert (await session.exec(count)).scalar() == 0  # type: ignore[call-overload]
        source.publish(staged)
        async with database.transaction() as session:
            await Sources(session).save([source])
            assert (await session.exec(count)).scalar() == 1  # type: ignore[call-overload]
        async with database.transaction() as session:
            await Sources(session).forget_digests()
            assert (await session.exec(count)).scalar() == 1  # type: ignore[call-overload]


async def test_another_users_conversation_is_not_found(url: str) -> None:
    async with Database.open(url) as database, database.transaction() as session:
        mine = Conversations(session, "me")
        thread = await mine.start(uuid4())
        theirs = Conversations(session, "you")
        for attempt in (theirs.get, theirs.remove):
            with pytest.raises(NotFound):
                await attempt(thread.id)
        assert await theirs.recent(10) == []
        assert (await mine.get(thread.id)).id == thread.id


# What is wrong with it


async def test_a_damaged_file_is_told_and_left_as_it_is(tmp_path: Path, file_url: str) -> None:
    path = tmp_path / "ibid.db"
    path.write_bytes(b"no database at all " * 500)
    before = path.read_bytes()
    with pytest.raises(DatabaseUnavailable, match="not a database"):
        async with Database.open(file_url):
            pass
    assert path.read_bytes() == before


async def test_a_page_that_is_damaged_is_told(tmp_path: Path, file_url: str) -> None:
    async with Database.open(file_url) as database:
        await add(database, "boats")
    with (tmp_path / "ibid.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 90_000)
    with pytest.raises(DatabaseUnavailable):
        async with Database.open(file_url) as database:
            await add(database, "more")


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(DatabaseUnavailable, match="Cannot create"):
        async with Database.open(url_of(tmp_path / "taken/deeper/ibid.db")):
            pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DatabaseUnavailable):
        async with Database.open(url_of(tmp_path / "ibid.db")):
            pass
    tmp_path.chmod(0o700)
    await asyncio.sleep(0.1)  # as above


async def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailable, match="unable to open"):
        async with Database.open(url_of(tmp_path)):
            pass
    await asyncio.sleep(0.1)  # aiosqlite's thread ends by itself, and needs the loop for that


@pytest.mark.parametrize(
    "wrong",
    ["nonsense", "", "sqlite:///x.db", "oracle+nothing://x", "postgresql+pg8000://u:pw@h/d"],
)
async def test_an_address_that_is_none_is_told_without_its_password(wrong: str) -> None:
    with pytest.raises(InvalidInput, match="DATABASE_URL") as raised:
        async with Database.open(wrong):
            pass
    assert "pw" not in str(raised.value)


async def test_a_name_that_is_not_text_is_told(url: str) -> None:
    async with Database.open(url) as database:
        with pytest.raises(InvalidInput, match="not valid Unicode"):
            await add(database, "caf\udce9")
        assert await names(database) == []


async def test_what_postgres_does_not_keep_is_told(postgres: Postgres, tmp_path: Path) -> None:
    async with Database.open(postgres.url("migrated")) as database:
        with pytest.raises(InvalidInput, match="NUL"):
            await add(database, "boats\x00")


async def test_a_full_disk_is_told_and_keeps_what_is_there(file_url: str) -> None:
    async with Database.open(file_url) as database:
        await add(database, "before")
        async with database.engine.connect() as connection:
            pages = (await connection.execute(text("pragma page_count"))).scalar()
            await connection.execute(text(f"pragma max_page_count = {pages}"))
        long = Source(id=uuid4(), corpus="before", location="x" * 50_000)
        with pytest.raises(StorageFull, match="Free some"):
            async with database.transaction() as session:
                await Sources(session).save([long])
        assert await names(database) == ["before"]
