"""Conversations and the turns in them."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import ServerSentEvent
from litestar.status_codes import HTTP_201_CREATED
from pydantic import Field

from app.api.paging import Offset
from app.api.sse import stream
from app.chat.checking import Verify
from app.chat.service import ChatService
from storage.domain import Answer, Value
from storage.tables import Conversation, Message


class Question(Value):
    """What is asked, and in which corpora; in all of them when none is named."""

    text: str
    corpora: tuple[str, ...] = ()
    filter: Annotated[dict[str, str], Field(default_factory=dict)]
    """A docs `version`, a `locale`; without them the newest, in the corpus's language."""
    verify: Verify | None = None
    """Whether claims get verdicts, for this answer; by default as `VERIFY` says."""


class NewConversation(Value):
    """A title is taken from the first question when none is given."""

    title: Annotated[str, Field(max_length=200)] = ""


class Said(Value):
    """One message; `answer` is the snapshot given at the time.

    `moved_on` says which of its sources, by id, have `changed` since, or have `gone`.
    """

    id: UUID
    role: str
    text: str
    answer: Answer | None
    created_at: datetime
    moved_on: dict[UUID, Literal["changed", "gone"]]


class Thread(Value):
    """A conversation with all that was said in it, oldest first."""

    id: UUID
    title: str
    created_at: datetime
    updated_at: datetime
    messages: tuple[Said, ...]


class Threads(Value):
    """Conversations, last used first."""

    conversations: tuple[Conversation, ...]


class ConversationController(Controller):
    """`/api/v1/conversations`."""

    path = "/conversations"
    tags = ("conversations",)

    @post("/", summary="Start a conversation")
    async def start(
        self, chat: NamedDependency[ChatService], data: JSONBody[NewConversation | None] = None
    ) -> Conversation:
        """Its id is what questions are sent to."""
        return await chat.start(data.title if data else "")

    @get("/", summary="List conversations")
    async def recent(
        self,
        chat: NamedDependency[ChatService],
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        offset: Offset = 0,
    ) -> Threads:
        """Last used first."""
        return Threads(conversations=tuple(await chat.recent(limit, offset)))

    @get("/{conversation_id:uuid}", summary="Read a conversation")
    async def read(
        self, conversation_id: FromPath[UUID], chat: NamedDependency[ChatService]
    ) -> Thread:
        """With every answer as it was given."""
        conversation, messages = await chat.messages(conversation_id)
        return Thread(
            **conversation.model_dump(exclude={"user_id"}),
            messages=tuple(
                [_said(message, await chat.moved_on([message])) for message in messages]
            ),
        )

    @delete("/{conversation_id:uuid}", summary="Delete a conversation")
    async def remove(
        self, conversation_id: FromPath[UUID], chat: NamedDependency[ChatService]
    ) -> None:
        """With all its messages."""
        await chat.remove(conversation_id)

    @post(
        "/{conversation_id:uuid}/messages",
        summary="Ask a question",
        responses={HTTP_201_CREATED: ResponseSpec(Answer, description="The whole answer")},
    )
    async def ask(
        self,
        conversation_id: FromPath[UUID],
        data: JSONBody[Question],
        chat: NamedDependency[ChatService],
        request: Request[object, object, State],
    ) -> Response[Answer] | ServerSentEvent:
        """JSON; or, to a client that accepts `text/event-stream`, the events of the turn."""
        if "text/event-stream" in request.headers.get("accept", ""):
            return await stream(
                chat.stream(conversation_id, data.text, data.corpora, data.filter, data.verify)
            )
        return Response(
            await chat.answer(conversation_id, data.text, data.corpora, data.filter, data.verify)
        )


def _said(message: Message, moved_on: dict[UUID, Literal["changed", "gone"]]) -> Said:
    return Said(
        id=message.id,
        role=message.role,
        text=message.text,
        answer=message.answer,
        created_at=message.created_at,
        moved_on=moved_on,
    )
