"""What a response of Ibid's models carries besides its words, in LlamaIndex's field `raw`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole

from storage.domain import Attempt, Usage, Value
from storage.errors import ModelUnavailable

Responses = AsyncGenerator[ChatResponse, None]


class ResponseMetadata(Value):
    """On the last response of an answer; and, with `restarted`, where one begins anew."""

    model: str
    """The one that answers, or, at a restart, the one that broke off."""
    finish: Literal["stop", "length"] = "stop"
    usage: Usage = Usage()
    generation: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """Models tried before in vain."""
    restarted: bool = False
    """All deltas up to here are void."""


def response(said: str, delta: str, spoken: ResponseMetadata | None = None) -> ChatResponse:
    """As LlamaIndex wants it: all that was said so far, and the last of it."""
    message = ChatMessage(role=MessageRole.ASSISTANT, content=said)
    return ChatResponse(message=message, delta=delta, raw=spoken)


async def drained(responses: Responses) -> ChatResponse:
    """The last response, which has the whole text."""
    last: ChatResponse | None = None
    async with aclosing(responses):
        async for one in responses:
            last = one
    if last is None:
        raise ModelUnavailable("The model gave no words.")
    return last
