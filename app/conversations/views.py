"""Views of a conversation for display and export: one branch, with references to the others."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from app.text.markdown import markdown_link, plain
from storage.domain import Answer, Value
from storage.sql.tables import Conversation, Message

Rating = Literal["up", "down"]
MovedOn = Literal["changed", "gone"]


class MessageFeedback(Value):
    """The reader's rating of an answer, or of one `claim` in it, counted from 0."""

    rating: Rating
    reason: str = ""
    claim: int | None = None


class MessageView(Value):
    """One message; `answer` is the answer as it was given at the time."""

    id: UUID
    role: str
    text: str
    answer: Answer | None
    created_at: datetime
    siblings: tuple[UUID, ...] = ()
    """Ids of the alternative messages at this place on all branches, oldest first, including this one."""
    feedback: tuple[MessageFeedback, ...] = ()
    moved_on: Annotated[dict[UUID, MovedOn], Field(default_factory=dict)]
    """The cited sources that have changed since or no longer exist, by source id."""


class ConversationView(Value):
    """A conversation with the messages of its active branch, oldest first."""

    id: UUID
    title: str
    created_at: datetime
    updated_at: datetime
    messages: tuple[MessageView, ...]

    def as_markdown(self) -> str:
        """Return readable Markdown: questions as headings, answers with their footnotes."""
        parts = [f"# {plain(self.title) or 'Conversation'}"]
        for said in self.messages:
            if said.role == "user":
                parts.append(f"## {plain(said.text)}")
            else:
                parts += [said.text, *_footnotes(said.answer)]
        return "\n\n".join(parts) + "\n"


def said(
    message: Message,
    siblings: tuple[UUID, ...] = (),
    feedback: tuple[MessageFeedback, ...] = (),
    live: Mapping[UUID, int] = MappingProxyType({}),
) -> MessageView:
    """Return a message as it is shown; `live` has the current versions of the cited sources."""
    fields = {
        name: getattr(message, name) for name in ("id", "role", "text", "answer", "created_at")
    }
    return MessageView(
        **fields,
        siblings=siblings,
        feedback=feedback,
        moved_on=_moved_on(message.answer, live) if message.answer else {},
    )


def _moved_on(answer: Answer, live: Mapping[UUID, int]) -> dict[UUID, MovedOn]:
    cited = {citation.source_id: citation.source_version for citation in answer.citations}
    return {
        source_id: "changed" if source_id in live else "gone"
        for source_id, version in cited.items()
        if live.get(source_id) != version
    }


def thread(conversation: Conversation, messages: tuple[MessageView, ...]) -> ConversationView:
    """Return a conversation as it is shown."""
    return ConversationView(
        **conversation.model_dump(include={"id", "title", "created_at", "updated_at"}),
        messages=messages,
    )


def _footnotes(answer: Answer | None) -> list[str]:
    if answer is None or not answer.citations:
        return []
    notes = (
        f"\\[{c.n}\\] {markdown_link(' › '.join(c.section or (c.title,)), c.url)}\n> {plain(c.quote)}"
        for c in answer.citations
    )
    return list(notes)
