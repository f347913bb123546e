"""The endpoint that starts a conversation and answers its first question in one call."""

from uuid import uuid4

from litestar import Request, Response, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.response import Stream

from app.api.turns import ANSWER, FirstQuestion, respond
from app.chat.service import ChatService
from storage.domain import Answer


@post(
    "/ask",
    tags=["conversations"],
    opt={"right": "ask"},
    summary="Ask a question in a new conversation",
    responses=ANSWER,
)
async def ask(
    data: JSONBody[FirstQuestion],
    chat: NamedDependency[ChatService],
    request: Request[object, object, State],
) -> Response[Answer] | Response[None] | Stream:
    """Start a conversation and answer, as JSON or as a stream of events, like the endpoint for messages.

    The answer has the `conversation_id`. The header `Location` has the URL of the conversation, also for
    a stream. A question that is refused, for example because a budget is spent, starts no conversation.
    """
    conversation_id = uuid4()
    events = chat.ask(data.to_request(), conversation_id)
    return await respond(events, request, conversation_id)
