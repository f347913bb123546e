"""Run turns of a conversation: load the history, answer, store; no transaction spans the model's work."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Coroutine, Mapping, Sequence
from contextlib import aclosing, suppress
from copy import copy
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from app.chat.events import ChatEvent, Completed, Retrieved
from app.chat.limits import TurnLimit
from app.chat.metering import TurnMeter
from app.chat.turn_engine import Turn, TurnEngine
from app.conversations.messages import Messages
from app.retrieval.search import NO_FILTER, Scope, checked_query
from app.usage.budgets import Budget, of_answer
from app.verification.checker import Verify
from storage.domain import LOCAL, Answer, Principal
from storage.errors import (
    DatabaseUnavailable,
    FailedAttempt,
    IndexUnavailable,
    InvalidInput,
    ModelUnavailable,
)
from storage.http.retry import while_away
from storage.logs import log_failure
from storage.sql.database import Database, retried
from storage.sql.repositories.conversations import Conversations
from storage.sql.repositories.usage import Ledger
from storage.sql.repositories.users import Users
from storage.sql.tables import Conversation, Message

_log = logging.getLogger("ibid.chat")

KEEPING_SECONDS = 60.0
"""How long storing an answer is retried while the database is unavailable, in seconds."""
_RECALLED = 12
"""Number of earlier messages that a turn receives as history."""
_TITLE_LENGTH = 80


class ChatService:
    """The chat service that all interfaces call: it runs turns in the conversations of one user."""

    def __init__(
        self,
        database: Database,
        engine: TurnEngine,
        budget: Budget | None = None,
        limit: TurnLimit | None = None,
        principal: Principal = LOCAL,
        keeping_seconds: float = KEEPING_SECONDS,
    ) -> None:
        self._database = database
        self._engine = engine
        self._budget = budget or Budget()
        self._limit = limit or TurnLimit()
        self._principal = principal
        self._keeping_seconds = keeping_seconds
        self._late: set[asyncio.Task[None]] = set()

    def acting_for(self, principal: Principal) -> "ChatService":
        """Return a copy of this service that acts for another user."""
        other = copy(self)
        other._principal = principal  # noqa: SLF001 - it is one of us
        return other

    async def start(self, title: str = "") -> Conversation:
        """Create an empty conversation."""
        self._principal.require("ask")
        return await self._start(uuid4(), title)

    async def stream(
        self,
        conversation_id: UUID,
        question: str,
        corpora: Sequence[str] = (),
        only: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
        *,
        instead_of: UUID | None = None,
    ) -> AsyncGenerator[ChatEvent]:
        """Yield the events of one turn; `Completed` comes only after the answer is stored.

        `instead_of` is the id of an earlier question that this one replaces, on a new branch.
        Raises `BudgetSpent` before the question is stored or a language model is called.
        """
        self._principal.require("ask")
        question = checked_query(question)
        with self._limit.turn(self._principal):
            scope, history = await self._recall(conversation_id, instead_of, corpora, only)
            turn, asked = Turn(question, scope, history, conversation_id, verify=verify), uuid4()
            keeping = asyncio.create_task(self._ask(turn, asked, instead_of))
            try:
                async with aclosing(self._answer(turn, asked, keeping)) as events:
                    async for event in events:
                        yield event
            finally:
                await asyncio.wait([keeping])
                keeping.exception()

    async def again(
        self,
        conversation_id: UUID,
        message_id: UUID,
        corpora: Sequence[str] = (),
        only: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
    ) -> AsyncGenerator[ChatEvent]:
        """Answer an earlier question again, on a new branch, and yield the events of that turn.

        `message_id` is the id of the question or of one of its answers. Raises `BudgetSpent` before
        a language model is called.
        """
        self._principal.require("ask")
        with self._limit.turn(self._principal):
            question = await self._question(conversation_id, message_id)
            scope, history = await self._recall(conversation_id, question.id, corpora, only)
            turn = Turn(question.text, scope, history, conversation_id, verify=verify)
            async with aclosing(self._answer(turn, question.id)) as events:
                async for event in events:
                    yield event

    async def answer(
        self,
        conversation_id: UUID,
        question: str,
        corpora: Sequence[str] = (),
        only: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
    ) -> Answer:
        """Consume the whole stream of a turn and return its answer."""
        return await drained(self.stream(conversation_id, question, corpora, only, verify))

    async def _answer(
        self, turn: Turn, question: UUID, keeping: asyncio.Task[None] | None = None
    ) -> AsyncGenerator[ChatEvent]:
        """Yield the events of a turn and store its answer.

        A new question is stored (`keeping`) while the search runs, and before the first event.
        """
        started, heard, waiting_for = time.perf_counter(), TurnMeter(), keeping
        given = set[UUID]()
        try:
            async with aclosing(self._engine.stream(turn)) as events:
                async for event in events:
                    if waiting_for:
                        await asyncio.shield(waiting_for)
                        waiting_for = None
                    if isinstance(event, Retrieved):
                        given = {passage.source_id for passage in event.passages}
                    heard.take(event)
                    if isinstance(event, Completed):
                        kept = self._keep_in_time(
                            event.answer, question, given, is_new=keeping is not None
                        )
                        await asyncio.shield(self._later(kept))
                        _tell(event.answer, time.perf_counter() - started)
                    yield event
        except ModelUnavailable as error:
            with suppress(DatabaseUnavailable):  # the model's failure matters more to the caller
                await self._write_off(heard, error.attempts)
            raise
        except (asyncio.CancelledError, GeneratorExit, IndexUnavailable):
            self._write_down_later(heard)
            raise

    async def settled(self) -> None:
        """Wait until all answers are stored and all usage is recorded."""
        while self._late:
            await asyncio.wait(self._late)

    def _write_down_later(self, heard: TurnMeter) -> None:
        """Record the usage of an unfinished turn in the background."""
        if heard.asked:
            self._later(self._write_down(heard))

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in a separate task, because the task of the turn may be cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._late.add(task)
        task.add_done_callback(self._settle)
        return task

    def _settle(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log_failure(_log, "turn_not_written_down", error, {})

    async def _write_down(self, heard: TurnMeter) -> None:
        async with self._database.transaction() as session:
            user = await Users(session).named(self._principal.name)
            await Ledger(session).add(heard.spent(user.id, self._engine.model))

    async def _write_off(self, heard: TurnMeter, attempts: Sequence[FailedAttempt]) -> None:
        """Record what was spent on models that failed to answer."""
        async with self._database.transaction() as session:
            user = await Users(session).named(self._principal.name)
            await Ledger(session).add(heard.lost(user.id, attempts))

    @retried
    async def _start(self, conversation_id: UUID, title: str) -> Conversation:
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            return await mine.start(conversation_id, title)

    @retried
    async def _recall(
        self,
        conversation_id: UUID,
        instead_of: UUID | None,
        corpora: Sequence[str],
        only: Mapping[str, str],
    ) -> tuple[Scope, list[ChatMessage]]:
        """Return the search scope and the history: of the active branch, or up to `instead_of`."""
        search = self._engine.search.acting_for(self._principal)
        async with self._database.reading() as session:
            scope = await search.scope_in(session, corpora, only)
            messages = Messages(session, self._principal)
            leaf: UUID | None = None
            if instead_of is not None:
                await Conversations(session, self._principal.name).get(conversation_id)
                leaf = _question(await messages.one(conversation_id, instead_of)).parent_id
                if leaf is None:
                    return scope, []
            # A conversation that does not exist gives no messages; storing the question then fails.
            said = await messages.branch(conversation_id, _RECALLED, leaf)
        return scope, [ChatMessage(role=MessageRole(s.role), content=s.text) for s in said]

    @retried
    async def _ask(self, turn: Turn, asked: UUID, instead_of: UUID | None) -> None:
        """Store the question as the new end of the active branch."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(turn.conversation_id, to_write=True)
            await self._budget.check(Ledger(session), conversation.user_id)
            before = conversation.active_id
            if instead_of is not None:
                messages = Messages(session, self._principal)
                before = (await messages.one(conversation.id, instead_of)).parent_id
            await mine.add(Message.question(conversation.id, turn.question, before, asked))
            conversation.title = conversation.title or turn.question[:_TITLE_LENGTH]
            conversation.updated_at = datetime.now(UTC)
            conversation.active_id = asked

    @retried
    async def _question(self, conversation_id: UUID, message_id: UUID) -> Message:
        """Return the message itself if it is a question, otherwise the question that it answers."""
        async with self._database.reading() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id)
            await self._budget.check(Ledger(session), conversation.user_id)
            messages = Messages(session, self._principal)
            message = await messages.one(conversation_id, message_id)
            if message.role != "user" and message.parent_id is not None:
                message = await messages.one(conversation_id, message.parent_id)
        return _question(message)

    async def _keep_in_time(
        self, answer: Answer, question: UUID, given: Collection[UUID], *, is_new: bool
    ) -> None:
        """Store the answer, with retries while the database is unavailable.

        Raises `DatabaseUnavailable` when the retries take too long.
        """
        async for attempt in while_away(self._keeping_seconds):
            with attempt:
                await self._keep(answer, question, given, is_new=is_new)

    @retried
    async def _keep(
        self, answer: Answer, question: UUID, given: Collection[UUID], *, is_new: bool
    ) -> None:
        """Store the answer and the sources it was written with.

        Questions that were asked after the same question before this answer was stored now follow the
        answer. Raises `NotFound` when the conversation was deleted.
        """
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            reply = Message.reply(answer, question)
            owner, active = await mine.show(reply, instead_of=question if is_new else None)
            if not await mine.add(reply, given):
                return
            if active != reply.id:
                await mine.hang(reply.conversation_id, question, reply.id)
            await Ledger(session).add(of_answer(owner, answer))


async def drained(events: AsyncGenerator[ChatEvent]) -> Answer:
    """Consume the events of a turn and return its answer."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Completed):
                return event.answer
    raise AssertionError("a turn ends with `Completed` or raises")


def _question(message: Message) -> Message:
    if message.role != "user":
        raise InvalidInput(
            "This message is not a question. Use the id of the question that it answers."
        )
    return message


def _tell(answer: Answer, seconds: float) -> None:
    """Log one line for each turn, without the text of the question or the answer."""
    fields = {
        "conversation_id": answer.conversation_id,
        "message_id": answer.message_id,
        "status": answer.status,
        "model": answer.model,
        "claims": len(answer.claims),
        "citations": len(answer.citations),
        "seconds": round(seconds, 3),
    }
    _log.info("turn_completed", extra=fields)
