"""The HTTP endpoint of a model, which remembers the parameters that its server refused."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession

from app.llms.hosted.chat_protocol import ResponseReader
from app.llms.hosted.deadline import StreamDeadline
from app.llms.hosted.parameters import refused_in, without
from app.llms.hosted.refusals import BAD_REQUEST, refusal
from app.llms.hosted.sse import DONE, Events
from storage.http.pool import lent
from storage.service_urls import place

_log = logging.getLogger("ibid.llms")

_DRAIN_SECONDS = 0.05
_LONGEST_REFUSAL = 65_536
"""The most bytes that are read of an error response."""
_OK = 200


class Endpoint:
    """One model on one server.

    Error messages name `key_setting` and `models_setting` when these settings may be wrong.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        model: str,
        http: ClientSession | None = None,
        *,
        key_setting: str = "OPENROUTER_API_KEY",
        models_setting: str = "OPENROUTER_MODELS",
    ) -> None:
        self._url = f"{base_url}/chat/completions"
        self.place = place(base_url)
        """Host and port, for error messages."""
        self._headers = headers
        self._model = model
        self._http = http
        self._settings = {"key": key_setting, "models": models_setting}
        self._home: asyncio.AbstractEventLoop | None = None
        self._refused: frozenset[str] = frozenset()
        """Parameters that the server refused, where it then accepted the request without them."""

    async def events(
        self, body: Mapping[str, Any], patience: StreamDeadline, reading: ResponseReader
    ) -> AsyncGenerator[list[bytes]]:
        """Yield the data of events that arrive together; a response that is no stream is yielded whole."""
        async with (
            lent(self._shared_http()) as http,
            await self._answer(http, body, patience) as answer,
        ):
            reading.generation = answer.headers.get("x-generation-id")
            events = Events(answer.content.iter_any())
            while (together := await patience.wait(events.more())) is not None:
                if DONE in together:
                    yield together[: together.index(DONE)]
                    reading.done()
                    await _to_its_end(events)
                    return
                yield together

    async def _answer(
        self, http: ClientSession, body: Mapping[str, Any], patience: StreamDeadline
    ) -> ClientResponse:
        """Send the request; when the server refuses parameters, send it again without them.

        The loop ends because every request has fewer parameters than the one before. Raises
        `ModelUnavailable` for any other refusal.
        """
        refused = self._refused
        while True:
            sent = without(body, refused)
            answer = await patience.wait(self._post(http, sent))
            if answer.status == _OK:
                self._learn(refused)
                return answer
            async with answer:
                told = b""
                if answer.status in BAD_REQUEST:
                    told = await patience.wait(_beginning(answer))
                named = refused_in(told, sent) if told else set[str]()
                if not named:
                    after = answer.headers.get("retry-after")
                    raise refusal(self._model, answer.status, after, told, **self._settings)
            refused |= named

    def _learn(self, refused: frozenset[str]) -> None:
        for name in sorted(refused - self._refused):
            fields = {"model": self._model, "parameter": name}
            _log.warning("parameter_left_out", extra=fields)
        self._refused |= refused

    async def _post(self, http: ClientSession, body: Mapping[str, Any]) -> ClientResponse:
        return await http.post(self._url, json=body, headers=self._headers, allow_redirects=False)

    def _shared_http(self) -> ClientSession | None:
        """Return the shared pool on the event loop that first used it, and None on any other loop."""
        loop = asyncio.get_running_loop()
        self._home = self._home or loop
        return self._http if self._home is loop else None


async def _beginning(answer: ClientResponse) -> bytes:
    told = b""
    async for piece in answer.content.iter_any():
        told += piece
        if len(told) > _LONGEST_REFUSAL:
            break
    return told


async def _to_its_end(events: Events) -> None:
    """Read the rest of the response: only then can its connection be reused for the next turn."""
    with suppress(TimeoutError, ClientError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await events.more() is not None:
                pass
