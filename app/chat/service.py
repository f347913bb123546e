"""Answer questions in stored conversations, which any interface can do through `ChatService`."""

from collections.abc import AsyncGenerator
from uuid import UUID, uuid4

from app.chat.events import ChatEvent
from app.chat.request import AnswerRequest, TurnOptions
from app.chat.stored_turn import AskedTurn, RepeatedTurn
from app.chat.turn_runner import TurnRunner, collect_answer
from storage.domain import Answer, Principal
from storage.sql.database import retry_on_lost_connection
from storage.sql.repositories.conversations import Conversations
from storage.sql.tables import Conversation

_NO_OPTIONS = TurnOptions()


class ChatService:
    """The chat service that all interfaces call: it runs turns in the conversations of one user.

    The events of a turn begin after its question is stored, and `Completed` comes only after its answer
    is stored.
    """

    def __init__(self, turns: TurnRunner) -> None:
        self._turns = turns

    def acting_for(self, principal: Principal) -> "ChatService":
        """Return a copy of this service that acts for another user."""
        return ChatService(self._turns.acting_for(principal))

    async def start(self, title: str = "") -> Conversation:
        """Create an empty conversation."""
        self._turns.principal.require("ask")
        return await self._start(uuid4(), title)

    def ask(
        self, request: AnswerRequest | str, conversation_id: UUID | None = None
    ) -> AsyncGenerator[ChatEvent]:
        """Start a conversation with a question and yield the events of its turn.

        The conversation gets `conversation_id`, which must be new, or a random id. It is created together
        with its question, so a question that is refused leaves no empty conversation.
        """
        new_id = conversation_id or uuid4()
        return self._turns.run(AskedTurn(self._turns, new_id, request, starts_conversation=True))

    def stream(
        self,
        conversation_id: UUID,
        request: AnswerRequest | str,
        *,
        instead_of: UUID | None = None,
    ) -> AsyncGenerator[ChatEvent]:
        """Yield the events of one turn. A plain text is a question with the default options.

        `instead_of` is the id of an earlier question that this one replaces, on a new branch.
        Raises `BudgetSpent` before the question is stored or a language model is called.
        """
        return self._turns.run(
            AskedTurn(self._turns, conversation_id, request, instead_of=instead_of)
        )

    def regenerate(
        self, conversation_id: UUID, message_id: UUID, options: TurnOptions = _NO_OPTIONS
    ) -> AsyncGenerator[ChatEvent]:
        """Answer an earlier question again, on a new branch, and yield the events of that turn.

        `message_id` is the id of the question or of one of its answers. Raises `BudgetSpent` before
        a language model is called.
        """
        return self._turns.run(RepeatedTurn(self._turns, conversation_id, message_id, options))

    async def answer(self, conversation_id: UUID | None, request: AnswerRequest | str) -> Answer:
        """Run a whole turn and return its answer. Without `conversation_id`, start a conversation."""
        if conversation_id is None:
            return await collect_answer(self.ask(request))
        return await collect_answer(self.stream(conversation_id, request))

    async def wait_until_stored(self) -> None:
        """Wait until all answers are stored and all usage is recorded."""
        await self._turns.wait_until_stored()

    @retry_on_lost_connection
    async def _start(self, conversation_id: UUID, title: str) -> Conversation:
        async with self._turns.database.transaction() as session:
            mine = Conversations(session, self._turns.principal.name)
            return await mine.start(conversation_id, title)
