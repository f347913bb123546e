"""Views of a conversation for display and export: one branch, with references to the others."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from app.text.markdown import escape_markdown, markdown_link
from storage.domain import Answer, Value
from storage.sql.tables import Conversation, Message

Rating = Literal["up", "down"]
SourceStatus = Literal["changed", "gone"]


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
    moved_on: Annotated[dict[UUID, SourceStatus], Field(default_factory=dict)]
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
        parts = [f"# {escape_markdown(self.title) or 'Conversation'}"]
        for message in self.messages:
            if message.role == "user":
                parts.append(f"## {escape_markdown(message.text)}")
            else:
                parts += [message.text, *_footnotes(message.answer)]
        return "\n\n".join(parts) + "\n"


def message_view(
    message: Message,
    siblings: tuple[UUID, ...] = (),
    feedback: tuple[MessageFeedback, ...] = (),
    live_versions: Mapping[UUID, int] = MappingProxyType({}),
) -> MessageView:
    """Return a message as it is shown; `live_versions` has the current versions of the cited sources."""
    fields = {
        name: getattr(message, name) for name in ("id", "role", "text", "answer", "created_at")
    }
    return MessageView(
        **fields,
        siblings=siblings,
        feedback=feedback,
        moved_on=_changed_sources(message.answer, live_versions) if message.answer else {},
    )


def _changed_sources(answer: Answer, live_versions: Mapping[UUID, int]) -> dict[UUID, SourceStatus]:
    cited = {citation.source_id: citation.source_version for citation in answer.citations}
    return {
        source_id: "changed" if source_id in live_versions else "gone"
        for source_id, version in cited.items()
        if live_versions.get(source_id) != version
    }


def conversation_view(
    conversation: Conversation, messages: tuple[MessageView, ...]
) -> ConversationView:
    """Return a conversation as it is shown."""
    return ConversationView(
        **conversation.model_dump(include={"id", "title", "created_at", "updated_at"}),
        messages=messages,
    )


def _footnotes(answer: Answer | None) -> list[str]:
    if answer is None or not answer.citations:
        return []
    notes = (
        f"\\[{c.n}\\] "
        f"{markdown_link(' › '.join(c.section or (c.title,)), c.url)}\n> {escape_markdown(c.quote)}"
        for c in answer.citations
    )
    return list(notes)
