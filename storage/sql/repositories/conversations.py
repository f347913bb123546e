"""Queries about conversations, and the tree that their messages form."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, Uuid, bindparam
from sqlmodel import and_, case, col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from storage.errors import NotFound
from storage.sql.repositories.users import Users
from storage.sql.tables import (
    CitedVersion,
    Conversation,
    Corpus,
    Feedback,
    Message,
    MessageSource,
    Source,
    User,
)
from storage.sql.upsert import build_insert, column_values

UNKNOWN = UUID(int=0)
"""The id for a corpus that was deleted before an answer from it was stored: only admins can see it."""

# Built once, because every question runs it.
OWNER = select(User.id).where(col(User.name) == bindparam("owner")).scalar_subquery()
_OWN = select(Conversation).where(
    col(Conversation.id) == bindparam("id"), col(Conversation.user_id) == OWNER
)
_OWN_TO_WRITE = _OWN.with_for_update()


@cache
def _insert_once(insert: Any) -> Any:
    return insert.on_conflict_do_nothing(index_elements=["id"])


def _build_activation() -> Any:
    active = col(Conversation.active_id)
    message, instead_of = (bindparam(name, type_=Uuid()) for name in ("message", "instead_of"))
    is_its_turn = or_(instead_of.is_(None), active == instead_of)
    return (
        update(Conversation)
        .where(col(Conversation.id) == bindparam("conversation"))
        .where(col(Conversation.user_id) == OWNER)
        .values(active_id=case((is_its_turn, message), else_=active))
        .returning(col(Conversation.user_id), active)
        .execution_options(synchronize_session=False)
    )


_ACTIVATION = _build_activation()


@dataclass(frozen=True, slots=True)
class ConversationCursor:
    """The position in the list of conversations at which a page ended."""

    updated_at: datetime
    id: UUID


def newest_first(limit: int, after: ConversationCursor | None) -> SelectOfScalar[Conversation]:
    """Select the conversations of an `owner`, last used first."""
    at, id_ = col(Conversation.updated_at), col(Conversation.id)
    statement = select(Conversation).where(col(Conversation.user_id) == OWNER)
    if after is not None:
        earlier = or_(at < after.updated_at, and_(at == after.updated_at, id_ < after.id))
        statement = statement.where(at <= after.updated_at, earlier)
    return statement.order_by(at.desc(), id_.desc()).limit(limit)


class Conversations:
    """The conversations of one user, for changes; those of other users are not found.

    Messages are read with `storage.sql.repositories.messages`.
    """

    def __init__(self, session: AsyncSession, owner: str) -> None:
        """Take the owner's name; an unknown user has no conversations."""
        self._session = session
        self._owner = owner

    async def recent(
        self, limit: int, after: ConversationCursor | None = None
    ) -> list[Conversation]:
        """Return a page of conversations, last used first."""
        statement = newest_first(limit, after)
        return [*(await self._session.exec(statement, params={"owner": self._owner})).all()]

    async def get(self, conversation_id: UUID, *, for_update: bool = False) -> Conversation:
        """Return a conversation; raises `NotFound`, also if it belongs to another user.

        With `for_update`, the row is locked: other writers wait for the end of the transaction.
        """
        statement = _OWN_TO_WRITE if for_update else _OWN
        parameters = {"id": conversation_id, "owner": self._owner}
        conversation = (await self._session.exec(statement, params=parameters)).first()
        if conversation is None:
            raise NotFound("conversation", conversation_id)
        return conversation

    async def start(self, conversation_id: UUID, title: str = "") -> Conversation:
        """Return the conversation with this id; create it if it does not exist."""
        conversation = await self._session.get(Conversation, conversation_id)
        if conversation is None:
            owner = await Users(self._session).get_or_create(self._owner)
            conversation = Conversation(id=conversation_id, user_id=owner.id, title=title)
            self._session.add(conversation)
            await self._session.flush()
        return conversation

    async def remove(self, conversation_id: UUID) -> None:
        """Remove a conversation with all its messages."""
        await self._session.delete(await self.get(conversation_id))
        await self._session.flush()

    async def add(self, message: Message, source_ids: Collection[UUID] = ()) -> bool:
        """Store a message, and for an answer its citations and sources; return False if it was stored before.

        `source_ids` are the sources that the answer was written with, in addition to those that it mentions.
        """
        insert = _insert_once(build_insert(self._session, Message))
        kept = cast(
            "CursorResult[Any]", await self._session.exec(insert, params=column_values(message))
        )
        if not kept.rowcount:
            return False
        if answer := message.answer:
            if cited := {(c.source_id, c.source_version) for c in answer.citations}:
                rows = [
                    {"message_id": message.id, "source_id": source_id, "version": version}
                    for source_id, version in cited
                ]
                await self._session.exec(build_insert(self._session, CitedVersion), params=rows)
            if sources := {*source_ids, *answer.source_ids}:
                await self._store_sources(message.id, sources)
        return True

    async def _store_sources(self, message_id: UUID, sources: Collection[UUID]) -> None:
        """Store the sources of an answer with their corpora."""
        rows = await self._session.exec(
            select(Source.id, Corpus.id)
            .join(Corpus, col(Corpus.name) == col(Source.corpus))
            .where(col(Source.id).in_(sources))
        )
        corpora = dict(rows.all())
        values = [
            {"message_id": message_id, "source_id": key, "corpus_id": corpora.get(key, UNKNOWN)}
            for key in sources
        ]
        await self._session.exec(build_insert(self._session, MessageSource), params=values)

    async def activate_branch(
        self, message: Message, *, instead_of: UUID | None
    ) -> tuple[UUID, UUID]:
        """Make a message the end of the active branch.

        With `instead_of`, do this only if the branch ends with that message. Return the owner's id and the id
        of the message at the end of the branch; raises `NotFound`.
        """
        parameters = {"message": message.id, "instead_of": instead_of, "owner": self._owner}
        parameters["conversation"] = message.conversation_id
        found = cast("CursorResult[Any]", await self._session.exec(_ACTIVATION, params=parameters))
        row = found.first()
        if row is None:
            raise NotFound("conversation", message.conversation_id)
        return row.user_id, row.active_id

    async def attach_follow_ups(self, conversation_id: UUID, question: UUID, answer: UUID) -> None:
        """Move follow-up questions that were asked before the question had its answer below that answer."""
        await self._session.exec(
            update(Message)
            .where(
                col(Message.conversation_id) == conversation_id,
                col(Message.parent_id) == question,
                col(Message.role) == "user",
            )
            .values(parent_id=answer)
        )

    async def rate(self, feedback: Feedback) -> None:
        """Save feedback; it replaces earlier feedback on the same answer or claim."""
        await self._session.merge(feedback)


class Tree:
    """The messages of one conversation, each below its parent; siblings are sorted by age."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = {message.id: message for message in messages}
        self._children: dict[UUID | None, list[Message]] = {}
        for message in messages:
            self._children.setdefault(message.parent_id, []).append(message)

    def branch(self, leaf: UUID | None) -> list[Message]:
        """Return the messages from the first one down to `leaf`."""
        messages: list[Message] = []
        while leaf is not None:
            messages.append(self._messages[leaf])
            leaf = messages[-1].parent_id
        return messages[::-1]

    def leaf(self, message_id: UUID) -> UUID:
        """Return the last message of the newest branch through a message."""
        while children := self._children.get(message_id):
            message_id = children[-1].id
        return message_id

    def siblings(self, message: Message) -> list[UUID]:
        """Return the alternatives to a message on other branches, including the message itself."""
        same = self._children[message.parent_id]
        return [other.id for other in same if other.role == message.role]
