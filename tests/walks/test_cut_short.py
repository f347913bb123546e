"""Turns that come to no end: the model fails, the reader leaves, the conversation is deleted."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ChatResponseAsyncGen

from app.chat.events import Token
from app.wiring import Services
from storage.errors import ModelUnavailable, NotFound
from tests.doubles.scripted import ScriptedLLM
from tests.walks.turns import FUEL, ask, chat_with_model, scripted_chat

pytestmark = pytest.mark.asyncio(loop_scope="module")


class EndlessLLM(ScriptedLLM):
    """Goes on for ever; remembers that it began, and whether it was let go."""

    begun: bool = False
    released: bool = False

    async def astream_chat(
        self,
        messages: Sequence[ChatMessage],
        **kwargs: object,
    ) -> ChatResponseAsyncGen:
        async def stream() -> ChatResponseAsyncGen:
            try:
                while True:
                    self.begun = True
                    await asyncio.sleep(0)
                    message = ChatMessage(role="assistant", content="on and on")
                    yield ChatResponse(message=message, delta="on and on ")
            finally:
                self.released = True

        return stream()


@pytest.mark.parametrize("said", [0, 1])
async def test_a_model_that_fails_leaves_the_question_and_no_answer(
    manual: Services, said: int
) -> None:
    conversation = (await manual.chat.start()).id
    chat = scripted_chat(manual, "It burns ", "2.4 litres [1].", fails_after=said)
    with pytest.raises(ModelUnavailable, match="hung up"):
        await chat.answer(conversation, FUEL)
    _, messages = await manual.history.messages(conversation)
    assert [(message.role, message.text) for message in messages] == [("user", FUEL)]
    assert (await ask(scripted_chat(manual, "It burns [1]."), FUEL, conversation)).citations


async def test_a_turn_that_is_cancelled_leaves_the_conversation_usable(manual: Services) -> None:
    llm = EndlessLLM(pieces=[])
    chat = chat_with_model(manual, llm)
    conversation = (await chat.start()).id
    turn = asyncio.create_task(chat.answer(conversation, FUEL))
    while not llm.begun:  # noqa: ASYNC110 - the double is no event
        await asyncio.sleep(0.01)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert llm.released
    assert await ask(scripted_chat(manual, "It burns [1]."), FUEL, conversation)
    _, messages = await manual.history.messages(conversation)
    assert [message.role for message in messages] == ["user", "user", "assistant"]


async def test_a_reader_who_leaves_lets_the_model_go(manual: Services) -> None:
    llm = EndlessLLM(pieces=[])
    chat = chat_with_model(manual, llm)
    async with aclosing(chat.stream((await chat.start()).id, FUEL)) as events:
        async for event in events:
            if isinstance(event, Token):
                break
    assert llm.released


async def test_a_conversation_deleted_in_mid_turn_stays_deleted(manual: Services) -> None:
    chat = scripted_chat(manual, "It burns [1].")
    conversation = (await chat.start()).id
    stream = chat.stream(conversation, FUEL)
    await anext(stream)
    await manual.history.remove(conversation)
    with pytest.raises(NotFound, match="no conversation"):
        _ = [event async for event in stream]


async def test_no_connection_to_the_database_is_held_while_the_model_speaks(
    manual: Services,
) -> None:
    chat = scripted_chat(manual, "It ", "burns ", "a lot [1].")
    conversation = (await chat.start()).id
    pool = manual.database.engine.pool
    held = [pool.checkedout() async for _ in chat.stream(conversation, FUEL)]
    assert len(held) > 4
    assert set(held) == {0}
