"""A conversation as it is shown and exported: one branch, with the turnings to the others."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from storage.domain import Answer, Value
from storage.tables import Conversation, Message

Rating = Literal["up", "down"]


class Opinion(Value):
    """What its reader thinks of an answer, or of its `claim`, counted from 0."""

    rating: Rating
    reason: str = ""
    claim: int | None = None


class Said(Value):
    """One message; `answer` is the snapshot given at the time."""

    id: UUID
    role: str
    text: str
    answer: Answer | None
    created_at: datetime
    siblings: tuple[UUID, ...] = ()
    """What stands at this place on every branch, by age; the message itself included."""
    feedback: tuple[Opinion, ...] = ()


class Thread(Value):
    """A conversation with all that was said on its active branch, oldest first."""

    id: UUID
    title: str
    created_at: datetime
    updated_at: datetime
    messages: tuple[Said, ...]

    def as_markdown(self) -> str:
        """For people: questions as headings, answers with their footnotes."""
        parts = [f"# {_line(self.title) or 'Conversation'}"]
        for said in self.messages:
            if said.role == "user":
                parts.append(f"## {_line(said.text)}")
            else:
                parts += [said.text, *_footnotes(said.answer)]
        return "\n\n".join(parts) + "\n"


def said(
    message: Message, siblings: tuple[UUID, ...] = (), feedback: tuple[Opinion, ...] = ()
) -> Said:
    """A message as it is shown."""
    fields = {
        name: getattr(message, name) for name in ("id", "role", "text", "answer", "created_at")
    }
    return Said(**fields, siblings=siblings, feedback=feedback)


def thread(conversation: Conversation, messages: tuple[Said, ...]) -> Thread:
    """A conversation as it is shown."""
    return Thread(
        **conversation.model_dump(include={"id", "title", "created_at", "updated_at"}),
        messages=messages,
    )


def _footnotes(answer: Answer | None) -> list[str]:
    if answer is None or not answer.citations:
        return []
    notes = (
        f"[{c.n}] [{_line(' › '.join(c.section))}]({c.url})\n> {_line(c.quote)}"
        for c in answer.citations
    )
    return list(notes)


def _line(text: str) -> str:
    return " ".join(text.split())
