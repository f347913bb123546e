"""Stored messages, redacted to what their reader may see now; all access to their text goes through here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.conversations.redaction import redact, visible_claims
from app.path_redaction import answer_without_paths
from storage.domain import Answer, Principal
from storage.errors import InvalidInput, NotFound
from storage.sql.database import Session
from storage.sql.repositories.conversations import ConversationCursor, Conversations, Tree
from storage.sql.repositories.messages import StoredMessage, StoredMessages
from storage.sql.tables import WHOLE_ANSWER, Conversation, Feedback, Message

_PAGE = 100
"""Number of conversations that a search reads at once."""


@dataclass(frozen=True, slots=True)
class HiddenSources:
    """The sources of stored answers that the reader may no longer see."""

    sources: dict[UUID, set[UUID]] = field(default_factory=dict[UUID, set[UUID]])
    """Hidden source ids by the id of the answer that was written with them."""
    since: dict[UUID, int] = field(default_factory=dict[UUID, int])
    """Sequence number of the first such answer by conversation id; later answers may repeat its text."""

    def is_influenced(self, message: Message) -> bool:
        """Return whether the message is, or comes after, an answer written with hidden sources."""
        first = self.since.get(message.conversation_id)
        return first is not None and (message.seq or 0) >= first

    def sources_of(self, message: Message) -> set[UUID]:
        """Return the hidden sources that the message was written with."""
        return self.sources.get(message.id, set())


class VisibleMessages:
    """The messages of one user; text from corpora that the user may not see is withheld.

    This needs no further queries as long as every corpus, existing or deleted, is public.
    """

    def __init__(self, session: Session, reader: Principal) -> None:
        self._stored = StoredMessages(session, reader.name)
        self._conversations = Conversations(session, reader.name)
        self._reader = reader
        self._hidden_cache: dict[UUID | None, HiddenSources] = {}

    async def tree(self, conversation_id: UUID) -> Tree:
        """Return all messages of a conversation, with all its branches."""
        hidden = await self._get_hidden(conversation_id)
        messages = await self._stored.all(conversation_id)
        return Tree([self._redact(message, hidden) for message in messages])

    async def get(self, conversation_id: UUID, message_id: UUID) -> Message:
        """Return a message; raise `NotFound`, also for a message of another conversation."""
        message = await self._stored.get(conversation_id, message_id)
        return self._redact(message, await self._get_hidden(conversation_id))

    async def answer(self, message_id: UUID) -> Answer:
        """Return the answer with this id; raise `NotFound`, also for an answer to another user."""
        for message in await self._stored.get_many([message_id]):
            redacted = self._redact(message, await self._get_hidden(message.conversation_id))
            if redacted.answer is not None:
                return redacted.answer
        raise NotFound("answer", message_id)

    async def exchanges(self, limit: int) -> list[tuple[str, Answer]]:
        """Return the `limit` questions with their answers, latest first; skip questions without an answer."""
        hidden = await self._get_hidden()
        found = await self._stored.exchanges(limit)
        redacted = [
            (question.text, self._redact(reply, hidden).answer) for question, reply in found
        ]
        return [(question, answer) for question, answer in redacted if answer is not None]

    async def branch(
        self, conversation_id: UUID, limit: int, leaf: UUID | None
    ) -> list[StoredMessage]:
        """Return the `limit` messages of the branch that ends in `leaf`, oldest first.

        If `leaf` is None, it is the active branch. Whole answers are read only if something must be withheld.
        """
        messages = await self._stored.branch(conversation_id, limit, leaf)
        hidden = await self._get_hidden(conversation_id)
        if not hidden.since:
            return messages
        replies = await self._stored.get_many([line.id for line in messages if line.role != "user"])
        texts = {message.id: self._redact(message, hidden).text for message in replies}
        return [line._replace(text=texts.get(line.id, line.text)) for line in messages]

    async def search(
        self, text: str, limit: int, after: ConversationCursor | None
    ) -> list[Conversation]:
        """Return conversations whose title or shown messages contain the text, last used first."""
        hidden = await self._get_hidden()
        if not hidden.since:
            return await self._stored.search_conversations(text, limit, after)
        found: list[Conversation] = []
        while True:
            page = await self._stored.search_conversations(text, _PAGE, after)
            found += await self._with_visible_text(text, page, hidden)
            if len(found) >= limit or len(page) < _PAGE:
                return found[:limit]
            after = ConversationCursor(page[-1].updated_at, page[-1].id)

    async def feedback(self, conversation_id: UUID) -> dict[UUID, list[Feedback]]:
        """Return the feedback by message id.

        Claim numbers count the claims that are shown; feedback on withheld claims is left out.
        """
        hidden = await self._get_hidden(conversation_id)
        by_message: dict[UUID, list[Feedback]] = {}
        for rating in await self._stored.feedback(conversation_id):
            by_message.setdefault(rating.message_id, []).append(rating)
        if not hidden.since:
            return by_message
        for message in await self._stored.get_many(by_message):
            visible = self._visible_claims(message, hidden)
            by_message[message.id] = [
                rating
                if rating.claim == WHOLE_ANSWER
                else Feedback(
                    **rating.model_dump(exclude={"claim"}), claim=visible.index(rating.claim)
                )
                for rating in by_message[message.id]
                if rating.claim == WHOLE_ANSWER or rating.claim in visible
            ]
        return by_message

    async def rate(
        self, conversation_id: UUID, message_id: UUID, rating: str, reason: str, claim: int | None
    ) -> None:
        """Rate an answer, or one claim by its number among the shown claims; replace an earlier rating.

        Raises `NotFound` or `InvalidInput`.
        """
        message = await self._stored.get(conversation_id, message_id)
        if message.answer is None:
            raise InvalidInput("Only an answer can be rated.")
        visible = self._visible_claims(message, await self._get_hidden(conversation_id))
        if claim is not None and not 0 <= claim < len(visible):
            raise InvalidInput(f"The answer has {len(visible)} claims. Their numbers start at 0.")
        number = WHOLE_ANSWER if claim is None else visible[claim]
        await self._conversations.rate(
            Feedback(message_id=message_id, claim=number, rating=rating, reason=reason)
        )

    async def _get_hidden(self, conversation_id: UUID | None = None) -> HiddenSources:
        """Return what is hidden in one conversation, or in all if None; cached after the first query."""
        if conversation_id not in self._hidden_cache:
            self._hidden_cache[conversation_id] = await self._query_hidden(conversation_id)
        return self._hidden_cache[conversation_id]

    async def _query_hidden(self, conversation_id: UUID | None) -> HiddenSources:
        hidden = HiddenSources()
        if self._reader.is_admin or await self._stored.is_all_public():
            return hidden
        for source in await self._stored.hidden(self._reader, conversation_id):
            hidden.sources.setdefault(source.message_id, set()).add(source.source_id)
            first = hidden.since.get(source.conversation_id, source.seq)
            hidden.since[source.conversation_id] = min(first, source.seq)
        return hidden

    def _redact(self, message: Message, hidden: HiddenSources) -> Message:
        if message.answer is None:
            return message
        influenced = hidden.is_influenced(message)
        answer = redact(message.answer, hidden.sources_of(message), influenced=influenced)
        if not self._reader.is_admin:
            answer = answer_without_paths(answer)
        return message if answer is message.answer else message.with_answer(answer)

    def _visible_claims(self, message: Message, hidden: HiddenSources) -> list[int]:
        if message.answer is None:
            return []
        influenced = hidden.is_influenced(message)
        return visible_claims(message.answer, hidden.sources_of(message), influenced=influenced)

    async def _with_visible_text(
        self, text: str, page: Sequence[Conversation], hidden: HiddenSources
    ) -> list[Conversation]:
        needle, matching = text.lower(), set[UUID]()
        for message in await self._stored.search_messages(
            text, [conversation.id for conversation in page]
        ):
            redacted = self._redact(message, hidden)
            if redacted is message or needle in redacted.text.lower():
                matching.add(message.conversation_id)
        return [
            conversation
            for conversation in page
            if conversation.id in matching or needle in conversation.title.lower()
        ]
