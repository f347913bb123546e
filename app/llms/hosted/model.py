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
from app.llms.hosted.model_limits import Catalogue
from app.llms.response import ResponseMetadata, Responses, drained, response
from storage.domain import Attempt
from storage.errors import ModelRefused, ModelSilent

FIRST_TOKEN_SECONDS = 30.0
WHOLE_ANSWER_SECONDS = 120.0
LONGEST_ANSWER = 1_024
"""The most tokens of an answer, unless set otherwise."""
_CONTEXT = 32_000
_CHARACTERS_A_TOKEN = 3
"""A low estimate: it is better to shorten a prompt needlessly than to send one that is too long."""
_MOST_FALLBACKS = 2
"""OpenRouter accepts three models in all."""
_ADVICE = "; raise LLM_MAX_TOKENS"


class HostedLLM(OpenRouter):
    """An LLM that streams a whole answer or raises `ModelUnavailable`; a partial answer never looks whole.

    It does not use the SDK's stream, which the parent class uses: that stream ends without an error after
    the server sent one, goes on after the reader left, and waits without limit while keep-alives arrive.
    All other methods of an LLM are built on this stream. `astream_chat` calls no callback for each token,
    because LlamaIndex's wrapper would keep the stream from closing.
    """

    api_key: str | None = Field(default=None, repr=False, exclude=True)
    first_token_seconds: float = FIRST_TOKEN_SECONDS
    """Timeout in seconds for the first token, and for each pause between two tokens."""
    whole_answer_seconds: float = WHOLE_ANSWER_SECONDS
    _endpoint: Endpoint = PrivateAttr()
    _catalogue: Catalogue | None = PrivateAttr(default=None)
    _thinks_first: bool = PrivateAttr(default=False)
    """Whether an earlier answer had thoughts without an opening tag: text then waits for the closing tag."""

    @classmethod
    def at(
        cls,
        api_base: str,
        api_key: str | None,
        model: str,
        fallbacks: Sequence[str] = (),
        *,
        provider: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        catalogue: Catalogue | None = None,
        http: ClientSession | None = None,
        settings: Mapping[str, str] = MappingProxyType({}),
        **options: Any,
    ) -> "HostedLLM":
        """Create an LLM for the server at `api_base`.

        `fallbacks` are models that OpenRouter itself may use instead before the first token; `provider` holds
        its routing options. `catalogue` provides the models' limits. `settings` holds the keyword arguments
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
            context_window=options.pop("context_window", _CONTEXT),
            max_tokens=options.pop("max_tokens", LONGEST_ANSWER),
            max_retries=0,
            additional_kwargs={"extra_body": body},
            default_headers=dict(headers),
            **options,
        )
        bearer = {"Authorization": f"Bearer {hosted.api_key}"}
        hosted._endpoint = Endpoint(base_url, {**headers, **bearer}, model, http, **settings)
        hosted._catalogue = catalogue
        return hosted

    @classmethod
    def class_name(cls) -> str:
        """Return the name that LlamaIndex has for this class."""
        return "HostedLLM"

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Stream deltas as they arrive; closing or cancelling the stream disconnects at once."""
        return await self._astream_chat(messages, **kwargs)

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        if "tools" in kwargs:  # only the parent class supports tools
            return await super()._astream_chat(messages, **kwargs)
        return self._spoken(messages, kwargs)

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if "tools" in kwargs:
            return await super()._achat(messages, **kwargs)
        return await drained(self._spoken(messages, kwargs))

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        with ThreadPoolExecutor(1) as thread:  # the caller's thread may run an event loop
            return thread.submit(asyncio.run, self._achat(messages, **kwargs)).result()

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        yield self._chat(messages, **kwargs)

    async def _spoken(
        self, messages: Sequence[ChatMessage], options: Mapping[str, Any]
    ) -> Responses:
        await self._take_limits()
        body = self._body(messages, options)
        patience = StreamDeadline(self.first_token_seconds, self.whole_answer_seconds)
        reading = ResponseReader(self.model, thinks_first=self._thinks_first)
        try:
            async with aclosing(self._endpoint.events(body, patience, reading)) as events:
                async for together in events:
                    try:
                        for data in together:
                            reading.take(data)
                    finally:  # words that arrived together with an error are yielded before it is raised
                        if together and reading.heard:
                            patience.heard()
                        self._thinks_first = self._thinks_first or reading.thinks_first
                        is_void, delta = reading.news()
                        if is_void:
                            yield response("", "", _thought_aloud(self.model))
                        if delta:
                            yield response(reading.said, delta)
        except TimeoutError as error:
            raise reading.failed("it took too long", ModelSilent) from error
        except ClientError as error:
            raise reading.failed(f"the connection to {self._endpoint.place} failed") from error
        # A caller that sets its own limit needs no advice to raise the setting.
        spoken = reading.closed("" if "max_tokens" in options else _ADVICE)
        yield response(reading.said, reading.news()[1], spoken)

    def _body(self, messages: Sequence[ChatMessage], options: Mapping[str, Any]) -> dict[str, Any]:
        extra = {**self.additional_kwargs}
        return {
            "model": self.model,
            "messages": to_openai_message_dicts(self._fitting(messages), model=self.model),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
            **extra.pop("extra_body", {}),
            **extra,
            **options,
        }

    def _fitting(self, messages: Sequence[ChatMessage]) -> list[ChatMessage]:
        """Drop the oldest exchanges until the prompt fits the context window.

        Raises `ModelRefused` if the system message and the last question alone do not fit.
        """
        room = (self.context_window - (self.max_tokens or 0)) * _CHARACTERS_A_TOKEN
        kept = [*messages]
        while _size(kept) > room and (oldest := _oldest_exchange(kept)):
            del kept[oldest]
        if _size(kept) > room:
            told = f"the prompt exceeds its context window of {self.context_window:,} tokens"
            raise ModelRefused(told, model=self.model)
        return kept

    async def _take_limits(self) -> None:
        """Adopt the model's limits, if its server publishes them."""
        limits = await self._catalogue.limits(self.model) if self._catalogue else None
        if limits is not None:
            self.context_window = limits.context
            self.max_tokens = min(self.max_tokens or limits.longest, limits.longest)


def _size(messages: Sequence[ChatMessage]) -> int:
    return sum(len(message.content or "") for message in messages)


def _oldest_exchange(messages: Sequence[ChatMessage]) -> slice | None:
    """Return the slice from the oldest question to the next one; None if only the last question is left."""
    asked = [n for n, message in enumerate(messages) if message.role == MessageRole.USER]
    return slice(asked[0], asked[1]) if len(asked) > 1 else None


def _thought_aloud(model: str) -> ResponseMetadata:
    told = "its text so far was reasoning; the answer follows"
    return ResponseMetadata(
        model=model, attempts=(Attempt(model=model, error=told),), restarted=True
    )
