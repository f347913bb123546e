"""The database goes while an answer is said: it is kept once the database is back, or that is told."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import pytest

from app.chat.events import ChatEvent, Completed, Token
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.settings import Settings
from app.wiring import Services, open_services
from storage.errors import DatabaseUnavailable
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs
from tests.postgres import Postgres
from tests.walks.turns import FUEL

pytestmark = [pytest.mark.slow]


@asynccontextmanager
async def open_with_docs(server: Postgres, folder: Path) -> AsyncIterator[Services]:
    settings = Settings(ibid_home=folder / "home", database_url=server.url(), database_patience=1)
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(folder / "docs")])
        yield services


@pytest.fixture
def server() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.close()


def build_chat(services: Services, seconds: float) -> ChatService:
    turns = TurnEngine(services.search, ScriptedLLM(pieces=["It ", "burns ", "a lot [1]."]))
    return ChatService(TurnRunner(services.database, turns, store_retry_seconds=seconds))


async def stream_until_database_gone(
    chat: ChatService, conversation: UUID, server: Postgres
) -> list[ChatEvent]:
    """The events of a turn in whose middle the database goes."""
    events: list[ChatEvent] = []
    async for event in chat.stream(conversation, FUEL):
        events.append(event)
        if isinstance(event, Token) and sum(isinstance(each, Token) for each in events) == 1:
            await asyncio.to_thread(server.kill)
    return events


async def wait_until_storing(chat: ChatService) -> None:
    while not chat._turns._background_tasks:  # noqa: ASYNC110 - told by no event
        await asyncio.sleep(0.005)


async def stored_roles(services: Services, conversation: UUID) -> list[str]:
    _, messages = await services.history.messages(conversation)
    return [message.role for message in messages]


async def test_an_answer_is_kept_once_the_database_is_back(
    server: Postgres, tmp_path: Path
) -> None:
    async with open_with_docs(server, tmp_path) as services:
        chat = build_chat(services, 60)
        conversation = (await chat.start()).id
        turn = asyncio.create_task(stream_until_database_gone(chat, conversation, server))
        await wait_until_storing(chat)
        assert not turn.done(), "it is not said to be complete before it is kept"
        await asyncio.to_thread(server.start)
        last = (await turn)[-1]
        assert isinstance(last, Completed)
        assert await stored_roles(services, conversation) == ["user", "assistant"]
        spent = (await services.usages.report(1)).spent
    assert [one.calls for one in spent] == [1], "it is accounted for once"


async def test_it_is_kept_for_a_reader_who_left_meanwhile(server: Postgres, tmp_path: Path) -> None:
    async with open_with_docs(server, tmp_path) as services:
        chat = build_chat(services, 60)
        conversation = (await chat.start()).id
        turn = asyncio.create_task(stream_until_database_gone(chat, conversation, server))
        await wait_until_storing(chat)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        await asyncio.to_thread(server.start)
        await chat.wait_until_stored()
        assert await stored_roles(services, conversation) == ["user", "assistant"]


async def test_a_database_that_does_not_come_back_is_told(server: Postgres, tmp_path: Path) -> None:
    async with open_with_docs(server, tmp_path) as services:
        chat = build_chat(services, 0.5)
        conversation = (await chat.start()).id
        with pytest.raises(DatabaseUnavailable):
            await stream_until_database_gone(chat, conversation, server)
        await asyncio.to_thread(server.start)
        assert await stored_roles(services, conversation) == ["user"]
