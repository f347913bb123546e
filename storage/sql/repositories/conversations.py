"""What is asked of SQL about conversations, and the tree that their messages form."""

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
from storage.sql.upsert import column_values, inserting

UNKNOWN = UUID(int=0)
"""Stands for a corpus that was deleted before an answer from it was kept: admins alone see it."""

# What every turn asks is put together once.
OWNER = select(User.id).where(col(User.name) == bindparam("owner")).scalar_subquery()
_OWN = select(Conversation).where(
    col(Conversation.id) == bindparam("id"), col(Conversation.user_id) == OWNER
)
_OWN_TO_WRITE = _OWN.with_for_update()


@cache
def _once(insert: Any) -> Any:
    return insert.on_conflict_do_nothing(index_elements=["id"])


def _showing() -> Any:
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


_SHOWING = _showing()


@dataclass(frozen=True, slots=True)
class ConversationCursor:
    """Where in the list of conversations a page ended."""

    updated_at: datetime
    id: UUID


def newest_first(limit: int, after: ConversationCursor | None) -> SelectOfScalar[Conversation]:
    """The conversations of an `owner`, last used first."""
    at, id_ = col(Conversation.updated_at), col(Conversation.id)
    statement = select(Conversation).where(col(Conversation.user_id) == OWNER)
    if after is not None:
        earlier = or_(at < after.updated_at, and_(at == after.updated_at, id_ < after.id))
        statement = statement.where(at <= after.updated_at, earlier)
    return statement.order_by(at.desc(), id_.desc()).limit(limit)


class Conversations:
    """The conversations of one user, and writing in them: another's are not found.

    What was said in them is read from `storage.sql.repositories.messages`.
    """

    def __init__(self, session: AsyncSession, owner: str) -> None:
        """Of the user by that name; of one who was never seen there are none."""
        self._session = session
        self._owner = owner

    async def recent(
        self, limit: int, after: ConversationCursor | None = None
    ) -> list[Conversation]:
        """Last used first."""
        statement = newest_first(limit, after)
        return [*(await self._session.exec(statement, params={"owner": self._owner})).all()]

    async def get(self, conversation_id: UUID, *, to_write: bool = False) -> Conversation:
        """Raises `NotFound`, for another user's too. To write, others wait until this is done."""
        statement = _OWN_TO_WRITE if to_write else _OWN
        asked_for = {"id": conversation_id, "owner": self._owner}
        conversation = (await self._session.exec(statement, params=asked_for)).first()
        if conversation is None:
            raise NotFound("conversation", conversation_id)
        return conversation

    async def start(self, conversation_id: UUID, title: str = "") -> Conversation:
        """A new one; the same once, however often it is begun."""
        begun = await self._session.get(Conversation, conversation_id)
        if begun is None:
            owner = await Users(self._session).named(self._owner)
            begun = Conversation(id=conversation_id, user_id=owner.id, title=title)
            self._session.add(begun)
            await self._session.flush()
        return begun

    async def remove(self, conversation_id: UUID) -> None:
        """With all its messages."""
        await self._session.delete(await self.get(conversation_id))
        await self._session.flush()

    async def add(self, message: Message, given: Collection[UUID] = ()) -> bool:
        """Keeps it, for an answer with what it rests on; False when it was kept before.

        `given` are the sources that it was written with, besides those that it tells of.
        """
        insert = _once(inserting(self._session, Message))
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
                await self._session.exec(inserting(self._session, CitedVersion), params=rows)
            if sources := {*given, *answer.source_ids}:
                await self._trace(message.id, sources)
        return True

    async def _trace(self, message_id: UUID, sources: Collection[UUID]) -> None:
        """Write down of which corpora an answer was made."""
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
        await self._session.exec(inserting(self._session, MessageSource), params=values)

    async def show(self, message: Message, *, instead_of: UUID | None) -> tuple[UUID, UUID]:
        """End the active branch with a message; if it ends with `instead_of`, where that is given.

        Who owns the conversation, and what the branch ends with now; raises `NotFound`.
        """
        shown = {"message": message.id, "instead_of": instead_of, "owner": self._owner}
        shown["conversation"] = message.conversation_id
        found = cast("CursorResult[Any]", await self._session.exec(_SHOWING, params=shown))
        row = found.first()
        if row is None:
            raise NotFound("conversation", message.conversation_id)
        return row.user_id, row.active_id

    async def hang(self, conversation_id: UUID, question: UUID, answer: UUID) -> None:
        """What was asked before the question had its answer follows the answer from now on."""
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
        """Instead of what was thought of it before."""
        await self._session.merge(feedback)


class Tree:
    """The messages of one conversation, each under the one it follows; siblings by age."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self._messages = {message.id: message for message in messages}
        self._children: dict[UUID | None, list[Message]] = {}
        for message in messages:
            self._children.setdefault(message.parent_id, []).append(message)

    def branch(self, leaf: UUID | None) -> list[Message]:
        """From the first message down to `leaf`."""
        said: list[Message] = []
        while leaf is not None:
            said.append(self._messages[leaf])
            leaf = said[-1].parent_id
        return said[::-1]

    def leaf(self, message_id: UUID) -> UUID:
        """Where the newest branch through a message ends."""
        while children := self._children.get(message_id):
            message_id = children[-1].id
        return message_id

    def siblings(self, message: Message) -> list[UUID]:
        """What stands at the same place on other branches, the message itself included."""
        same = self._children[message.parent_id]
        return [other.id for other in same if other.role == message.role]
