"""Conversations, their messages, and the sources that an answer was written from."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Index, Integer, Text
from sqlmodel import Field, SQLModel

from storage.domain import Answer
from storage.sql.tables.columns import now, value_json

WHOLE_ANSWER = -1
"""The `claim` of feedback on a whole answer."""


class Conversation(SQLModel, table=True):
    """A series of questions and answers that build on each other, owned by one user."""

    __tablename__: ClassVar[Any] = "conversations"

    __table_args__ = (Index("ix_conversations_user_id_updated_at", "user_id", "updated_at"),)

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE")
    title: str = ""
    active_id: UUID | None = None
    """The last message of the branch that is shown and continued."""
    created_at: datetime = Field(default_factory=now)
    updated_at: datetime = Field(default_factory=now)


class Message(SQLModel, table=True):
    """A question or an answer; an answer is stored exactly as it was given."""

    __tablename__: ClassVar[Any] = "messages"

    seq: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=BigInteger().with_variant(Integer(), "sqlite"),
    )
    """The order in which messages were stored; the same for every reader."""
    id: UUID = Field(default_factory=uuid4, unique=True)
    conversation_id: UUID = Field(foreign_key="conversations.id", index=True, ondelete="CASCADE")
    parent_id: UUID | None = None
    """The previous message on its branch: messages form a tree."""
    role: str
    text: str = Field(sa_type=Text)
    answer: Answer | None = Field(default=None, sa_type=value_json(Answer))
    created_at: datetime = Field(default_factory=now)

    @classmethod
    def question(
        cls, conversation_id: UUID, text: str, after: UUID | None = None, key: UUID | None = None
    ) -> "Message":
        """Return a message with the user's question."""
        return cls(
            id=key or uuid4(),
            conversation_id=conversation_id,
            parent_id=after,
            role="user",
            text=text,
        )

    @classmethod
    def reply(cls, answer: Answer, question: UUID | None = None) -> "Message":
        """Return a message with a snapshot of the answer."""
        return cls(
            id=answer.message_id,
            conversation_id=answer.conversation_id,
            parent_id=question,
            role="assistant",
            text=answer.text,
            answer=answer,
        )

    def with_answer(self, answer: Answer) -> "Message":
        """Return a copy with another answer; the copy belongs to no session."""
        fields = self.model_dump(exclude={"text", "answer"})
        return Message(**fields, text=answer.text, answer=answer)


class Feedback(SQLModel, table=True):
    """A user's rating of an answer, or of one of its claims."""

    __tablename__: ClassVar[Any] = "feedback"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    claim: int = Field(primary_key=True)
    """The index of the claim in the answer, from 0; `WHOLE_ANSWER` for the whole answer."""
    rating: str
    reason: str = Field(default="", sa_type=Text)
    created_at: datetime = Field(default_factory=now)


class CitedVersion(SQLModel, table=True):
    """A version of a source that a message cites; its text is kept as long as this row exists."""

    __tablename__: ClassVar[Any] = "cited_versions"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(primary_key=True, index=True)
    version: int = Field(primary_key=True)


class MessageSource(SQLModel, table=True):
    """A source, and its corpus, that was available when an answer was written, cited or not."""

    __tablename__: ClassVar[Any] = "message_sources"

    message_id: UUID = Field(foreign_key="messages.id", primary_key=True, ondelete="CASCADE")
    source_id: UUID = Field(primary_key=True)
    corpus_id: UUID
