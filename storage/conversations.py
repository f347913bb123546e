"""What is asked of SQL about conversations, and the tree that their messages form."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self
from uuid import UUID

from sqlalchemy.orm import aliased
from sqlmodel import and_, col, exists, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.domain import Answer
from storage.errors import NotFound
from storage.people import Users
from storage.tables import CitedVersion, Conversation, Feedback, Message, User


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the list of conversations a page ended."""

    updated_at: datetime
    id: UUID


class Conversations:
    """The conversations of one user, and the messages in them: another's are not found."""

    def __init__(self, session: AsyncSession, user: User) -> None:
        self._session = session
        self._user = user

    @classmethod
    async def of(cls, session: AsyncSession, name: str) -> Self:
        """Of the user by that name; of one who was never seen there are none."""
        return cls(session, await Users(session).find(name) or User(name=name))

    async def recent(
        self, limit: int, after: Place | None = None, search: str = ""
    ) -> list[Conversation]:
        """Last used first; `search` is looked for in titles and in all that was said."""
        statement = (
            select(Conversation)
            .where(col(Conversation.user_id) == self._user.id)
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
        conversation = await self._session.get(
            Conversation, conversation_id, with_for_update=True if to_write else None
        )
        if conversation is None or conversation.user_id != self._user.id:
            raise NotFound("conversation", conversation_id)
        return conversation

    async def start(self, conversation_id: UUID, title: str = "") -> Conversation:
        """A new one; the same once, however often it is begun."""
        begun = Conversation(id=conversation_id, user_id=self._user.id, title=title)
        return await self._session.get(Conversation, conversation_id) or await self._added(begun)

    async def _added(self, conversation: Conversation) -> Conversation:
        self._session.add(conversation)
        await self._session.flush()
        return conversation

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
            .where(col(Message.id) == message_id, col(Conversation.user_id) == self._user.id)
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
            .where(col(Conversation.user_id) == self._user.id, col(Message.role) == "assistant")
            .order_by(col(Message.seq).desc())
            .limit(last)
        )
        rows = await self._session.exec(statement)
        return [(question.text, reply.answer) for question, reply in rows if reply.answer]

    async def branch(self, conversation_id: UUID, leaf: UUID | None, last: int) -> list[Message]:
        """The `last` messages of the branch that ends in `leaf`, oldest first."""
        statement = select(Message.id, Message.parent_id).where(
            col(Message.conversation_id) == conversation_id
        )
        parents: dict[UUID, UUID | None] = dict((await self._session.exec(statement)).all())
        wanted: list[UUID] = []
        while leaf is not None and len(wanted) < last:
            wanted.append(leaf)
            leaf = parents.get(leaf)
        chosen = select(Message).where(col(Message.id).in_(wanted))
        messages = {message.id: message for message in await self._session.exec(chosen)}
        return [messages[message_id] for message_id in reversed(wanted)]

    async def add(self, message: Message) -> bool:
        """Keeps it, and for an answer which versions it cites; False when it was kept before."""
        there = select(func.count()).where(col(Message.id) == message.id)
        if (await self._session.exec(there)).one():
            return False
        self._session.add(message)
        await self._session.flush()
        if message.answer is not None:
            cited = {(c.source_id, c.source_version) for c in message.answer.citations}
            self._session.add_all(
                CitedVersion(message_id=message.id, source_id=source_id, version=version)
                for source_id, version in cited
            )
        return True

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
