"""The metadata that Ibid's models attach to a response, in LlamaIndex's field `raw`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, MessageRole

from storage.domain import Attempt, Usage, Value
from storage.errors import ModelUnavailable

Responses = AsyncGenerator[ChatResponse, None]


class ResponseMetadata(Value):
    """Metadata of the last response of an answer; also of a response that restarts the answer."""

    model: str
    """The model that answers or, at a restart, the model whose answer broke off."""
    finish: Literal["stop", "length"] = "stop"
    usage: Usage = Usage()
    generation: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """Earlier models that failed."""
    restarted: bool = False
    """Whether all earlier deltas are to be discarded."""


def build_response(text: str, delta: str, metadata: ResponseMetadata | None = None) -> ChatResponse:
    """Build a LlamaIndex response from the whole text so far and its newest part."""
    message = ChatMessage(role=MessageRole.ASSISTANT, content=text)
    return ChatResponse(message=message, delta=delta, raw=metadata)


async def last_response(responses: Responses) -> ChatResponse:
    """Return the last response, which holds the whole text; raise `ModelUnavailable` if there is none."""
    last: ChatResponse | None = None
    async with aclosing(responses):
        async for response in responses:
            last = response
    if last is None:
        raise ModelUnavailable("The model returned no text.")
    return last
