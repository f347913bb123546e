"""Models by OpenAI's protocol, at OpenRouter or anywhere, with a stream of our own under LlamaIndex."""

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
"""Tokens."""
_CONTEXT = 32_000
_CHARACTERS_A_TOKEN = 3
"""Few, so that a prompt is rather thought too long than sent in vain."""
_MOST_FALLBACKS = 2
"""OpenRouter takes three models in all."""
_ADVICE = "; raise LLM_MAX_TOKENS"


class HostedLLM(OpenRouter):
    """Streams an answer, or raises `ModelUnavailable`: never part of one that looks whole.

    Not the SDK's stream under the stock class: that one ends in silent success after an error, outlives
    a reader who left, and waits for ever on keep-alives. Every other method of an LLM stands on this.
    `astream_chat` tells no callback of each token, as LlamaIndex's wrapper would keep it from closing.
    """

    api_key: str | None = Field(default=None, repr=False, exclude=True)
    first_token_seconds: float = FIRST_TOKEN_SECONDS
    """Also the longest silence between two tokens."""
    whole_answer_seconds: float = WHOLE_ANSWER_SECONDS
    _endpoint: Endpoint = PrivateAttr()
    _catalogue: Catalogue | None = PrivateAttr(default=None)
    _thinks_first: bool = PrivateAttr(default=False)
    """Whether it was seen to think in its text without an opening tag: then it is waited for."""

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
        """`fallbacks` are what OpenRouter itself may turn to before the first token.

        `provider` are its routing options; `catalogue` knows the models' limits; `settings` are named
        as `Endpoint` has it.
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
        """How LlamaIndex names it."""
        return "HostedLLM"

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        """Deltas as they come; closing it, or cancelling, hangs up at once."""
        return await self._astream_chat(messages, **kwargs)

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        if "tools" in kwargs:  # for which only the stock class is made
            return await super()._astream_chat(messages, **kwargs)
        return self._spoken(messages, kwargs)

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        if "tools" in kwargs:
            return await super()._achat(messages, **kwargs)
        return await drained(self._spoken(messages, kwargs))

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        with ThreadPoolExecutor(1) as thread:  # the caller's may have a loop that runs
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
                    finally:  # an error that came with words ends the answer behind them
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
        # Who asks for less than the setting does so on purpose.
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
        """Without the oldest exchanges, as far as the context window asks for it."""
        room = (self.context_window - (self.max_tokens or 0)) * _CHARACTERS_A_TOKEN
        kept = [*messages]
        while _size(kept) > room and (oldest := _oldest_exchange(kept)):
            del kept[oldest]
        if _size(kept) > room:
            told = f"the prompt does not fit into its {self.context_window:,} tokens"
            raise ModelRefused(told, model=self.model)
        return kept

    async def _take_limits(self) -> None:
        """Take over the model's limits, where its server tells them."""
        limits = await self._catalogue.limits(self.model) if self._catalogue else None
        if limits is not None:
            self.context_window = limits.context
            self.max_tokens = min(self.max_tokens or limits.longest, limits.longest)


def _size(messages: Sequence[ChatMessage]) -> int:
    return sum(len(message.content or "") for message in messages)


def _oldest_exchange(messages: Sequence[ChatMessage]) -> slice | None:
    """A question and all up to the next one; None when only the last question is left."""
    asked = [n for n, message in enumerate(messages) if message.role == MessageRole.USER]
    return slice(asked[0], asked[1]) if len(asked) > 1 else None


def _thought_aloud(model: str) -> ResponseMetadata:
    told = "what it had said was a thought, and the answer follows"
    return ResponseMetadata(
        model=model, attempts=(Attempt(model=model, error=told),), restarted=True
    )
