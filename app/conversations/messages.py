"""What was said, as its reader may see it now: the one way to the text of a message."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.conversations.redaction import kept_claims, withhold
from app.paths import without_paths
from storage.domain import Answer, Principal
from storage.errors import InvalidInput, NotFound
from storage.sql.database import Session
from storage.sql.repositories.conversations import ConversationCursor, Conversations, Tree
from storage.sql.repositories.messages import StoredMessage, StoredMessages
from storage.sql.tables import WHOLE, Conversation, Feedback, Message

_PAGE = 100
"""Conversations that are looked through together."""


@dataclass(frozen=True, slots=True)
class Hidden:
    """What was told that must not be told any more."""

    sources: dict[UUID, set[UUID]] = field(default_factory=dict[UUID, set[UUID]])
    """By the answer that was written with them."""
    since: dict[UUID, int] = field(default_factory=dict[UUID, int])
    """By conversation, the first such answer: a model may have repeated it in those after it."""

    def influenced(self, message: Message) -> bool:
        """Whether it was said with hidden text before it."""
        first = self.since.get(message.conversation_id)
        return first is not None and (message.seq or 0) >= first

    def of(self, message: Message) -> set[UUID]:
        """The hidden sources that it was written with."""
        return self.sources.get(message.id, set())


class Messages:
    """Those of one user; what comes from corpora that the user may not see is withheld.

    Nothing more is read for it while every corpus is, and was, public.
    """

    def __init__(self, session: Session, reader: Principal) -> None:
        self._stored = StoredMessages(session, reader.name)
        self._conversations = Conversations(session, reader.name)
        self._reader = reader
        self._known: dict[UUID | None, Hidden] = {}

    async def tree(self, conversation_id: UUID) -> Tree:
        """A whole conversation, with all its branches."""
        hidden = await self._hidden(conversation_id)
        messages = await self._stored.all(conversation_id)
        return Tree([self._shown(message, hidden) for message in messages])

    async def one(self, conversation_id: UUID, message_id: UUID) -> Message:
        """Raises `NotFound`, also for one of another conversation."""
        message = await self._stored.one(conversation_id, message_id)
        return self._shown(message, await self._hidden(conversation_id))

    async def answer(self, message_id: UUID) -> Answer:
        """The answer with this id; raises `NotFound`, for another user's too."""
        for message in await self._stored.some([message_id]):
            shown = self._shown(message, await self._hidden(message.conversation_id))
            if shown.answer is not None:
                return shown.answer
        raise NotFound("answer", message_id)

    async def exchanges(self, last: int) -> list[tuple[str, Answer]]:
        """Questions with their answers, latest first; a question that got none is left out."""
        hidden = await self._hidden()
        found = await self._stored.exchanges(last)
        shown = [(question.text, self._shown(reply, hidden).answer) for question, reply in found]
        return [(question, answer) for question, answer in shown if answer is not None]

    async def branch(
        self, conversation_id: UUID, last: int, leaf: UUID | None
    ) -> list[StoredMessage]:
        """The `last` messages of the branch that ends in `leaf`, or that is active; oldest first.

        No answer is read for it unless there is something to withhold.
        """
        said = await self._stored.branch(conversation_id, last, leaf)
        hidden = await self._hidden(conversation_id)
        if not hidden.since:
            return said
        replies = await self._stored.some([line.id for line in said if line.role != "user"])
        texts = {message.id: self._shown(message, hidden).text for message in replies}
        return [line._replace(text=texts.get(line.id, line.text)) for line in said]

    async def search(
        self, text: str, limit: int, after: ConversationCursor | None
    ) -> list[Conversation]:
        """Last used first: conversations in whose title or messages, as they are shown, it stands."""
        hidden = await self._hidden()
        if not hidden.since:
            return await self._stored.conversations_with(text, limit, after)
        found: list[Conversation] = []
        while True:
            page = await self._stored.conversations_with(text, _PAGE, after)
            found += await self._in_which_it_shows(text, page, hidden)
            if len(found) >= limit or len(page) < _PAGE:
                return found[:limit]
            after = ConversationCursor(page[-1].updated_at, page[-1].id)

    async def feedback(self, conversation_id: UUID) -> dict[UUID, list[Feedback]]:
        """By message; a claim is numbered as it is shown, and one that is withheld has none."""
        hidden = await self._hidden(conversation_id)
        by_message: dict[UUID, list[Feedback]] = {}
        for each in await self._stored.feedback(conversation_id):
            by_message.setdefault(each.message_id, []).append(each)
        if not hidden.since:
            return by_message
        for message in await self._stored.some(by_message):
            shown = self._claims(message, hidden)
            by_message[message.id] = [
                each
                if each.claim == WHOLE
                else Feedback(**each.model_dump(exclude={"claim"}), claim=shown.index(each.claim))
                for each in by_message[message.id]
                if each.claim == WHOLE or each.claim in shown
            ]
        return by_message

    async def rate(
        self, conversation_id: UUID, message_id: UUID, rating: str, reason: str, claim: int | None
    ) -> None:
        """Of an answer, or of the claim that is shown as this one; instead of what was thought before.

        Raises `NotFound` or `InvalidInput`.
        """
        message = await self._stored.one(conversation_id, message_id)
        if message.answer is None:
            raise InvalidInput("Only an answer can be rated.")
        shown = self._claims(message, await self._hidden(conversation_id))
        if claim is not None and not 0 <= claim < len(shown):
            raise InvalidInput(f"The answer has {len(shown)} claims, counted from 0.")
        number = WHOLE if claim is None else shown[claim]
        await self._conversations.rate(
            Feedback(message_id=message_id, claim=number, rating=rating, reason=reason)
        )

    async def _hidden(self, conversation_id: UUID | None = None) -> Hidden:
        """In one conversation, or in all; looked up once."""
        if conversation_id not in self._known:
            self._known[conversation_id] = await self._looked_up(conversation_id)
        return self._known[conversation_id]

    async def _looked_up(self, conversation_id: UUID | None) -> Hidden:
        hidden = Hidden()
        if self._reader.is_admin or await self._stored.is_all_public():
            return hidden
        for told in await self._stored.hidden(self._reader, conversation_id):
            hidden.sources.setdefault(told.message_id, set()).add(told.source_id)
            first = hidden.since.get(told.conversation_id, told.seq)
            hidden.since[told.conversation_id] = min(first, told.seq)
        return hidden

    def _shown(self, message: Message, hidden: Hidden) -> Message:
        if message.answer is None:
            return message
        influenced = hidden.influenced(message)
        answer = withhold(message.answer, hidden.of(message), influenced=influenced)
        if not self._reader.is_admin:
            answer = without_paths(answer)
        return message if answer is message.answer else message.showing(answer)

    def _claims(self, message: Message, hidden: Hidden) -> list[int]:
        if message.answer is None:
            return []
        influenced = hidden.influenced(message)
        return kept_claims(message.answer, hidden.of(message), influenced=influenced)

    async def _in_which_it_shows(
        self, text: str, page: Sequence[Conversation], hidden: Hidden
    ) -> list[Conversation]:
        wanted, showing = text.lower(), set[UUID]()
        for message in await self._stored.with_text(text, [one.id for one in page]):
            shown = self._shown(message, hidden)
            if shown is message or wanted in shown.text.lower():
                showing.add(message.conversation_id)
        return [one for one in page if one.id in showing or wanted in one.title.lower()]
