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
from app.conversations.messages import VisibleMessages
from app.retrieval.search import NO_FILTER, Scope, validate_query
from app.usage.budgets import Budget, answer_spending
from app.verification.checker import Verify
from storage.domain import LOCAL, Answer, Principal
from storage.errors import (
    DatabaseUnavailable,
    FailedAttempt,
    IndexUnavailable,
    InvalidInput,
    ModelUnavailable,
)
from storage.http.retry import retry_while_unavailable
from storage.logs import log_failure
from storage.sql.database import Database, retry_on_lost_connection
from storage.sql.repositories.conversations import Conversations
from storage.sql.repositories.usage import Ledger
from storage.sql.repositories.users import Users
from storage.sql.tables import Conversation, Message

_log = logging.getLogger("ibid.chat")

STORE_RETRY_SECONDS = 60.0
"""How long storing an answer is retried while the database is unavailable, in seconds."""
_HISTORY_LENGTH = 12
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
        store_retry_seconds: float = STORE_RETRY_SECONDS,
    ) -> None:
        self._database = database
        self._engine = engine
        self._budget = budget or Budget()
        self._limit = limit or TurnLimit()
        self._principal = principal
        self._store_retry_seconds = store_retry_seconds
        self._background_tasks: set[asyncio.Task[None]] = set()

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
        filters: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
        *,
        instead_of: UUID | None = None,
    ) -> AsyncGenerator[ChatEvent]:
        """Yield the events of one turn; `Completed` comes only after the answer is stored.

        `instead_of` is the id of an earlier question that this one replaces, on a new branch.
        Raises `BudgetSpent` before the question is stored or a language model is called.
        """
        self._principal.require("ask")
        question = validate_query(question)
        with self._limit.turn(self._principal):
            scope, history = await self._load_context(conversation_id, instead_of, corpora, filters)
            turn, asked = Turn(question, scope, history, conversation_id, verify=verify), uuid4()
            question_task = asyncio.create_task(self._store_question(turn, asked, instead_of))
            try:
                async with aclosing(self._run_turn(turn, asked, question_task)) as events:
                    async for event in events:
                        yield event
            finally:
                await asyncio.wait([question_task])
                question_task.exception()

    async def regenerate(
        self,
        conversation_id: UUID,
        message_id: UUID,
        corpora: Sequence[str] = (),
        filters: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
    ) -> AsyncGenerator[ChatEvent]:
        """Answer an earlier question again, on a new branch, and yield the events of that turn.

        `message_id` is the id of the question or of one of its answers. Raises `BudgetSpent` before
        a language model is called.
        """
        self._principal.require("ask")
        with self._limit.turn(self._principal):
            question = await self._load_question(conversation_id, message_id)
            scope, history = await self._load_context(
                conversation_id, question.id, corpora, filters
            )
            turn = Turn(question.text, scope, history, conversation_id, verify=verify)
            async with aclosing(self._run_turn(turn, question.id)) as events:
                async for event in events:
                    yield event

    async def answer(
        self,
        conversation_id: UUID,
        question: str,
        corpora: Sequence[str] = (),
        filters: Mapping[str, str] = NO_FILTER,
        verify: Verify | None = None,
    ) -> Answer:
        """Consume the whole stream of a turn and return its answer."""
        return await collect_answer(
            self.stream(conversation_id, question, corpora, filters, verify)
        )

    async def _run_turn(
        self, turn: Turn, question: UUID, question_task: asyncio.Task[None] | None = None
    ) -> AsyncGenerator[ChatEvent]:
        """Yield the events of a turn and store its answer.

        A new question is stored (`question_task`) while the search runs, and before the first event.
        """
        started, meter, waiting_for = time.perf_counter(), TurnMeter(), question_task
        given = set[UUID]()
        try:
            async with aclosing(self._engine.stream(turn)) as events:
                async for event in events:
                    if waiting_for:
                        await asyncio.shield(waiting_for)
                        waiting_for = None
                    if isinstance(event, Retrieved):
                        given = {passage.source_id for passage in event.passages}
                    meter.record(event)
                    if isinstance(event, Completed):
                        storing = self._store_answer_with_retries(
                            event.answer, question, given, is_new=question_task is not None
                        )
                        await asyncio.shield(self._run_in_background(storing))
                        _print_result(event.answer, time.perf_counter() - started)
                    yield event
        except ModelUnavailable as error:
            with suppress(DatabaseUnavailable):  # the model's failure matters more to the caller
                await self._record_failed_usage(meter, error.attempts)
            raise
        except (asyncio.CancelledError, GeneratorExit, IndexUnavailable):
            self._record_usage_later(meter)
            raise

    async def wait_until_stored(self) -> None:
        """Wait until all answers are stored and all usage is recorded."""
        while self._background_tasks:
            await asyncio.wait(self._background_tasks)

    def _record_usage_later(self, meter: TurnMeter) -> None:
        """Record the usage of an unfinished turn in the background."""
        if meter.has_usage:
            self._run_in_background(self._record_usage(meter))

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in a separate task, because the task of the turn may be cancelled meanwhile."""
        task = asyncio.create_task(work)
        self._background_tasks.add(task)
        task.add_done_callback(self._on_task_done)
        return task

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._background_tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log_failure(_log, "turn_not_written_down", error, {})

    async def _record_usage(self, meter: TurnMeter) -> None:
        async with self._database.transaction() as session:
            user = await Users(session).get_or_create(self._principal.name)
            await Ledger(session).add(meter.usage_so_far(user.id, self._engine.model))

    async def _record_failed_usage(
        self, meter: TurnMeter, attempts: Sequence[FailedAttempt]
    ) -> None:
        """Record what was spent on models that failed to answer."""
        async with self._database.transaction() as session:
            user = await Users(session).get_or_create(self._principal.name)
            await Ledger(session).add(meter.failed_usage(user.id, attempts))

    @retry_on_lost_connection
    async def _start(self, conversation_id: UUID, title: str) -> Conversation:
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            return await mine.start(conversation_id, title)

    @retry_on_lost_connection
    async def _load_context(
        self,
        conversation_id: UUID,
        instead_of: UUID | None,
        corpora: Sequence[str],
        filters: Mapping[str, str],
    ) -> tuple[Scope, list[ChatMessage]]:
        """Return the search scope and the history: of the active branch, or up to `instead_of`."""
        search = self._engine.search.acting_for(self._principal)
        async with self._database.read_transaction() as session:
            scope = await search.scope_in(session, corpora, filters)
            messages = VisibleMessages(session, self._principal)
            leaf: UUID | None = None
            if instead_of is not None:
                await Conversations(session, self._principal.name).get(conversation_id)
                leaf = _require_question(await messages.get(conversation_id, instead_of)).parent_id
                if leaf is None:
                    return scope, []
            # A conversation that does not exist gives no messages; storing the question then fails.
            said = await messages.branch(conversation_id, _HISTORY_LENGTH, leaf)
        return scope, [ChatMessage(role=MessageRole(s.role), content=s.text) for s in said]

    @retry_on_lost_connection
    async def _store_question(self, turn: Turn, question_id: UUID, instead_of: UUID | None) -> None:
        """Store the question as the new end of the active branch."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(turn.conversation_id, for_update=True)
            await self._budget.check(Ledger(session), conversation.user_id)
            before = conversation.active_id
            if instead_of is not None:
                messages = VisibleMessages(session, self._principal)
                before = (await messages.get(conversation.id, instead_of)).parent_id
            await mine.add(Message.question(conversation.id, turn.question, before, question_id))
            conversation.title = conversation.title or turn.question[:_TITLE_LENGTH]
            conversation.updated_at = datetime.now(UTC)
            conversation.active_id = question_id

    @retry_on_lost_connection
    async def _load_question(self, conversation_id: UUID, message_id: UUID) -> Message:
        """Return the message itself if it is a question, otherwise the question that it answers."""
        async with self._database.read_transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id)
            await self._budget.check(Ledger(session), conversation.user_id)
            messages = VisibleMessages(session, self._principal)
            message = await messages.get(conversation_id, message_id)
            if message.role != "user" and message.parent_id is not None:
                message = await messages.get(conversation_id, message.parent_id)
        return _require_question(message)

    async def _store_answer_with_retries(
        self, answer: Answer, question: UUID, source_ids: Collection[UUID], *, is_new: bool
    ) -> None:
        """Store the answer, with retries while the database is unavailable.

        Raises `DatabaseUnavailable` when the retries take too long.
        """
        async for attempt in retry_while_unavailable(self._store_retry_seconds):
            with attempt:
                await self._store_answer(answer, question, source_ids, is_new=is_new)

    @retry_on_lost_connection
    async def _store_answer(
        self, answer: Answer, question: UUID, source_ids: Collection[UUID], *, is_new: bool
    ) -> None:
        """Store the answer and the sources it was written with.

        Questions that were asked after the same question before this answer was stored now follow the
        answer. Raises `NotFound` when the conversation was deleted.
        """
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            reply = Message.reply(answer, question)
            owner, active = await mine.activate_branch(
                reply, instead_of=question if is_new else None
            )
            if not await mine.add(reply, source_ids):
                return
            if active != reply.id:
                await mine.attach_follow_ups(reply.conversation_id, question, reply.id)
            await Ledger(session).add(answer_spending(owner, answer))


async def collect_answer(events: AsyncGenerator[ChatEvent]) -> Answer:
    """Consume the events of a turn and return its answer."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Completed):
                return event.answer
    raise AssertionError("a turn ends with `Completed` or raises")


def _require_question(message: Message) -> Message:
    if message.role != "user":
        raise InvalidInput(
            "This message is not a question. Use the id of the question that it answers."
        )
    return message


def _print_result(answer: Answer, seconds: float) -> None:
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
