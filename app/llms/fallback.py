"""Models in order of preference: when one fails, the next is asked, and the failures are reported."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
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
from llama_index.core.llms import LLM, CustomLLM
from pydantic import PrivateAttr

from app.llms.circuit_breaker import CircuitBreaker
from app.llms.hosted.deadline import StreamDeadline
from app.llms.hosted.model import WHOLE_ANSWER_SECONDS
from app.llms.response import ResponseMetadata, Responses, build_response, last_response
from storage.domain import Attempt
from storage.errors import ModelSilent, ModelUnavailable
from storage.http.retry import retry_policy

MAX_TRIES = 2
"""Requests to one model before the next model is asked."""
_PAUSE, _MAX_PAUSE = 0.2, 5.0
"""Seconds before a retry: the first pause, and the longest. A model that wants a longer one is skipped."""


class FallbackLLM(CustomLLM):
    """An LLM that asks each model in turn; it raises `ModelUnavailable` when none is left.

    If a model fails before its first token, the next one is asked silently. If it fails later, its text
    must be discarded: with `restarts`, the stream yields a response with `ResponseMetadata.restarted` and
    goes on with the next model; without `restarts`, the error is raised.
    """

    models: Sequence[LLM]
    restarts: bool = False
    whole_turn_seconds: float = WHOLE_ANSWER_SECONDS
    _breakers: list[CircuitBreaker] = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        """Create a closed circuit breaker for every model."""
        super().model_post_init(context)
        self._breakers = [CircuitBreaker() for _ in self.models]

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex has for this class."""
        return "FallbackLLM"

    @property
    def metadata(self) -> LLMMetadata:
        """The metadata of the first model."""
        return self.models[0].metadata

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Stream deltas of the first model that can answer; closing the stream disconnects at once."""
        return self._stream_responses(messages, kwargs)

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return the whole answer of the first model that gives one."""
        return await last_response(self._stream_responses(messages, kwargs))

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:  # noqa: ARG002
        """Return the whole answer to code that is not async."""
        messages = [ChatMessage(role=MessageRole.USER, content=prompt)]
        with ThreadPoolExecutor(1) as thread:  # the caller's thread may run an event loop
            response = thread.submit(asyncio.run, self.achat(messages, **kwargs)).result()
        return CompletionResponse(text=response.message.content or "", raw=response.raw)

    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> CompletionResponseGen:
        """Yield the whole answer as one response."""
        whole = self.complete(prompt, formatted, **kwargs)
        yield CompletionResponse(text=whole.text, delta=whole.text, raw=whole.raw)

    async def _stream_responses(
        self, messages: Sequence[ChatMessage], options: dict[str, Any]
    ) -> Responses:
        failed: list[Attempt] = []
        reasons: list[str] = []
        deadline = StreamDeadline(self.whole_turn_seconds, self.whole_turn_seconds)
        for llm, breaker in zip(self.models, self._breakers, strict=True):
            name = llm.metadata.model_name
            if name in {attempt.model for attempt in failed}:
                continue  # its server already fell back to this model, which failed
            if not breaker.allows_attempt():
                reasons.append("it failed recently and is paused")
                failed.append(Attempt(model=name, error=reasons[-1], cost=0.0))
                continue
            text, is_ended = "", False
            try:
                answer = self._stream_model(llm, breaker, messages, options, deadline)
                async with aclosing(answer) as responses:
                    async for response in responses:
                        is_ended = self._is_end(response, failed) or is_ended
                        text = response.message.content or ""
                        yield response
            except ModelUnavailable as error:
                reasons.append(str(error))
                failed.append(_failed_attempt(error, name))
                if text and not self.restarts:
                    raise
            else:
                if not is_ended:
                    yield build_response(
                        text, "", ResponseMetadata(model=name, attempts=tuple(failed))
                    )
                return
            if text:
                yield build_response("", "", _restart_metadata(failed[-1]))
        raise _all_failed_error(failed, reasons)

    def _is_end(self, response: ChatResponse, failed: Sequence[Attempt]) -> bool:
        """Return whether this response ends an answer; raise if it restarts and the caller cannot restart."""
        metadata = response.raw
        if not isinstance(metadata, ResponseMetadata):
            return False
        if metadata.restarted and not self.restarts:
            reason = metadata.attempts[-1].error
            raise ModelUnavailable(reason, model=metadata.model, cost=None)
        if not metadata.restarted:
            response.raw = metadata.model_copy(update={"attempts": tuple(failed)})
        return not metadata.restarted

    async def _stream_model(
        self,
        llm: LLM,
        breaker: CircuitBreaker,
        messages: Sequence[ChatMessage],
        options: dict[str, Any],
        deadline: StreamDeadline,
    ) -> Responses:
        """Yield the responses of one model, which is retried only before its first response."""
        with breaker.attempt():
            first, rest = await _start_stream(llm, messages, options, deadline)
            async with aclosing(rest):
                yield first
                while (response := await _next_response(rest, deadline)) is not None:
                    yield response


async def _start_stream(
    llm: LLM,
    messages: Sequence[ChatMessage],
    options: dict[str, Any],
    deadline: StreamDeadline,
) -> tuple[ChatResponse, ChatResponseAsyncGen]:
    """Return the first response and the generator of the others, which the caller must close."""
    async for attempt in retry_policy(max_attempts=MAX_TRIES, pause=_PAUSE, max_pause=_MAX_PAUSE):
        with attempt:
            rest = await llm.astream_chat(messages, **options)
            try:
                first = await _next_response(rest, deadline)
            except BaseException:
                await rest.aclose()
                raise
            if first is None:
                raise ModelUnavailable("it returned no text")
            return first, rest
    raise AssertionError("tenacity returns or raises")


async def _next_response(
    responses: ChatResponseAsyncGen, deadline: StreamDeadline
) -> ChatResponse | None:
    try:
        return await deadline.wait(anext(responses, None))
    except TimeoutError as error:
        raise ModelSilent("it took too long", cost=None) from error


def _failed_attempt(error: ModelUnavailable, name: str) -> Attempt:
    return Attempt(model=error.model or name, error=str(error), cost=error.cost)


def _restart_metadata(attempt: Attempt) -> ResponseMetadata:
    return ResponseMetadata(model=attempt.model, attempts=(attempt,), restarted=True)


def _all_failed_error(failed: Sequence[Attempt], reasons: Sequence[str]) -> ModelUnavailable:
    details = "; ".join(
        f"{attempt.model} did not answer: {reason}"
        for attempt, reason in zip(failed, reasons, strict=True)
    )
    return ModelUnavailable(f"{details}. The question is kept.", attempts=tuple(failed))
