"""A LlamaIndex LLM for any server with OpenAI's protocol, such as OpenRouter, with its own streaming code."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from types import MappingProxyType
from typing import Any

from aiohttp import ClientError, ClientSession
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    MessageRole,
)
from llama_index.llms.openai.utils import to_openai_message_dicts
from llama_index.llms.openrouter import OpenRouter
from pydantic import Field, PrivateAttr

from app.llms.hosted.chat_protocol import ResponseReader
from app.llms.hosted.deadline import StreamDeadline
from app.llms.hosted.endpoint import Endpoint
from app.llms.hosted.model_limits import ModelLimitsCache
from app.llms.response import ResponseMetadata, Responses, build_response, last_response
from storage.domain import Attempt
from storage.errors import ModelRefused, ModelSilent

FIRST_TOKEN_SECONDS = 30.0
WHOLE_ANSWER_SECONDS = 120.0
MAX_ANSWER_TOKENS = 1_024
"""The most tokens of an answer, unless set otherwise."""
_CONTEXT_TOKENS = 32_000
_CHARACTERS_PER_TOKEN = 3
"""A low estimate: it is better to shorten a prompt needlessly than to send one that is too long."""
_MOST_FALLBACKS = 2
"""OpenRouter accepts three models in all."""
_ADVICE = "; raise LLM_MAX_TOKENS"


class HostedLLM(OpenRouter):
    """An LLM that streams a whole answer or raises `ModelUnavailable`; a partial answer never looks whole.

    It does not use the SDK's stream, which the parent class uses: that stream ends without an error after
    the server sent one, goes on after the reader left, and waits without limit while keep-alives arrive.
    All methods of the parent class that send a request end in the four that are overridden here for that
    reason: `_chat`, `_stream_chat`, `_achat` and `_astream_chat`. `astream_chat` has a reason of its own.
    """

    api_key: str | None = Field(default=None, repr=False, exclude=True)
    """The API key. The parent class shows it in its `repr` and in `model_dump`."""
    first_token_seconds: float = FIRST_TOKEN_SECONDS
    """Timeout in seconds for the first token, and for each pause between two tokens."""
    whole_answer_seconds: float = WHOLE_ANSWER_SECONDS
    _endpoint: Endpoint = PrivateAttr()
    _catalogue: ModelLimitsCache | None = PrivateAttr(default=None)
    _thinks_first: bool = PrivateAttr(default=False)
    """Whether an earlier answer had thoughts without an opening tag: text then waits for the closing tag."""

    @classmethod
    def create(
        cls,
        api_base: str,
        api_key: str | None,
        model: str,
        fallbacks: Sequence[str] = (),
        *,
        provider: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        model_limits: ModelLimitsCache | None = None,
        http: ClientSession | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> "HostedLLM":
        """Create an LLM for the server at `api_base`.

        `fallbacks` are models that OpenRouter itself may use instead before the first token; `provider` holds
        its routing options. `model_limits` provides the models' limits. `settings` has the keyword arguments
        `key_setting` and `models_setting` of `Endpoint`.
        """
        base_url, body = api_base.rstrip("/"), dict[str, Any]()
        if fallbacks:
            body["models"] = [model, *fallbacks][: _MOST_FALLBACKS + 1]
        if provider:
            body["provider"] = dict(provider)
        hosted = cls(
            model=model,
            api_key=api_key or "none",
            api_base=base_url,
            context_window=options.pop("context_window", _CONTEXT_TOKENS),
            max_tokens=options.pop("max_tokens", MAX_ANSWER_TOKENS),
            max_retries=0,
            additional_kwargs={"extra_body": body},
            default_headers=dict(headers),
            **options,
        )
        bearer = {"Authorization": f"Bearer {hosted.api_key}"}
        hosted._endpoint = Endpoint(base_url, {**headers, **bearer}, model, http, **settings)
        hosted._catalogue = model_limits
        return hosted

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Stream deltas as they arrive; closing or cancelling the stream disconnects at once.

        The parent's method is wrapped for callbacks, and the wrapper keeps the stream from being closed.
        """
        return await self._astream_chat(messages, **kwargs)

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Stream an answer; the parent's stream ends in silence if the server stops or sends an error."""
        if "tools" in kwargs:  # only the parent class supports tools
            return await super()._astream_chat(messages, **kwargs)
        return self._stream_responses(messages, kwargs)

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return an answer; the parent returns a partial one if the model's choice has an error."""
        if "tools" in kwargs:
            return await super()._achat(messages, **kwargs)
        return await last_response(self._stream_responses(messages, kwargs))

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Run `_achat`; the parent's synchronous method has the faults of its `_achat`."""
        with ThreadPoolExecutor(1) as thread:  # the caller's thread may run an event loop
            return thread.submit(asyncio.run, self._achat(messages, **kwargs)).result()

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        """Yield the whole answer at once; the parent's stream has the faults of its `_astream_chat`."""
        yield self._chat(messages, **kwargs)

    async def _stream_responses(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any]
    ) -> Responses:
        await self._apply_limits()
        body = self._build_body(messages, options)
        deadline = StreamDeadline(self.first_token_seconds, self.whole_answer_seconds)
        reader = ResponseReader(self.model, thinks_first=self._thinks_first)
        try:
            async with aclosing(self._endpoint.events(body, deadline, reader)) as events:
                async for together in events:
                    try:
                        for data in together:
                            reader.read_chunk(data)
                    finally:  # words that arrived together with an error are yielded before it is raised
                        if together and reader.has_output:
                            deadline.restart_idle_timeout()
                        self._thinks_first = self._thinks_first or reader.thinks_first
                        is_void, delta = reader.take_new_text()
                        if is_void:
                            yield build_response("", "", _restart_after_thought(self.model))
                        if delta:
                            yield build_response(reader.text, delta)
        except TimeoutError as error:
            raise reader.build_error("it took too long", ModelSilent) from error
        except ClientError as error:
            raise reader.build_error(
                f"the connection to {self._endpoint.host_and_port} failed"
            ) from error
        # A caller that sets its own limit needs no advice to raise the setting.
        metadata = reader.finish("" if "max_tokens" in options else _ADVICE)
        yield build_response(reader.text, reader.take_new_text()[1], metadata)

    def _build_body(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any]
    ) -> dict[str, Any]:
        extra = {**self.additional_kwargs}
        return {
            "model": self.model,
            "messages": to_openai_message_dicts(self._fit_context(messages), model=self.model),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
            **extra.pop("extra_body", {}),
            **extra,
            **options,
        }

    def _fit_context(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Drop the oldest exchanges until the prompt fits the context window.

        Raises `ModelRefused` if the system message and the last question alone do not fit.
        """
        room = (self.context_window - (self.max_tokens or 0)) * _CHARACTERS_PER_TOKEN
        kept = [*messages]
        while _size(kept) > room and (oldest := _oldest_exchange(kept)):
            del kept[oldest]
        if _size(kept) > room:
            message = f"the prompt exceeds its context window of {self.context_window:,} tokens"
            raise ModelRefused(message, model=self.model)
        return kept

    async def _apply_limits(self) -> None:
        """Adopt the model's limits, if its server publishes them."""
        limits = await self._catalogue.limits(self.model) if self._catalogue else None
        if limits is not None:
            self.context_window = limits.context
            self.max_tokens = min(self.max_tokens or limits.longest, limits.longest)


def _size(messages: Sequence[ChatMessage]) -> int:
    return sum(len(message.content or "") for message in messages)


def _oldest_exchange(messages: Sequence[ChatMessage]) -> slice | None:
    """Return the slice from the oldest question to the next one; None if only the last question is left."""
    questions = [n for n, message in enumerate(messages) if message.role == MessageRole.USER]
    return slice(questions[0], questions[1]) if len(questions) > 1 else None


def _restart_after_thought(model: str) -> ResponseMetadata:
    message = "its text so far was reasoning; the answer follows"
    return ResponseMetadata(
        model=model, attempts=(Attempt(model=model, error=message),), restarted=True
    )
