"""OpenRouter's models: the stock class's defaults set right, its failures told as ours."""

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx
import openai
from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ChatResponseAsyncGen
from llama_index.llms.openrouter import OpenRouter

from storage.errors import ModelUnavailable

FIRST_TOKEN_SECONDS = 30
WHOLE_ANSWER_SECONDS = 120
_FAILURES = (openai.APIError, httpx.HTTPError, TimeoutError, ValueError)


class HostedLLM(OpenRouter):
    """Streams an answer, or raises `ModelUnavailable`: never part of one that looks whole.

    The stock class ends in silent success when a stream breaks off or ends in `error`; here only a
    stream with a finish reason of its own is an answer.
    """

    @classmethod
    def over(cls, models: Sequence[str], api_key: str, api_base: str) -> "HostedLLM":
        """The first answers; OpenRouter falls back on the others before the first token."""
        fallbacks = {"extra_body": {"models": list(models)}} if len(models) > 1 else {}
        return cls(
            model=models[0],
            api_key=api_key,
            api_base=api_base,
            max_tokens=1_024,
            context_window=32_000,
            max_retries=0,
            timeout=float(WHOLE_ANSWER_SECONDS),
            additional_kwargs=fallbacks,
        )

    @classmethod
    def class_name(cls) -> str:
        """How LlamaIndex names it."""
        return "HostedLLM"

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Deltas as they come, within deadlines that keep-alive comments cannot stretch."""
        try:
            async with asyncio.timeout(FIRST_TOKEN_SECONDS):
                responses = await super().astream_chat(messages, **kwargs)
        except _FAILURES as error:
            raise _unavailable(self.model, error) from error
        return self._whole(responses)

    async def _whole(self, responses: ChatResponseAsyncGen) -> ChatResponseAsyncGen:
        finish: str | None = None
        try:
            async with asyncio.timeout(WHOLE_ANSWER_SECONDS):
                async for response in responses:
                    finish = _finish_reason(response) or finish
                    yield response
        except _FAILURES as error:
            raise _unavailable(self.model, error) from error
        if finish is None or finish == "error":
            raise ModelUnavailable(f"{self.model} broke off in mid-answer; ask again.")


def _finish_reason(response: ChatResponse) -> str | None:
    choices = getattr(response.raw, "choices", None)
    return getattr(choices[0], "finish_reason", None) if choices else None


def _unavailable(model: str, error: Exception) -> ModelUnavailable:
    """Says what a person can mend; the vendor's text may hold the key and is not repeated."""
    match error:
        case openai.AuthenticationError():
            reason = "OPENROUTER_API_KEY was refused"
        case openai.NotFoundError():
            reason = "there is no such model; see OPENROUTER_MODELS"
        case openai.RateLimitError():
            reason = "its rate limit is reached"
        case openai.APIStatusError():
            reason = f"OpenRouter answered {error.status_code}"
        case TimeoutError() | openai.APITimeoutError():
            reason = "it took too long"
        case _:
            reason = "the connection failed"
    return ModelUnavailable(f"{model} did not answer: {reason}. The question is kept.")
