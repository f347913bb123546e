"""Turns of stored conversations: a new question, and an earlier question that is answered again."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

from llama_index.core.base.llms.types import ChatMessage, MessageRole

from app.chat.request import AnswerRequest, TurnOptions
from app.chat.turn_engine import Turn
from app.chat.turn_runner import TurnRunner
from app.conversations.messages import VisibleMessages
from app.usage.budgets import answer_spending
from storage.domain import Answer
from storage.errors import InvalidInput
from storage.sql.database import Session, retry_on_lost_connection
from storage.sql.repositories.conversations import Conversations
from storage.sql.repositories.usage import Ledger
from storage.sql.tables import Message

_HISTORY_LENGTH = 12
"""Number of earlier messages that a turn receives as history."""
_TITLE_LENGTH = 80


class AskedTurn:
    """A new question in a conversation.

    With `instead_of`, the id of an earlier question, it replaces that one on a new branch. With
    `starts_conversation`, the conversation is created together with the question.
    """

    def __init__(
        self,
        runner: TurnRunner,
        conversation_id: UUID,
        request: AnswerRequest | str,
        *,
        instead_of: UUID | None = None,
        starts_conversation: bool = False,
    ) -> None:
        self._runner = runner
        self._conversation_id = conversation_id
        self._request = request
        self._instead_of = instead_of
        self._starts_conversation = starts_conversation
        self._question, self._question_id = "", uuid4()

    @retry_on_lost_connection
    async def load(self) -> Turn:
        """Return the turn with the history of the active branch, or up to the replaced question."""
        request = AnswerRequest.of(self._request)
        self._question = request.question
        async with self._runner.database.read_transaction() as session:
            scope = await self._runner.search.scope_in(session, request.corpora, request.filter)
            history = await self._load_history(session)
        return Turn(request.question, scope, history, self._conversation_id, verify=request.verify)

    @retry_on_lost_connection
    async def begin(self) -> None:
        """Store the question as the new end of the active branch; raise `BudgetSpent` before that."""
        async with self._runner.database.transaction() as session:
            mine = Conversations(session, self._runner.principal.name)
            if self._starts_conversation:
                conversation = await mine.start(self._conversation_id)
            else:
                conversation = await mine.get(self._conversation_id, for_update=True)
            await self._runner.budget.check(Ledger(session), conversation.user_id)
            before = conversation.active_id
            if self._instead_of is not None:
                messages = VisibleMessages(session, self._runner.principal)
                before = (await messages.get(conversation.id, self._instead_of)).parent_id
            await mine.add(
                Message.question(conversation.id, self._question, before, self._question_id)
            )
            conversation.title = conversation.title or self._question[:_TITLE_LENGTH]
            conversation.updated_at = datetime.now(UTC)
            conversation.active_id = self._question_id

    async def complete(self, answer: Answer, source_ids: Collection[UUID]) -> None:
        """Store the answer. It is shown unless the user has moved to another branch meanwhile."""
        await _store_answer(
            self._runner, answer, source_ids, self._question_id, shown_after=self._question_id
        )

    async def _load_history(self, session: Session) -> Sequence[ChatMessage]:
        if self._starts_conversation:
            return ()
        messages = VisibleMessages(session, self._runner.principal)
        if self._instead_of is None:
            # A conversation that does not exist gives no messages; storing the question then fails.
            return await _branch(messages, self._conversation_id, None)
        await Conversations(session, self._runner.principal.name).get(self._conversation_id)
        replaced = await messages.get(self._conversation_id, self._instead_of)
        return await _history_before(messages, _require_question(replaced))


class RepeatedTurn:
    """An earlier question of a conversation that is answered again, on a new branch.

    `message_id` is the id of the question or of one of its answers.
    """

    def __init__(
        self,
        runner: TurnRunner,
        conversation_id: UUID,
        message_id: UUID,
        options: TurnOptions,
    ) -> None:
        self._runner = runner
        self._conversation_id = conversation_id
        self._question_id = message_id
        self._options = options

    @retry_on_lost_connection
    async def load(self) -> Turn:
        """Return the turn with the history before the question; raise `BudgetSpent`."""
        async with self._runner.database.read_transaction() as session:
            mine = Conversations(session, self._runner.principal.name)
            conversation = await mine.get(self._conversation_id)
            await self._runner.budget.check(Ledger(session), conversation.user_id)
            messages = VisibleMessages(session, self._runner.principal)
            message = await messages.get(self._conversation_id, self._question_id)
            if message.role != "user" and message.parent_id is not None:
                message = await messages.get(self._conversation_id, message.parent_id)
            question, options = _require_question(message), self._options
            self._question_id = question.id
            scope = await self._runner.search.scope_in(session, options.corpora, options.filter)
            history = await _history_before(messages, question)
        return Turn(question.text, scope, history, self._conversation_id, verify=options.verify)

    async def begin(self) -> None:
        """Do nothing, because the question is stored and the budget was checked with it."""

    async def complete(self, answer: Answer, source_ids: Collection[UUID]) -> None:
        """Store the answer and show it."""
        await _store_answer(self._runner, answer, source_ids, self._question_id)


@retry_on_lost_connection
async def _store_answer(
    runner: TurnRunner,
    answer: Answer,
    source_ids: Collection[UUID],
    question_id: UUID,
    shown_after: UUID | None = None,
) -> None:
    """Store the answer, the sources it was written with, and its cost.

    With `shown_after`, the answer becomes the end of the active branch only if that message is its end.
    Questions that were asked after the same question before this answer was stored now follow the
    answer. Raises `NotFound` when the conversation was deleted.
    """
    async with runner.database.transaction() as session:
        mine = Conversations(session, runner.principal.name)
        reply = Message.reply(answer, question_id)
        owner, active = await mine.activate_branch(reply, instead_of=shown_after)
        if not await mine.add(reply, source_ids):
            return
        if active != reply.id:
            await mine.attach_follow_ups(reply.conversation_id, question_id, reply.id)
        await Ledger(session).add(answer_spending(owner, answer))


async def _history_before(messages: VisibleMessages, question: Message) -> Sequence[ChatMessage]:
    if question.parent_id is None:
        return ()
    return await _branch(messages, question.conversation_id, question.parent_id)


async def _branch(
    messages: VisibleMessages, conversation_id: UUID, leaf: UUID | None
) -> Sequence[ChatMessage]:
    """Return the messages of the branch that ends in `leaf`; without it, of the active branch."""
    said = await messages.branch(conversation_id, _HISTORY_LENGTH, leaf)
    return [ChatMessage(role=MessageRole(s.role), content=s.text) for s in said]


def _require_question(message: Message) -> Message:
    if message.role != "user":
        raise InvalidInput(
            "This message is not a question. Use the id of the question that it answers."
        )
    return message
