"""A LlamaIndex model that streams the pieces of text that a test gives it."""

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
    MessageRole,
)
from llama_index.core.llms import CustomLLM
from pydantic import ConfigDict

from storage.errors import ModelUnavailable


class ScriptedLLM(CustomLLM):
    """Streams `pieces` and records the prompts; raises `error` after `fails_after` pieces."""

    pieces: list[str] = ["Wait"]  # noqa: RUF012 - a pydantic field, copied for each
    fails_after: int | None = None
    error: Exception = ModelUnavailable("The model hung up.")
    model_config = ConfigDict(arbitrary_types_allowed=True)
    prompts: list[Sequence[ChatMessage]] = []  # noqa: RUF012 - a pydantic field, copied for each

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="scripted")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text="".join(self.pieces))

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise NotImplementedError

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        self.prompts.append(messages)

        async def stream() -> ChatResponseAsyncGen:
            said = ""
            for number, piece in enumerate(self.pieces):
                if number == self.fails_after:
                    raise self.error
                said += piece
                message = ChatMessage(role=MessageRole.ASSISTANT, content=said)
                yield ChatResponse(message=message, delta=piece)

        return stream()
