"""The HTTP endpoint of a model, which remembers the parameters that its server refused."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

from aiohttp import ClientError, ClientResponse, ClientSession

from app.llms.hosted.chat_protocol import ResponseReader
from app.llms.hosted.deadline import StreamDeadline
from app.llms.hosted.refused_parameters import find_refused_parameters, without_parameters
from app.llms.hosted.sse import DONE, EventParser
from app.llms.hosted.status_errors import BAD_REQUEST, error_for_status
from storage.http.pool import borrow_pool
from storage.service_urls import host_and_port

_log = logging.getLogger("ibid.llms")

_DRAIN_SECONDS = 0.05
_MAX_ERROR_BYTES = 65_536
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
        self.host_and_port = host_and_port(base_url)
        """Host and port, for error messages."""
        self._headers = headers
        self._model = model
        self._http = http
        self._settings = {"key": key_setting, "models": models_setting}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refused_parameters: frozenset[str] = frozenset()
        """Parameters that the server refused, where it then accepted the request without them."""

    async def events(
        self, body: Mapping[str, Any], deadline: StreamDeadline, reader: ResponseReader
    ) -> AsyncGenerator[list[bytes]]:
        """Yield the data of events that arrive together; a response that is no stream is yielded whole."""
        async with (
            borrow_pool(self._shared_http()) as http,
            await self._request(http, body, deadline) as answer,
        ):
            reader.generation = answer.headers.get("x-generation-id")
            events = EventParser(answer.content.iter_any())
            while (together := await deadline.wait(events.next_events())) is not None:
                if DONE in together:
                    yield together[: together.index(DONE)]
                    reader.mark_complete()
                    await _drain(events)
                    return
                yield together

    async def _request(
        self, http: ClientSession, body: Mapping[str, Any], deadline: StreamDeadline
    ) -> ClientResponse:
        """Send the request; when the server refuses parameters, send it again without them.

        The loop ends because every request has fewer parameters than the one before. Raises
        `ModelUnavailable` for any other refusal.
        """
        refused = self._refused_parameters
        while True:
            sent = without_parameters(body, refused)
            answer = await deadline.wait(self._post(http, sent))
            if answer.status == _OK:
                self._remember_refused(refused)
                return answer
            async with answer:
                error_body = b""
                if answer.status in BAD_REQUEST:
                    error_body = await deadline.wait(_read_error_body(answer))
                named = find_refused_parameters(error_body, sent) if error_body else set[str]()
                if not named:
                    after = answer.headers.get("retry-after")
                    raise error_for_status(
                        self._model, answer.status, after, error_body, **self._settings
                    )
            refused |= named

    def _remember_refused(self, refused: frozenset[str]) -> None:
        for name in sorted(refused - self._refused_parameters):
            fields = {"model": self._model, "parameter": name}
            _log.warning("parameter_left_out", extra=fields)
        self._refused_parameters |= refused

    async def _post(self, http: ClientSession, body: Mapping[str, Any]) -> ClientResponse:
        return await http.post(self._url, json=body, headers=self._headers, allow_redirects=False)

    def _shared_http(self) -> ClientSession | None:
        """Return the shared pool on the event loop that first used it, and None on any other loop."""
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        return self._http if self._loop is loop else None


async def _read_error_body(answer: ClientResponse) -> bytes:
    body = b""
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _MAX_ERROR_BYTES:
            break
    return body


async def _drain(events: EventParser) -> None:
    """Read the rest of the response: only then can its connection be reused for the next turn."""
    with suppress(TimeoutError, ClientError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await events.next_events() is not None:
                pass
