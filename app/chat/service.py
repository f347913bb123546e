"""Conversations: a turn is recalled, answered, kept; no transaction spans the model's work."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from app.chat.checking import Verify
from app.chat.engine import Engine, Turn
from app.chat.events import ChatEvent, Completed
from app.chat.gaps import Gap, gaps
from app.chat.heard import Heard
from app.search import NO_FILTER, checked_query
from app.spending import Budget, of_answer, of_attempts
from storage.database import Database
from storage.domain import Answer, Attempt
from storage.errors import ModelUnavailable
from storage.ledger import Ledger
from storage.repositories import Conversations, Sources, Users
from storage.tables import Conversation, Message

_log = logging.getLogger("ibid.chat")

LOCAL_USER = "local"
"""Who owns everything until people sign in."""
_RECALLED = 12
"""Messages of history a turn can lean on."""
_TITLE_LENGTH = 80
_LOOKED_THROUGH = 10_000
"""Messages, the latest, that are searched for gaps."""


class ChatService:
    """What the doors call: conversations of the local user, and turns in them."""

    def __init__(self, database: Database, engine: Engine, budget: Budget | None = None) -> None:
        self._database = database
        self._engine = engine
        self._budget = budget or Budget()
        self._late: set[asyncio.Task[None]] = set()

    async def start(self, title: str = "") -> Conversation:
        """A new, empty conversation."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            return Conversations(session, user).start(title)

    async def recent(self, limit: int = 50, offset: int = 0) -> list[Conversation]:
        """Last used first."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            return await Conversations(session, user).recent(limit, offset)

    async def messages(self, conversation_id: UUID) -> tuple[Conversation, list[Message]]:
        """A conversation and all that was said in it, oldest first; raises `NotFound`."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            conversations = Conversations(session, user)
            conversation = await conversations.get(conversation_id)
            return conversation, await conversations.messages(conversation_id)

    async def moved_on(self, messages: Sequence[Message]) -> dict[UUID, Literal["changed", "gone"]]:
        """Which of the sources that these messages cite have changed since, or gone."""
        cited = [c for message in messages if message.answer for c in message.answer.citations]
        async with self._database.reading() as session:
            return await Sources(session).moved_on(cited)

    async def reply(self, message_id: UUID) -> Answer:
        """An answer as it was given; raises `NotFound`."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            return await Conversations(session, user).reply(message_id)

    async def gaps(self) -> list[Gap]:
        """What the documentation lacks, by the latest questions."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            exchanges = await Conversations(session, user).exchanges(_LOOKED_THROUGH)
        return gaps(exchanges)

    async def remove(self, conversation_id: UUID) -> None:
        """With its messages, and the texts that only they cited."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            await Conversations(session, user).remove(conversation_id)
            await Sources(session).prune_texts()

    async def stream(
        self,
        conversation_id: UUID,
        question: str,
        corpora: Sequence[str] = (),
        only: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
    ) -> AsyncGenerator[ChatEvent]:
        """The events of one turn; `Completed` is said only once the answer is kept.

        Raises `BudgetSpent` before anything is kept or asked.
        """
        question = checked_query(question)
        scope = await self._engine.search.scope(corpora, only)
        history = await self._ask(conversation_id, question)
        turn = Turn(question, scope, history, conversation_id, verify=verify)
        started, heard = time.perf_counter(), Heard()
        try:
            async with aclosing(self._engine.stream(turn)) as events:
                async for event in events:
                    if isinstance(event, Completed):
                        await self._keep(event.answer)
                        _tell(event.answer, time.perf_counter() - started)
                    heard.take(event)
                    yield event
        except ModelUnavailable as error:
            await self._write_off(error.attempts)
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._write_down_later(heard)
            raise

    async def answer(
        self,
        conversation_id: UUID,
        question: str,
        corpora: Sequence[str] = (),
        only: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
    ) -> Answer:
        """The stream, drained."""
        turn = self.stream(conversation_id, question, corpora, only, verify)
        async with aclosing(turn) as events:
            async for event in events:
                if isinstance(event, Completed):
                    return event.answer
        raise AssertionError("a turn ends with `Completed` or raises")

    async def _ask(self, conversation_id: UUID, question: str) -> list[ChatMessage]:
        """Keep the question; give back what was said before it."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            conversations = Conversations(session, user)
            conversation = await conversations.get(conversation_id)
            await self._budget.check(Ledger(session))
            earlier = await conversations.messages(conversation_id, last=_RECALLED)
            conversation.title = conversation.title or question[:_TITLE_LENGTH]
            conversation.updated_at = datetime.now(UTC)
            await conversations.add(Message.question(conversation_id, question))
        return [ChatMessage(role=MessageRole(m.role), content=m.text) for m in earlier]

    async def _keep(self, answer: Answer) -> None:
        """Raises `NotFound` when the conversation was deleted meanwhile."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            conversations = Conversations(session, user)
            await conversations.get(answer.conversation_id)
            await conversations.add(Message.reply(answer))
            await Ledger(session).add(of_answer(user, answer))

    def _write_down_later(self, heard: Heard) -> None:
        """What a reader who left had been told; in a task, for the turn's own is being torn down."""
        if heard.asked:
            task = asyncio.create_task(self._write_down(heard))
            self._late.add(task)
            task.add_done_callback(self._late.discard)

    async def _write_down(self, heard: Heard) -> None:
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            await Ledger(session).add([heard.spending(user, self._engine.model)])

    async def settled(self) -> None:
        """Returns when all that was spent is written down."""
        await asyncio.gather(*self._late)

    async def _write_off(self, attempts: Sequence[Attempt]) -> None:
        """What was spent on models that did not answer."""
        async with self._database.transaction() as session:
            user = await Users(session).named(LOCAL_USER)
            await Ledger(session).add(of_attempts(user, attempts))


def _tell(answer: Answer, seconds: float) -> None:
    """One line a turn; nothing of what was asked or answered."""
    _log.info(
        "turn conversation=%s message=%s status=%s model=%s claims=%d citations=%d seconds=%.3f",
        answer.conversation_id,
        answer.message_id,
        answer.status,
        answer.model,
        len(answer.claims),
        len(answer.citations),
        seconds,
    )
