"""Models by OpenAI's protocol, at OpenRouter or anywhere, with a stream of our own under LlamaIndex."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
)
from llama_index.llms.openai.utils import to_openai_message_dicts
from llama_index.llms.openrouter import OpenRouter
from pydantic import Field, PrivateAttr

from app.llms.catalogue import Catalogue
from app.llms.patience import Patience
from app.llms.spoken import Responses, drained, response
from app.llms.sse import Events
from app.llms.wire import Reading, refusal
from storage.connections import lent
from storage.errors import ModelRefused, ModelSilent

FIRST_TOKEN_SECONDS = 30.0
WHOLE_ANSWER_SECONDS = 120.0
LONGEST_ANSWER = 1_024
"""Tokens."""
_CONTEXT = 32_000
_CHARACTERS_A_TOKEN = 3
"""Few, so that a prompt is rather thought too long than sent in vain."""
_DRAIN_SECONDS = 0.05
_MOST_FALLBACKS = 2
"""OpenRouter takes three models in all."""
_LEAST_MESSAGES = 2
"""What the model is told, and the question."""
_OK, _DONE = 200, b"[DONE]"
_ATTRIBUTION = {"HTTP-Referer": "https://pypi.org/project/ibid/", "X-OpenRouter-Title": "Ibid"}


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
    _http: ClientSession | None = PrivateAttr(default=None)
    _catalogue: Catalogue | None = PrivateAttr(default=None)
    _home: asyncio.AbstractEventLoop | None = PrivateAttr(default=None)

    @classmethod
    def at(
        cls,
        api_base: str,
        api_key: str | None,
        model: str,
        fallbacks: Sequence[str] = (),
        *,
        provider: Mapping[str, Any] | None = None,
        catalogue: Catalogue | None = None,
        http: ClientSession | None = None,
        **options: Any,
    ) -> "HostedLLM":
        """`fallbacks` are what OpenRouter itself may turn to before the first token.

        `provider` are its routing options; `catalogue` knows the models' limits.
        """
        body: dict[str, Any] = {}
        if fallbacks:
            body["models"] = [model, *fallbacks][: _MOST_FALLBACKS + 1]
        if provider:
            body["provider"] = dict(provider)
        hosted = cls(
            model=model,
            api_key=api_key or "none",
            api_base=api_base.rstrip("/"),
            context_window=options.pop("context_window", _CONTEXT),
            max_tokens=options.pop("max_tokens", LONGEST_ANSWER),
            max_retries=0,
            additional_kwargs={"extra_body": body},
            default_headers=_ATTRIBUTION,
            **options,
        )
        hosted._http, hosted._catalogue = http, catalogue
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
        await self._size()
        body = self._body(messages, options)
        patience = Patience(self.first_token_seconds, self.whole_answer_seconds)
        reading, said = Reading(self.model), ""
        try:
            async with aclosing(self._events(body, patience, reading)) as events:
                async for together in events:
                    delta = ""
                    try:
                        for data in together:
                            delta += reading.take(data)
                    finally:  # an error that came with words ends the answer behind them
                        if reading.heard:
                            patience.heard()
                        if delta:
                            said += delta
                            yield response(said, delta)
        except TimeoutError as error:
            raise reading.failed("it took too long", ModelSilent) from error
        except ClientError as error:
            raise reading.failed("the connection failed") from error
        yield response(said, "", reading.closed())

    async def _events(
        self, body: Mapping[str, Any], patience: Patience, reading: Reading
    ) -> AsyncGenerator[list[bytes], None]:
        """The data of events that came together; of an answer that is no stream, the whole."""
        async with (
            lent(self._shared_http()) as http,
            await patience.wait(self._post(http, body)) as answer,
        ):
            if answer.status != _OK:
                retry_after = answer.headers.get("retry-after")
                raise refusal(self.model, answer.status, retry_after)
            reading.generation = answer.headers.get("x-generation-id")
            if answer.content_type != "text/event-stream":
                yield [await patience.wait(answer.read())]
                return
            events = Events(answer.content.iter_any())
            while (together := await patience.wait(events.more())) is not None:
                if _DONE in together:
                    yield together[: together.index(_DONE)]
                    await _to_its_end(events)
                    return
                yield together

    async def _post(self, http: ClientSession, body: Mapping[str, Any]) -> ClientResponse:
        return await http.post(
            f"{self.api_base}/chat/completions",
            json=body,
            headers={**_ATTRIBUTION, "Authorization": f"Bearer {self.api_key}"},
            allow_redirects=False,
        )

    def _shared_http(self) -> ClientSession | None:
        """The pool given, on the loop that it was first used on."""
        loop = asyncio.get_running_loop()
        self._home = self._home or loop
        return self._http if self._home is loop else None

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
        """Without the oldest of what was said before, as far as the context window asks for it."""
        room = (self.context_window - (self.max_tokens or 0)) * _CHARACTERS_A_TOKEN
        sizes = [len(message.content or "") for message in messages]
        kept = [*messages]
        while sum(sizes) > room and len(kept) > _LEAST_MESSAGES:
            del kept[1], sizes[1]
        if sum(sizes) > room:
            told = f"the prompt does not fit into its {self.context_window:,} tokens"
            raise ModelRefused(told, model=self.model)
        return kept

    async def _size(self) -> None:
        """Take over the model's limits, where its server tells them."""
        limits = await self._catalogue.limits(self.model) if self._catalogue else None
        if limits is not None:
            self.context_window = limits.context
            self.max_tokens = min(self.max_tokens or limits.longest, limits.longest)


async def _to_its_end(events: Events) -> None:
    """Only a connection whose answer was read to the last byte can serve the next turn."""
    with suppress(TimeoutError, ClientError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await events.more() is not None:
                pass
