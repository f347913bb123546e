"""Postgres as it really is: far away, asleep, pooled, full, and sometimes gone."""

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import event, text

from app.conversations.service import ConversationService
from storage.domain import RIGHTS, Principal
from storage.errors import ConnectionLost, DatabaseUnavailable, InvalidInput
from storage.sql import postgres as adapter
from storage.sql.database import Database, retry_on_lost_connection
from storage.sql.postgres_url import parse_postgres_url
from storage.sql.repositories.conversations import ConversationCursor
from storage.sql.repositories.corpora import Corpora
from storage.sql.tables import Corpus
from tests.bench.conversations import fill
from tests.conftest import fresh_database
from tests.postgres import Postgres, free_port
from tests.storage.poolers import needs_pgbouncer

NEON = (
    "postgresql://owner:pw@ep-cool-sea-1-pooler.eu-central-1.aws.neon.tech/neondb"
    "?sslmode=require&channel_binding=require"
)


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return fresh_database(request, "postgres", tmp_path, empty=False)


async def names(database: Database) -> list[str]:
    async with database.read_transaction() as session:
        return [corpus.name for corpus in await Corpora(session).all()]


async def add(database: Database, name: str) -> None:
    async with database.transaction() as session:
        await Corpora(session).add(Corpus(name=name))


@asynccontextmanager
async def connect(url: str):
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


# Its address


def test_the_address_that_neon_prints_is_understood() -> None:
    url = parse_postgres_url(NEON)
    assert url.host_and_port == "ep-cool-sea-1-pooler.eu-central-1.aws.neon.tech:5432"
    assert url.direct().host_and_port == "ep-cool-sea-1.eu-central-1.aws.neon.tech:5432"
    assert adapter.build_engine(url, 1).url.drivername == "postgresql+asyncpg"


@pytest.mark.parametrize(
    ("pooled", "direct"),
    [
        ("ep-cool-sea-1-pooler.eu.neon.tech", "ep-cool-sea-1.eu.neon.tech"),
        ("ep-cool-sea-1.eu.neon.tech", "ep-cool-sea-1.eu.neon.tech"),
        ("localhost", "localhost"),
        ("my-pooler.internal-pooler.example", "my.internal-pooler.example"),
    ],
)
def test_migrations_go_round_the_pooler(pooled: str, direct: str) -> None:
    url = parse_postgres_url(f"postgresql://owner:pw@{pooled}/neondb")
    assert url.direct() == parse_postgres_url(f"postgresql://owner:pw@{direct}/neondb")


@pytest.mark.parametrize(
    "scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "POSTGRES"]
)
async def test_every_way_to_write_the_scheme_will_do(url: str, scheme: str) -> None:
    url = url.replace("postgresql", scheme, 1) + "?sslmode=prefer&channel_binding=prefer"
    async with Database.open(url) as database:
        assert await names(database) == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("sslmode=maybe", "sslmode must be one of"),
        ("sslmode=require&sslrootcert=/no/such", "sslrootcert"),
    ],
)
async def test_an_encryption_that_cannot_be_is_told(url: str, query: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        async with Database.open(f"{url}?{query}"):
            pass


async def test_a_server_without_encryption_is_refused_when_it_is_asked_for(url: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with Database.open(f"{url}?sslmode=require", connect_timeout=0.5):
            pass


async def test_a_database_that_is_not_there_is_told_at_once(postgres: Postgres) -> None:
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="nowhere"):
        async with Database.open(postgres.url("nowhere")):
            pass
    assert time.monotonic() - began < 5


# Asleep, starting, gone


async def test_a_database_that_starts_is_waited_for() -> None:
    server = Postgres()
    try:
        async with Database.connect(server.url(), connect_timeout=30) as database:
            asking = asyncio.create_task(database.revision())
            await asyncio.sleep(0.5)
            await asyncio.to_thread(server.start)
            assert await asking is None
    finally:
        server.close()


async def test_a_database_that_does_not_come_is_told_after_a_while() -> None:
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="cannot be reached") as raised:
        async with Database.open(
            f"postgresql://u:secret@127.0.0.1:{free_port()}/d", connect_timeout=1
        ):
            pass
    assert 0.5 < time.monotonic() - began < 5
    assert raised.value.retry_after
    assert "secret" not in str(raised.value)


class KilledWriter:
    """Work that kills its own connection, so often as it is told to."""

    def __init__(self, database: Database, url: str, kills: int) -> None:
        self.database, self.url, self.kills, self.tries = database, url, kills, 0

    @retry_on_lost_connection
    async def add(self, name: str) -> str:
        self.tries += 1
        async with self.database.transaction() as session:
            await Corpora(session).add(Corpus(name=name))
            await session.flush()
            if self.tries <= self.kills:
                mine = (await session.exec(text("select pg_backend_pid()"))).scalar()  # type: ignore[call-overload]
                async with connect(self.url) as other:
                    await other.execute("select pg_terminate_backend($1)", mine)
        return name


async def test_work_whose_connection_died_is_done_once_more(url: str) -> None:
    async with Database.open(url) as database:
        careful = KilledWriter(database, url, kills=1)
        assert await careful.add("boats") == "boats"
        assert (careful.tries, await names(database)) == (2, ["boats"])


async def test_work_whose_connection_dies_again_is_given_up(url: str) -> None:
    async with Database.open(url) as database:
        careful = KilledWriter(database, url, kills=2)
        with pytest.raises(ConnectionLost):
            await careful.add("boats")
        assert (careful.tries, await names(database)) == (2, [])


async def test_a_connection_that_died_idle_is_not_noticed(url: str) -> None:
    async with Database.open(url) as database:
        await add(database, "boats")
        async with connect(url) as other:
            await other.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
        assert await names(database) == ["boats"]


async def test_when_every_connection_is_in_use_it_is_told(url: str) -> None:
    async with Database.open(url, connect_timeout=0.5) as database:
        leave = asyncio.Event()

        async def hold() -> None:
            async with database.read_transaction() as session:
                await Corpora(session).all()
                await leave.wait()

        holding = [asyncio.create_task(hold()) for _ in range(10)]
        await asyncio.sleep(1)
        with pytest.raises(DatabaseUnavailable, match="in use"):
            await names(database)
        leave.set()
        await asyncio.gather(*holding)
        assert await names(database) == []


async def test_a_reader_sees_one_moment_and_writes_nothing(url: str) -> None:
    async with Database.open(url) as database:
        async with database.read_transaction() as session:
            assert await Corpora(session).all() == []
            await add(database, "meanwhile")
            assert await Corpora(session).all() == []
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            async with database.read_transaction() as session:
                await Corpora(session).add(Corpus(name="boats"))


# Behind a pooler


@needs_pgbouncer
@pytest.mark.slow
async def test_a_pooler_in_transaction_mode_changes_nothing(pooled: str, url: str) -> None:
    async with Database.open(pooled, direct_url=url) as database:

        async def come_and_go(number: int) -> None:
            for turn in range(20):
                await add(database, f"{number}-{turn}")
                assert f"{number}-{turn}" in await names(database)

        await asyncio.gather(*(come_and_go(number) for number in range(8)))
        assert len(await names(database)) == 160


@needs_pgbouncer
@pytest.mark.slow
async def test_a_migration_behind_the_pooler_breaks_no_statement(pooled: str, url: str) -> None:
    """Named statements fail for ever once a table has changed under them."""
    async with Database.open(pooled, direct_url=url) as database:
        for _ in range(20):
            await names(database)
        async with connect(url) as other:
            await other.execute("alter table corpora alter column language type text")
        for _ in range(20):
            await asyncio.gather(*(names(database) for _ in range(5)))


@needs_pgbouncer
@pytest.mark.slow
async def test_migrations_by_the_pooled_address_alone_work_too(
    postgres: Postgres, pooled: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    empty = fresh_database(request, "postgres", tmp_path, empty=True).rpartition("/")[2]
    address = pooled.rpartition("/")[0] + f"/{empty}"
    async with Database.open(address) as one, Database.open(address) as other:
        await add(one, "boats")
        assert await names(other) == ["boats"]


async def test_statements_have_no_name(url: str) -> None:
    async with Database.open(url) as database:
        for _ in range(3):
            await names(database)
        async with database.engine.connect() as connection:
            count = await connection.execute(text("select count(*) from pg_prepared_statements"))
            assert count.scalar() == 0


# Asleep


async def test_nothing_is_asked_while_nobody_asks(url: str) -> None:
    asked: list[str] = []
    async with Database.open(url) as database:
        event.listen(
            database.engine.sync_engine,
            "before_cursor_execute",
            lambda *arguments: asked.append(arguments[2]),
        )
        await names(database)
        assert asked
        async with connect(url) as other:
            last = (
                "select max(state_change), count(*) from pg_stat_activity "
                "where datname = current_database() and pid <> pg_backend_pid()"
            )
            before, count = await other.fetchrow(last), len(asked)
            await asyncio.sleep(2)
            assert await other.fetchrow(last) == before
            assert before["count"] >= 1, "its connections stay open"
        assert len(asked) == count


# Many users


async def test_lists_and_openings_go_by_an_index(url: str) -> None:
    async with Database.open(url) as database:
        opened = await fill(database, 300)
        asked: list[tuple[str, object]] = []
        event.listen(
            database.engine.sync_engine,
            "before_cursor_execute",
            lambda *arguments: asked.append((arguments[2], arguments[3])),
        )
        history = ConversationService(database, Principal(name="user-7", rights=RIGHTS["reader"]))
        (last,) = await history.recent(1)
        await history.recent(20, ConversationCursor(last.updated_at, last.id))
        await history.view(opened["user-7"])
        captured = tuple(asked)  # the explaining is heard, too
        plans: list[str] = []
        async with database.engine.connect() as connection:
            for statement, given in captured:
                rows = await connection.exec_driver_sql(f"explain {statement}", given)
                plans.append("\n".join(row[0] for row in rows))
    told = "\n\n".join(plans)
    for index in (
        "ix_conversations_user_id_updated_at",
        "ix_messages_conversation_id",
        "conversations_pkey",
    ):
        assert index in told
    for table in ("conversations", "messages"):
        assert f"Seq Scan on {table}" not in told, told
