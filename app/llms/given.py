"""A LlamaIndex LLM that was given in Python, with its exceptions as errors of Ibid."""

import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import LLM, CustomLLM

from app.llms.response import Responses
from storage.errors import IbidError, ModelUnavailable
from storage.logs import log_failure

_log = logging.getLogger("ibid.llm")


class GivenLLM(CustomLLM):
    """An LLM that passes calls to `llm`, and raises `ModelUnavailable` if `llm` fails."""

    llm: LLM

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class for LlamaIndex."""
        return "GivenLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The metadata of the model."""
        return self.llm.metadata

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Stream the model's deltas."""
        return self._stream(messages, kwargs)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the model's whole answer."""
        try:
            return await self.llm.achat(messages, **kwargs)
        except Exception as error:
            raise _translate(error, self.metadata.model_name) from error

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        """Return the model's whole answer to code that is not async."""
        return self.llm.complete(prompt, formatted, **kwargs)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        """Yield the model's responses to code that is not async."""
        return self.llm.stream_complete(prompt, formatted, **kwargs)

    async def _stream(self, messages: Sequence[ChatMessage], options: dict[str, Any]) -> Responses:
        try:
            async with aclosing(await self.llm.astream_chat(messages, **options)) as responses:
                async for response in responses:
                    yield response
        except Exception as error:
            raise _translate(error, self.metadata.model_name) from error


def _translate(error: Exception, model: str) -> IbidError:
    """Return an error of Ibid. The message names only the class, because a vendor's text may hold a key."""
    if isinstance(error, IbidError):
        return error
    told = ModelUnavailable(f"it raised {type(error).__name__}", model=model, cost=None)
    log_failure(_log, "given_model_failed", error, {"model": model})
    return told
