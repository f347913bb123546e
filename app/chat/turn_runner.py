"""Run turns for any interface: limit, budget, answer, ledger; no transaction spans the model's work."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Collection, Coroutine, Sequence
from contextlib import aclosing, suppress
from copy import copy
from typing import Any, Protocol
from uuid import UUID

from llama_index.core.base.llms.types import ChatMessage

from app.chat.events import ChatEvent, Completed, Retrieved
from app.chat.limits import TurnLimit
from app.chat.metering import TurnMeter
from app.chat.request import AnswerRequest
from app.chat.turn_engine import Turn, TurnEngine
from app.retrieval.search import Search
from app.usage.budgets import Budget, answer_spending
from storage.domain import LOCAL, Answer, Principal
from storage.errors import DatabaseUnavailable, FailedAttempt, IndexUnavailable, ModelUnavailable
from storage.http.retry import retry_while_unavailable
from storage.logs import log_failure
from storage.sql.database import Database
from storage.sql.repositories.usage import Ledger
from storage.sql.repositories.users import Users

_log = logging.getLogger("ibid.chat")

STORE_RETRY_SECONDS = 60.0
"""How long storing an answer is retried while the database is unavailable, in seconds."""


class TurnStore(Protocol):
    """The storage of one turn: what is read before it begins, and what is written during and after it."""

    def load(self) -> Coroutine[Any, Any, Turn]:
        """Return the turn, with its scope and history; raise `IbidError` if it must not begin."""
        ...

    def begin(self) -> Coroutine[Any, Any, None]:
        """Store the question and check the budget, while the search runs; raise `BudgetSpent`."""
        ...

    def complete(self, answer: Answer, source_ids: Collection[UUID]) -> Coroutine[Any, Any, None]:
        """Store the answer, the sources that it was written with, and its cost."""
        ...


class TurnRunner:
    """A runner of turns of one user. It has no conversation state, and its copies share one turn limit."""

    def __init__(
        self,
        database: Database,
        engine: TurnEngine,
        budget: Budget | None = None,
        limit: TurnLimit | None = None,
        principal: Principal = LOCAL,
        store_retry_seconds: float = STORE_RETRY_SECONDS,
    ) -> None:
        self.database = database
        self.engine = engine
        self.budget = budget or Budget()
        self.principal = principal
        self._limit = limit or TurnLimit()
        self._store_retry_seconds = store_retry_seconds
        self._background_tasks: set[asyncio.Task[None]] = set()

    @property
    def search(self) -> Search:
        """The search for the user of this runner."""
        return self.engine.search.acting_for(self.principal)

    def acting_for(self, principal: Principal) -> "TurnRunner":
        """Return a copy of this runner that acts for another user."""
        other = copy(self)
        other.principal = principal
        return other

    def stream(
        self, request: AnswerRequest | str, history: Sequence[ChatMessage] = ()
    ) -> AsyncGenerator[ChatEvent]:
        """Yield the events of a turn that follows `history`. Only its cost is stored.

        Raises `BudgetSpent` before a language model is called.
        """
        return self.run(_UnstoredTurn(self, request, history))

    async def run(self, store: TurnStore) -> AsyncGenerator[ChatEvent]:
        """Yield the events of one turn; `Completed` comes only after `store` has completed.

        The turn has begun in `store` before the first event. A turn that fails or is cancelled is charged.
        """
        self.principal.require("ask")
        with self._limit.turn(self.principal):
            turn = await store.load()
            beginning = asyncio.create_task(store.begin())
            try:
                async with aclosing(self._charge(turn, store, beginning)) as events:
                    async for event in events:
                        yield event
            finally:
                await asyncio.wait([beginning])
                beginning.exception()

    async def wait_until_stored(self) -> None:
        """Wait until all answers are stored and all usage is recorded."""
        while self._background_tasks:
            await asyncio.wait(self._background_tasks)

    async def _charge(
        self, turn: Turn, store: TurnStore, beginning: asyncio.Task[None]
    ) -> AsyncGenerator[ChatEvent]:
        """Yield the events of the engine, and record what they cost, however the turn ends."""
        started, meter, given = time.perf_counter(), TurnMeter(), set[UUID]()
        has_begun = False
        try:
            async with aclosing(self.engine.stream(turn)) as events:
                async for event in events:
                    if not has_begun:
                        await asyncio.shield(beginning)
                        has_begun = True
                    if isinstance(event, Retrieved):
                        given = {passage.source_id for passage in event.passages}
                    meter.record(event)
                    if isinstance(event, Completed):
                        completing = self._complete(store, event.answer, given)
                        await asyncio.shield(self._run_in_background(completing))
                        _log_result(event.answer, time.perf_counter() - started)
                    yield event
        except ModelUnavailable as error:
            if error.attempts or meter.has_usage:
                # The model's failure matters more to the caller than one of the database.
                with suppress(DatabaseUnavailable):
                    await self._record_failed_usage(meter, error.attempts)
            raise
        except (asyncio.CancelledError, GeneratorExit, IndexUnavailable):
            if meter.has_usage:
                self._run_in_background(self._record_usage(meter))
            raise

    async def _complete(
        self, store: TurnStore, answer: Answer, source_ids: Collection[UUID]
    ) -> None:
        """Complete the turn, with retries while the database is unavailable.

        Raises `DatabaseUnavailable` when the retries take too long.
        """
        async for attempt in retry_while_unavailable(self._store_retry_seconds):
            with attempt:
                await store.complete(answer, source_ids)

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
        """Record what was spent on a turn that was not completed."""
        async with self.database.transaction() as session:
            user = await Users(session).get_or_create(self.principal.name)
            await Ledger(session).add(meter.usage_so_far(user.id, self.engine.model))

    async def _record_failed_usage(
        self, meter: TurnMeter, attempts: Sequence[FailedAttempt]
    ) -> None:
        """Record what was spent on models that failed to answer."""
        async with self.database.transaction() as session:
            user = await Users(session).get_or_create(self.principal.name)
            await Ledger(session).add(meter.failed_usage(user.id, attempts))


class _UnstoredTurn:
    """A turn without a stored conversation; only its cost is stored."""

    def __init__(
        self, runner: TurnRunner, request: AnswerRequest | str, history: Sequence[ChatMessage]
    ) -> None:
        self._runner = runner
        self._request = request
        self._history = history

    async def load(self) -> Turn:
        """Return the turn in the scope that its user may search."""
        request = AnswerRequest.of(self._request)
        scope = await self._runner.search.scope(request.corpora, request.filter)
        return Turn(request.question, scope, self._history, verify=request.verify)

    async def begin(self) -> None:
        """Check the budget. A user who is not known yet has spent nothing."""
        if not self._runner.budget.is_limited:
            return
        async with self._runner.database.read_transaction() as session:
            user = await Users(session).find(self._runner.principal.name)
            await self._runner.budget.check(Ledger(session), user.id if user else None)

    async def complete(
        self,
        answer: Answer,
        source_ids: Collection[UUID],  # noqa: ARG002 - no message is stored
    ) -> None:
        """Record the cost of the answer."""
        async with self._runner.database.transaction() as session:
            user = await Users(session).get_or_create(self._runner.principal.name)
            await Ledger(session).add(answer_spending(user.id, answer))


async def collect_answer(events: AsyncGenerator[ChatEvent]) -> Answer:
    """Consume the events of a turn and return its answer."""
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Completed):
                return event.answer
    raise AssertionError("a turn ends with `Completed` or raises")


def _log_result(answer: Answer, seconds: float) -> None:
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
