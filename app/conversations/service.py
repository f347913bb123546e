"""List, read, rename, rate and delete stored conversations."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from app.conversations.gaps import Gap, gaps
from app.conversations.messages import Messages
from app.conversations.views import ConversationView, MessageFeedback, Rating, said, thread
from storage.domain import LOCAL, Answer, Principal
from storage.errors import InvalidInput
from storage.sql.database import Database, Session, retried
from storage.sql.repositories.conversations import ConversationCursor, Conversations, Tree
from storage.sql.repositories.sources import Sources
from storage.sql.tables import WHOLE, Conversation, Feedback, Message

LONGEST_REASON = 2_000
_LOOKED_THROUGH = 10_000
"""Number of the latest answers in which gaps are searched for."""


class History:
    """The conversations of one user; those of other users are not found."""

    def __init__(self, database: Database, principal: Principal = LOCAL) -> None:
        self._database = database
        self._principal = principal

    def acting_for(self, principal: Principal) -> "History":
        """Return a history that acts for another user."""
        return History(self._database, principal)

    @retried
    async def recent(
        self, limit: int = 50, after: ConversationCursor | None = None, search: str = ""
    ) -> list[Conversation]:
        """Return conversations, last used first; if `search` is given, only those that contain it."""
        async with self._database.reading() as session:
            if search:
                return await self._messages(session).search(search, limit, after)
            return await Conversations(session, self._principal.name).recent(limit, after)

    async def messages(self, conversation_id: UUID) -> tuple[Conversation, list[Message]]:
        """Return a conversation and the messages of its active branch; raise `NotFound`."""
        read = await self._read(conversation_id)
        return read.conversation, read.tree.branch(read.conversation.active_id)

    async def thread(self, conversation_id: UUID) -> ConversationView:
        """Return a conversation as it is shown: its active branch with siblings and feedback."""
        read = await self._read(conversation_id)
        branch = read.tree.branch(read.conversation.active_id)
        return thread(
            read.conversation,
            tuple(
                said(
                    message,
                    tuple(read.tree.siblings(message)),
                    tuple(read.rated.get(message.id, ())),
                    read.live,
                )
                for message in branch
            ),
        )

    @retried
    async def reply(self, message_id: UUID) -> Answer:
        """Return an answer without what its reader may no longer see; raise `NotFound`."""
        async with self._database.reading() as session:
            return await self._messages(session).answer(message_id)

    @retried
    async def gaps(self) -> list[Gap]:
        """Return the gaps in the documentation that the latest questions show."""
        async with self._database.reading() as session:
            exchanges = await self._messages(session).exchanges(_LOOKED_THROUGH)
        return gaps(exchanges)

    @retried
    async def rename(self, conversation_id: UUID, title: str) -> Conversation:
        """Rename a conversation; raise `NotFound`."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id, to_write=True)
            conversation.title = title
            return conversation

    @retried
    async def choose(self, conversation_id: UUID, message_id: UUID) -> Conversation:
        """Make the newest branch through a message the active one; raise `NotFound`."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id, to_write=True)
            messages = self._messages(session)
            await messages.one(conversation_id, message_id)
            conversation.active_id = (await messages.tree(conversation_id)).leaf(message_id)
            return conversation

    @retried
    async def remove(self, conversation_id: UUID) -> None:
        """Delete a conversation with its messages, and the source texts that only they cited."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            await mine.remove(conversation_id)
            await Sources(session).prune_texts()

    @retried
    async def rate(self, conversation_id: UUID, message_id: UUID, opinion: MessageFeedback) -> None:
        """Store feedback on a message in place of earlier feedback; raise `NotFound` or `InvalidInput`."""
        if len(opinion.reason) > LONGEST_REASON:
            raise InvalidInput(f"A reason has at most {LONGEST_REASON:,} characters.")
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            await mine.get(conversation_id)
            reason = opinion.reason.replace("\0", "\ufffd")
            await self._messages(session).rate(
                conversation_id, message_id, opinion.rating, reason, opinion.claim
            )

    def _messages(self, session: Session) -> Messages:
        return Messages(session, self._principal)

    @retried
    async def _read(self, conversation_id: UUID) -> "_Read":
        async with self._database.reading() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id)
            messages = self._messages(session)
            tree = await messages.tree(conversation_id)
            feedback = await messages.feedback(conversation_id)
            branch = tree.branch(conversation.active_id)
            live = await Sources(session).live_versions(_cited(branch))
        rated = {key: [_opinion(each) for each in given] for key, given in feedback.items()}
        return _Read(conversation, tree, rated, live)


class _Read(NamedTuple):
    conversation: Conversation
    tree: Tree
    rated: dict[UUID, list[MessageFeedback]]
    live: dict[UUID, int]
    """Current versions of the cited sources, by source id."""


def _opinion(feedback: Feedback) -> MessageFeedback:
    rating: Rating = "up" if feedback.rating == "up" else "down"
    claim = None if feedback.claim == WHOLE else feedback.claim
    return MessageFeedback(rating=rating, reason=feedback.reason, claim=claim)


def _cited(messages: Sequence[Message]) -> set[UUID]:
    """Return the ids of all sources that the answers among the messages refer to."""
    return {source for m in messages if m.answer for source in m.answer.source_ids}
