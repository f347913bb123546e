"""Queries about stored messages, without redaction.

Only `app.conversations.messages` reads them: it withholds what the reader may not see.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import Uuid, bindparam
from sqlalchemy.orm import aliased
from sqlmodel import col, exists, func, literal, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.domain import Principal
from storage.errors import NotFound
from storage.sql.repositories.access import corpora_seen_by, is_listed
from storage.sql.repositories.conversations import OWNER, ConversationCursor, newest_first
from storage.sql.tables import Conversation, Corpus, DeletedCorpus, Feedback, Message, MessageSource


def _build_branch() -> Any:
    """Select a branch backwards from a leaf, by default the active one, one message at a time."""
    leaf = func.coalesce(bindparam("leaf", type_=Uuid()), col(Conversation.active_id))
    back = (
        select(Message.id, Message.parent_id, literal(1).label("steps"))
        .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
        .where(col(Conversation.id) == bindparam("conversation"), col(Message.id) == leaf)
        .where(col(Conversation.user_id) == OWNER)
        .cte(recursive=True)
    )
    before = aliased(Message)
    back = back.union_all(
        select(before.id, before.parent_id, back.c.steps + 1)
        .join(back, col(before.id) == back.c.parent_id)
        .where(back.c.steps < bindparam("last"))
    )
    return (
        select(Message.id, Message.role, Message.text)
        .join(back, col(Message.id) == back.c.id)
        .order_by(back.c.steps.desc())
    )


_BRANCH = _build_branch()


class StoredMessage(NamedTuple):
    """A message without its answer object."""

    id: UUID
    role: str
    text: str


class AnswerSource(NamedTuple):
    """A source that was available when an answer was written."""

    conversation_id: UUID
    message_id: UUID
    seq: int
    source_id: UUID


class StoredMessages:
    """The messages in all conversations of one user."""

    def __init__(self, session: AsyncSession, owner: str) -> None:
        self._session = session
        self._owner = owner

    async def is_all_public(self) -> bool:
        """Return whether all corpora, deleted ones included, are public: then nothing is withheld."""
        listed = or_(is_listed(Corpus), is_listed(DeletedCorpus))
        return not (await self._session.exec(select(listed))).one()

    async def hidden(
        self, reader: Principal, conversation_id: UUID | None = None
    ) -> list[AnswerSource]:
        """Return the sources of messages whose corpora the reader may not see.

        The messages are those of one conversation, or of all.
        """
        statement = (
            select(Message.conversation_id, Message.id, Message.seq, MessageSource.source_id)
            .join(MessageSource, col(MessageSource.message_id) == col(Message.id))
            .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
            .where(self._is_own, col(MessageSource.corpus_id).not_in(corpora_seen_by(reader)))
        )
        if conversation_id is not None:
            statement = statement.where(col(Message.conversation_id) == conversation_id)
        rows = await self._exec(statement)
        return [AnswerSource(*row) for row in rows]

    async def all(self, conversation_id: UUID) -> list[Message]:
        """Return the messages on all branches, in the order in which they were stored."""
        of_it = col(Message.conversation_id) == conversation_id
        statement = self._select_own().where(of_it).order_by(col(Message.seq))
        return list(await self._exec(statement))

    async def get(self, conversation_id: UUID, message_id: UUID) -> Message:
        """Return a message; raises `NotFound`, also if it is in another conversation."""
        statement = self._select_own().where(
            col(Message.id) == message_id, col(Message.conversation_id) == conversation_id
        )
        message = (await self._exec(statement)).first()
        if message is None:
            raise NotFound("message", message_id)
        return message

    async def get_many(self, message_ids: Collection[UUID]) -> list[Message]:
        """Return the messages with these ids; unknown ids are ignored."""
        return list(await self._exec(self._select_own().where(col(Message.id).in_(message_ids))))

    async def exchanges(self, limit: int) -> list[tuple[Message, Message]]:
        """Return questions with their answers, latest first; questions without an answer are left out."""
        questions = aliased(Message)
        statement = (
            select(questions, Message)
            .join(Message, col(questions.id) == col(Message.parent_id))
            .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
            .where(self._is_own, col(Message.role) == "assistant")
            .order_by(col(Message.seq).desc())
            .limit(limit)
        )
        rows = await self._exec(statement)
        return [(question, reply) for question, reply in rows]

    async def branch(
        self, conversation_id: UUID, limit: int, leaf: UUID | None
    ) -> list[StoredMessage]:
        """Return the `limit` messages of the branch to `leaf`, or of the active one; oldest first."""
        parameters = {"conversation": conversation_id, "leaf": leaf, "last": limit}
        rows = cast(
            "Iterable[tuple[UUID, str, str]]",
            await self._session.exec(_BRANCH, params={**parameters, "owner": self._owner}),
        )
        return [StoredMessage(*row) for row in rows]

    async def search_conversations(
        self, text: str, limit: int, after: ConversationCursor | None
    ) -> list[Conversation]:
        """Return the conversations with the text in their title or messages, last used first."""
        has_message = exists().where(
            col(Message.conversation_id) == col(Conversation.id), _contains(text, Message.text)
        )
        statement = newest_first(limit, after).where(
            or_(_contains(text, Conversation.title), has_message)
        )
        return list(await self._exec(statement))

    async def search_messages(self, text: str, conversation_ids: Collection[UUID]) -> list[Message]:
        """Return the messages of these conversations that contain the text."""
        of_them = col(Message.conversation_id).in_(conversation_ids)
        return list(
            await self._exec(self._select_own().where(of_them, _contains(text, Message.text)))
        )

    async def feedback(self, conversation_id: UUID) -> list[Feedback]:
        """Return the feedback on all messages of a conversation."""
        statement = (
            select(Feedback)
            .join(Message, col(Message.id) == col(Feedback.message_id))
            .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
            .where(self._is_own, col(Message.conversation_id) == conversation_id)
            .order_by(col(Feedback.claim))
        )
        return list(await self._exec(statement))

    def _select_own(self) -> Any:
        joined = select(Message).join(
            Conversation, col(Conversation.id) == col(Message.conversation_id)
        )
        return joined.where(self._is_own)

    @property
    def _is_own(self) -> Any:
        return col(Conversation.user_id) == OWNER

    async def _exec(self, statement: Any) -> Any:
        return cast("Any", await self._session.exec(statement, params={"owner": self._owner}))


def _contains(text: str, column: Any) -> Any:
    return col(column).icontains(text, autoescape=True)
