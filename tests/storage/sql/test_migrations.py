"""Databases that earlier versions have written are brought up to date with all that is in them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Table, column, inspect, text
from sqlalchemy import table as table_clause
from sqlmodel import SQLModel

from storage.domain import RIGHTS, Abstention, Answer, NearestSection, Principal
from storage.errors import DatabaseUnavailable
from storage.sql.database import HEAD, Database
from storage.sql.migrations import configuration
from storage.sql.repositories.conversations import Conversations, Tree
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.messages import StoredMessages
from storage.sql.repositories.sources import Sources
from storage.sql.repositories.users import Users
from storage.sql.tables import CitedVersion, Conversation, Corpus, Message, Source, SourceText, User
from tests.conftest import fresh_database

REVISIONS = [
    script.revision for script in ScriptDirectory.from_config(configuration()).walk_revisions()
][::-1]
SAID = ["When is it lit?", "At dusk.", "And put out?", "At dawn."]


@pytest.fixture(params=["sqlite", "postgres"])
async def empty(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = fresh_database(request, request.param, tmp_path, empty=True)
    async with Database.connect(url) as database:
        yield database


def entities() -> list[SQLModel]:
    """Something in every table that the first version had."""
    user, source = User(name="local", role="admin"), uuid4()
    thread = Conversation(user_id=user.id, title="The lamp")
    answer = Answer(
        id=uuid4(), conversation_id=thread.id, message_id=uuid4(), status="answered", text=SAID[1]
    )
    began = datetime.now(UTC)
    messages = [
        Message.question(thread.id, SAID[0]),
        Message.reply(answer),
        *(Message.question(thread.id, said) for said in SAID[2:]),
    ]
    for number, message in enumerate(messages, 1):
        message.seq, message.created_at = number, began + timedelta(seconds=number)
    return [
        user,
        thread,
        *messages,
        Corpus(name="manual", base_url="https://docs.example"),
        Source(id=source, corpus="manual", location="/lamp.md", version=1, passages=3),
        SourceText(source_id=source, version=1, title="Lamp", url="/lamp", text="At dusk."),
        CitedVersion(message_id=answer.message_id, source_id=source, version=1),
    ]


def write_at(connection: Connection, revision: str, given: list[SQLModel]) -> None:
    """The schema as it was then, and rows in those of its columns that there were."""
    command.upgrade(configuration(connection), revision)
    columns = {
        name: {each["name"] for each in inspect(connection).get_columns(name)}
        for name in inspect(connection).get_table_names()
    }
    for entity in given:
        table: Table = type(entity).__table__  # type: ignore[attr-defined]
        known = [c for c in table.columns if c.name in columns[table.name]]
        bare = table_clause(table.name, *(column(c.name, c.type) for c in known))
        connection.execute(bare.insert().values({c.name: getattr(entity, c.name) for c in known}))


@pytest.mark.parametrize("revision", REVISIONS)
async def test_nothing_is_lost_on_the_way_from_an_earlier_version(
    empty: Database, revision: str
) -> None:
    given = entities()
    async with empty.migration_transaction() as connection:
        await connection.run_sync(write_at, revision, given)
    assert await empty.revision() == revision
    assert ("ibid db upgrade" in await empty.check()) == (revision != HEAD)
    await empty.migrate()
    assert await empty.check() == ""
    async with empty.read_transaction() as session:
        user = await Users(session).get("local")
        (thread,) = await Conversations(session, "local").recent(10)
        messages = await StoredMessages(session, "local").all(thread.id)
        source = next(one for one in given if isinstance(one, Source))
        assert (await Sources(session).get(source.id)).passages == 3
        assert (await Sources(session).text(source.id, 1)).text == "At dusk."
        cited = await session.get(CitedVersion, (messages[1].id, source.id, 1))
    assert (user.role, thread.title, [m.text for m in messages]) == ("admin", "The lamp", SAID)
    assert messages[1].answer is not None
    assert messages[1].answer.text == SAID[1]
    assert cited is not None
    if revision < "0006":
        assert [m.text for m in Tree(messages).branch(thread.active_id)] == SAID


async def test_a_schema_that_somebody_changed_is_told(empty: Database) -> None:
    await empty.migrate()
    async with empty.engine.begin() as connection:
        await connection.execute(text("alter table corpora add column colour varchar"))
        await connection.execute(text("create table somebody_elses (id integer)"))
    told = await empty.check()
    assert "colour" in told
    assert "somebody_elses" not in told


async def test_what_a_newer_version_wrote_is_left_alone(empty: Database) -> None:
    await empty.migrate()
    async with empty.engine.begin() as connection:
        await connection.execute(text("update alembic_version set version_num = '9999'"))
    with pytest.raises(DatabaseUnavailable, match="newer version"):
        await empty.migrate()
    assert await empty.revision() == "9999"


def declining(thread: Conversation, *sources: UUID) -> Answer:
    near = [
        NearestSection(source_id=s, passage_id=uuid4(), title="Lamp", section=(), url="/lamp")
        for s in sources
    ]
    return Answer(
        id=uuid4(),
        conversation_id=thread.id,
        message_id=uuid4(),
        status="abstained",
        text="It lies near.",
        abstention=Abstention(reason="nothing_relevant", nearest=tuple(near)),
    )


async def test_what_was_told_of_corpora_that_are_gone_is_for_admins_from_then_on(
    empty: Database,
) -> None:
    user, there, gone = User(name="ada"), uuid4(), uuid4()
    thread = Conversation(user_id=user.id)
    told = [declining(thread, there), declining(thread, there, gone)]
    messages = [Message.reply(answer) for answer in told]
    for number, message in enumerate(messages, 1):
        message.seq = number
    corpus = Corpus(name="manual", access="listed")
    source = Source(id=there, corpus="manual", location="/lamp.md")
    async with empty.migration_transaction() as connection:
        await connection.run_sync(write_at, "0009", [user, thread, *messages, corpus, source])
        for reader in ("user:ada", "group:staff"):
            await connection.execute(
                text("insert into corpus_readers values ('manual', :reader)"), {"reader": reader}
            )
    await empty.migrate()
    ada = Principal(name="ada", rights=RIGHTS["reader"])
    async with empty.transaction() as session:
        stored, corpora = StoredMessages(session, "ada"), Corpora(session)
        (readers,) = (await corpora.readers()).values()
        assert readers == ["group:staff", "user:ada"]
        assert [(each.seq, each.source_id) for each in await stored.hidden(ada)] == [(2, gone)]
        await corpora.set_readers("manual", None)
        assert not await stored.is_all_public()
        await corpora.set_readers("manual", ["group:staff"])
        assert len(await stored.hidden(ada)) == 3
    async with empty.migration_transaction() as connection:
        await connection.run_sync(lambda one: command.downgrade(configuration(one), "0009"))
        rows = await connection.execute(text("select corpus, reader from corpus_readers"))
        assert [tuple(row) for row in rows] == [("manual", "group:staff")]
