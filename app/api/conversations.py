"""Endpoints for conversations: ask, list, read, export, change, delete and rate."""

from typing import Annotated, Literal
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, patch, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_204_NO_CONTENT
from pydantic import Field

from app.api.pagination import encode_cursor, parse_cursor
from app.api.turns import ANSWER, AnswerOptions, FirstQuestion, respond
from app.chat.request import TurnOptions
from app.chat.service import ChatService
from app.conversations.service import ConversationService
from app.conversations.views import ConversationView, MessageFeedback
from storage.domain import Answer, Value
from storage.sql.tables import Conversation

Title = Annotated[str, Field(max_length=200)]


class Question(FirstQuestion):
    """A question. `instead_of` is the id of an earlier question; this one replaces it in a new branch."""

    instead_of: UUID | None = None


class NewConversation(Value):
    """A new conversation. If `title` is empty, it is taken from the first question."""

    title: Title = ""


class ConversationUpdate(Value):
    """Changes to a conversation: a new `title`, or in `active` the id of a message whose branch to show."""

    title: Title | None = None
    active: UUID | None = None


class ConversationList(Value):
    """A page of conversations, most recently used first. `next` is the `cursor` of the next page."""

    conversations: tuple[Conversation, ...]
    next: str | None = None


class ConversationController(Controller):
    """`/api/v1/conversations`."""

    path = "/conversations"
    tags = ("conversations",)
    opt = {"right": "ask"}  # noqa: RUF012 - Litestar declares it so

    @post("/", summary="Start a conversation")
    async def start(
        self, chat: NamedDependency[ChatService], data: JSONBody[NewConversation | None] = None
    ) -> Conversation:
        """Start a conversation. Its id is part of the URL that questions are sent to."""
        return await chat.start(data.title if data else "")

    @get("/", summary="List conversations")
    async def recent(
        self,
        history: NamedDependency[ConversationService],
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        after: Annotated[str | None, QueryParameter(name="cursor")] = None,
        q: FromQuery[str] = "",
    ) -> ConversationList:
        """List conversations, most recently used first. `q` filters by title and messages."""
        found = await history.recent(limit + 1, parse_cursor(after), q)
        page, has_more = found[:limit], len(found) > limit
        return ConversationList(
            conversations=tuple(page), next=encode_cursor(page[-1]) if has_more else None
        )

    @get("/{conversation_id:uuid}", summary="Read a conversation")
    async def read(
        self, conversation_id: FromPath[UUID], history: NamedDependency[ConversationService]
    ) -> ConversationView:
        """Return the active branch, with the answers as they were given."""
        return await history.view(conversation_id)

    @get("/{conversation_id:uuid}/export", summary="Export a conversation")
    async def export(
        self,
        conversation_id: FromPath[UUID],
        history: NamedDependency[ConversationService],
        kind: Annotated[Literal["json", "markdown"], QueryParameter(name="format")] = "json",
    ) -> Response[ConversationView] | Response[str]:
        """Return a file to download: JSON, or Markdown with footnotes."""
        thread = await history.view(conversation_id)
        if kind == "json":
            return Response(thread, headers=_attachment(conversation_id, "json"))
        headers = _attachment(conversation_id, "md")
        return Response(thread.as_markdown(), media_type="text/markdown", headers=headers)

    @patch("/{conversation_id:uuid}", summary="Rename a conversation or choose a branch")
    async def change(
        self,
        conversation_id: FromPath[UUID],
        data: JSONBody[ConversationUpdate],
        history: NamedDependency[ConversationService],
    ) -> ConversationView:
        """Change the title or the active branch. Fields that are null stay unchanged."""
        if data.title is not None:
            await history.rename(conversation_id, data.title)
        if data.active is not None:
            await history.select_branch(conversation_id, data.active)
        return await history.view(conversation_id)

    @delete("/{conversation_id:uuid}", summary="Delete a conversation")
    async def remove(
        self, conversation_id: FromPath[UUID], history: NamedDependency[ConversationService]
    ) -> None:
        """Delete a conversation with all its messages."""
        await history.remove(conversation_id)

    @post("/{conversation_id:uuid}/messages", summary="Ask a question", responses=ANSWER)
    async def ask(
        self,
        conversation_id: FromPath[UUID],
        data: JSONBody[Question],
        chat: NamedDependency[ChatService],
        request: Request[object, object, State],
    ) -> Response[Answer] | Response[None] | Stream:
        """Answer as JSON, or as a stream of events if the client accepts `text/event-stream`."""
        events = chat.stream(conversation_id, data.to_request(), instead_of=data.instead_of)
        return await respond(events, request)

    @post(
        "/{conversation_id:uuid}/messages/{message_id:uuid}/regenerate",
        summary="Answer a question again",
        responses=ANSWER,
    )
    async def regenerate(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        chat: NamedDependency[ChatService],
        request: Request[object, object, State],
        data: JSONBody[AnswerOptions | None] = None,
    ) -> Response[Answer] | Response[None] | Stream:
        """Answer a question again, in a new branch. `message_id` is the question or one of its answers."""
        options = data.to_options() if data else TurnOptions()
        events = chat.regenerate(conversation_id, message_id, options)
        return await respond(events, request)

    @put(
        "/{conversation_id:uuid}/messages/{message_id:uuid}/feedback",
        summary="Rate an answer or a claim",
        status_code=HTTP_204_NO_CONTENT,
    )
    async def rate(
        self,
        conversation_id: FromPath[UUID],
        message_id: FromPath[UUID],
        data: JSONBody[MessageFeedback],
        history: NamedDependency[ConversationService],
    ) -> None:
        """Rate an answer `up` or `down`, with a reason; with `claim`, rate only that claim."""
        await history.rate(conversation_id, message_id, data)


def _attachment(conversation_id: UUID, suffix: str) -> dict[str, str]:
    name = f"conversation-{conversation_id}.{suffix}"
    return {"Content-Disposition": f'attachment; filename="{name}"'}
