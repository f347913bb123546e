"""What is asked of SQL about conversations, and the tree that their messages form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import CursorResult, Uuid, bindparam
from sqlalchemy.orm import aliased
from sqlmodel import and_, case, col, exists, func, literal, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.domain import Answer
from storage.errors import NotFound
from storage.people import Users
from storage.tables import CitedVersion, Conversation, Feedback, Message, User
from storage.upserting import column_values, inserting

# What every turn asks is put together once.
_OWNER = select(User.id).where(col(User.name) == bindparam("owner")).scalar_subquery()
_OWN = select(Conversation).where(
    col(Conversation.id) == bindparam("id"), col(Conversation.user_id) == _OWNER
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
        .where(col(Conversation.user_id) == _OWNER)
        .values(active_id=case((is_its_turn, message), else_=active))
        .returning(col(Conversation.user_id), active)
        .execution_options(synchronize_session=False)
    )


def _branch() -> Any:
    """Backwards from a leaf, or from where the active branch ends, a step at a time."""
    leaf = func.coalesce(bindparam("leaf", type_=Uuid()), col(Conversation.active_id))
    back = (
        select(Message.id, Message.parent_id, literal(1).label("steps"))
        .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
        .where(col(Conversation.id) == bindparam("conversation"), col(Message.id) == leaf)
        .where(col(Conversation.user_id) == _OWNER)
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


_SHOWING, _BRANCH = _showing(), _branch()


class Said(NamedTuple):
    """A message without the answer that it may be."""

    id: UUID
    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the list of conversations a page ended."""

    updated_at: datetime
    id: UUID


class Conversations:
    """The conversations of one user, and the messages in them: another's are not found."""

    def __init__(self, session: AsyncSession, owner: str) -> None:
        """Of the user by that name; of one who was never seen there are none."""
        self._session = session
        self._owner = owner

    @property
    def _owner_id(self) -> Any:
        return select(User.id).where(col(User.name) == self._owner).scalar_subquery()

    async def recent(
        self, limit: int, after: Place | None = None, search: str = ""
    ) -> list[Conversation]:
        """Last used first; `search` is looked for in titles and in all that was said."""
        statement = (
            select(Conversation)
            .where(col(Conversation.user_id) == self._owner_id)
            .order_by(col(Conversation.updated_at).desc(), col(Conversation.id).desc())
            .limit(limit)
        )
        if after is not None:
            at, id_ = col(Conversation.updated_at), col(Conversation.id)
            earlier = or_(at < after.updated_at, and_(at == after.updated_at, id_ < after.id))
            statement = statement.where(at <= after.updated_at, earlier)
        if search:
            said = exists().where(
                col(Message.conversation_id) == col(Conversation.id),
                col(Message.text).icontains(search, autoescape=True),
            )
            statement = statement.where(
                or_(col(Conversation.title).icontains(search, autoescape=True), said)
            )
        return list(await self._session.exec(statement))

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

    async def messages(self, conversation_id: UUID) -> list[Message]:
        """All that was said, on every branch, in the order in which it was kept."""
        statement = (
            select(Message)
            .where(col(Message.conversation_id) == conversation_id)
            .order_by(col(Message.seq))
        )
        return list(await self._session.exec(statement))

    async def message(self, conversation_id: UUID, message_id: UUID) -> Message:
        """Raises `NotFound`, also for one of another conversation."""
        statement = select(Message).where(
            col(Message.id) == message_id, col(Message.conversation_id) == conversation_id
        )
        message = (await self._session.exec(statement)).first()
        if message is None:
            raise NotFound("message", message_id)
        return message

    async def reply(self, message_id: UUID) -> Answer:
        """The answer with this id; raises `NotFound`, for another user's too."""
        statement = (
            select(Message)
            .join(Conversation)
            .where(col(Message.id) == message_id, col(Conversation.user_id) == self._owner_id)
        )
        message = (await self._session.exec(statement)).first()
        if message is None or message.answer is None:
            raise NotFound("answer", message_id)
        return message.answer

    async def exchanges(self, last: int) -> list[tuple[str, Answer]]:
        """Questions with their answers, latest first; a question that got none is left out."""
        asked = aliased(Message)
        statement = (
            select(asked, Message)
            .join(Message, col(asked.id) == col(Message.parent_id))
            .join(Conversation, col(Conversation.id) == col(Message.conversation_id))
            .where(col(Conversation.user_id) == self._owner_id, col(Message.role) == "assistant")
            .order_by(col(Message.seq).desc())
            .limit(last)
        )
        rows = await self._session.exec(statement)
        return [(question.text, reply.answer) for question, reply in rows if reply.answer]

    async def branch(self, conversation_id: UUID, last: int, leaf: UUID | None) -> list[Said]:
        """The `last` messages of the branch that ends in `leaf`, or that is active; oldest first."""
        asked_for = {"conversation": conversation_id, "leaf": leaf, "last": last}
        rows = cast(
            "Iterable[tuple[UUID, str, str]]",
            await self._session.exec(_BRANCH, params={**asked_for, "owner": self._owner}),
        )
        return [Said(*row) for row in rows]

    async def answers(self, message_ids: Iterable[UUID]) -> dict[UUID, Answer]:
        """Those of the messages that are answers, whole."""
        statement = select(Message).where(col(Message.id).in_(message_ids))
        found = await self._session.exec(statement)
        return {message.id: message.answer for message in found if message.answer is not None}

    async def add(self, message: Message) -> bool:
        """Keeps it, and for an answer which versions it cites; False when it was kept before."""
        insert = _once(inserting(self._session, Message))
        kept = cast(
            "CursorResult[Any]", await self._session.exec(insert, params=column_values(message))
        )
        if not kept.rowcount:
            return False
        citations = message.answer.citations if message.answer else ()
        if cited := {(c.source_id, c.source_version) for c in citations}:
            rows = [
                {"message_id": message.id, "source_id": source_id, "version": version}
                for source_id, version in cited
            ]
            await self._session.exec(inserting(self._session, CitedVersion), params=rows)
        return True

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

    async def feedback(self, conversation_id: UUID) -> list[Feedback]:
        """On all its messages."""
        statement = (
            select(Feedback)
            .join(Message, col(Message.id) == col(Feedback.message_id))
            .where(col(Message.conversation_id) == conversation_id)
            .order_by(col(Feedback.claim))
        )
        return list(await self._session.exec(statement))


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
