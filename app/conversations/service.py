"""List, read, rename, rate and delete stored conversations."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from app.conversations.gaps import Gap, find_gaps
from app.conversations.messages import VisibleMessages
from app.conversations.views import (
    ConversationView,
    MessageFeedback,
    Rating,
    conversation_view,
    message_view,
)
from storage.domain import LOCAL, Answer, Principal
from storage.errors import InvalidInput
from storage.sql.database import Database, Session, retry_on_lost_connection
from storage.sql.repositories.conversations import ConversationCursor, Conversations, Tree
from storage.sql.repositories.sources import Sources
from storage.sql.tables import WHOLE_ANSWER, Conversation, Feedback, Message

MAX_REASON_LENGTH = 2_000
_MAX_EXCHANGES = 10_000
"""Number of the latest answers in which gaps are searched for."""


class ConversationService:
    """The conversations of one user; those of other users are not found."""

    def __init__(self, database: Database, principal: Principal = LOCAL) -> None:
        self._database = database
        self._principal = principal

    def acting_for(self, principal: Principal) -> "ConversationService":
        """Return a history that acts for another user."""
        return ConversationService(self._database, principal)

    @retry_on_lost_connection
    async def recent(
        self, limit: int = 50, after: ConversationCursor | None = None, search: str = ""
    ) -> list[Conversation]:
        """Return conversations, last used first; if `search` is given, only those that contain it."""
        async with self._database.read_transaction() as session:
            if search:
                return await self._messages(session).search(search, limit, after)
            return await Conversations(session, self._principal.name).recent(limit, after)

    async def messages(self, conversation_id: UUID) -> tuple[Conversation, list[Message]]:
        """Return a conversation and the messages of its active branch; raise `NotFound`."""
        read = await self._load(conversation_id)
        return read.conversation, read.tree.branch(read.conversation.active_id)

    async def view(self, conversation_id: UUID) -> ConversationView:
        """Return a conversation as it is shown: its active branch with siblings and feedback."""
        read = await self._load(conversation_id)
        branch = read.tree.branch(read.conversation.active_id)
        return conversation_view(
            read.conversation,
            tuple(
                message_view(
                    message,
                    tuple(read.tree.siblings(message)),
                    tuple(read.feedback.get(message.id, ())),
                    read.live_versions,
                )
                for message in branch
            ),
        )

    @retry_on_lost_connection
    async def answer(self, message_id: UUID) -> Answer:
        """Return an answer without what its reader may no longer see; raise `NotFound`."""
        async with self._database.read_transaction() as session:
            return await self._messages(session).answer(message_id)

    @retry_on_lost_connection
    async def gaps(self) -> list[Gap]:
        """Return the gaps in the documentation that the latest questions show."""
        async with self._database.read_transaction() as session:
            exchanges = await self._messages(session).exchanges(_MAX_EXCHANGES)
        return find_gaps(exchanges)

    @retry_on_lost_connection
    async def rename(self, conversation_id: UUID, title: str) -> Conversation:
        """Rename a conversation; raise `NotFound`."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id, for_update=True)
            conversation.title = title
            return conversation

    @retry_on_lost_connection
    async def select_branch(self, conversation_id: UUID, message_id: UUID) -> Conversation:
        """Make the newest branch through a message the active one; raise `NotFound`."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id, for_update=True)
            messages = self._messages(session)
            await messages.get(conversation_id, message_id)
            conversation.active_id = (await messages.tree(conversation_id)).leaf(message_id)
            return conversation

    @retry_on_lost_connection
    async def remove(self, conversation_id: UUID) -> None:
        """Delete a conversation with its messages, and the source texts that only they cited."""
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            await mine.remove(conversation_id)
            await Sources(session).prune_texts()

    @retry_on_lost_connection
    async def rate(
        self, conversation_id: UUID, message_id: UUID, feedback: MessageFeedback
    ) -> None:
        """Store feedback on a message in place of earlier feedback; raise `NotFound` or `InvalidInput`."""
        if len(feedback.reason) > MAX_REASON_LENGTH:
            raise InvalidInput(f"A reason has at most {MAX_REASON_LENGTH:,} characters.")
        async with self._database.transaction() as session:
            mine = Conversations(session, self._principal.name)
            await mine.get(conversation_id)
            reason = feedback.reason.replace("\0", "\ufffd")
            await self._messages(session).rate(
                conversation_id, message_id, feedback.rating, reason, feedback.claim
            )

    def _messages(self, session: Session) -> VisibleMessages:
        return VisibleMessages(session, self._principal)

    @retry_on_lost_connection
    async def _load(self, conversation_id: UUID) -> "_LoadedConversation":
        async with self._database.read_transaction() as session:
            mine = Conversations(session, self._principal.name)
            conversation = await mine.get(conversation_id)
            messages = self._messages(session)
            tree = await messages.tree(conversation_id)
            feedback = await messages.feedback(conversation_id)
            branch = tree.branch(conversation.active_id)
            live = await Sources(session).live_versions(_cited_source_ids(branch))
        rated = {
            key: [_to_feedback(rating) for rating in ratings] for key, ratings in feedback.items()
        }
        return _LoadedConversation(conversation, tree, rated, live)


class _LoadedConversation(NamedTuple):
    conversation: Conversation
    tree: Tree
    feedback: dict[UUID, list[MessageFeedback]]
    live_versions: dict[UUID, int]
    """Current versions of the cited sources, by source id."""


def _to_feedback(feedback: Feedback) -> MessageFeedback:
    rating: Rating = "up" if feedback.rating == "up" else "down"
    claim = None if feedback.claim == WHOLE_ANSWER else feedback.claim
    return MessageFeedback(rating=rating, reason=feedback.reason, claim=claim)


def _cited_source_ids(messages: Sequence[Message]) -> set[UUID]:
    """Return the ids of all sources that the answers among the messages refer to."""
    return {source for m in messages if m.answer for source in m.answer.source_ids}
