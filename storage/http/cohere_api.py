"""A client of Cohere's HTTP API, which handles its key, its limits and its errors."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession

from storage.errors import ModelBusy, ModelRefused, ModelSilent, ModelUnavailable
from storage.http.pool import borrow_pool
from storage.http.retry import parse_retry_after, retry_policy
from storage.service_urls import host_and_port

BASE_URL = "https://api.cohere.com"
_OK, _BUSY = 200, 429
_REASONS = {
    400: "it rejected the request as invalid",
    401: "COHERE_API_KEY was refused",
    402: "the key has no credits left",
    403: "COHERE_API_KEY was refused",
    404: "it has no such model; check COHERE_EMBED_MODEL and COHERE_RERANK_MODEL",
    422: "it rejected the request as invalid",
    498: "COHERE_API_KEY was refused",
}
_MAX_CONCURRENT = 4
"""Maximum number of concurrent requests."""


class CallCounter(Protocol):
    """A counter of the calls of a month, shared by all processes."""

    async def take(self, model: str) -> None:
        """Count a call; raise `BudgetSpent` if the month's limit is reached."""
        ...


class CohereAPI:
    """A client that raises `ModelUnavailable`, never an HTTP error.

    `http`, `calls` and the limits belong to the event loop on which they are first used. On another loop,
    as in LlamaIndex's synchronous methods, a request opens its own connection, and neither the counter
    nor the limits apply.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = BASE_URL,
        *,
        http: ClientSession | None = None,
        calls: CallCounter | None = None,
    ) -> None:
        self._api_key = api_key
        self._base = base_url.rstrip("/")
        self._http = http
        self._calls = calls
        self._loop: asyncio.AbstractEventLoop | None = None
        self._in_flight = asyncio.Semaphore(_MAX_CONCURRENT)

    async def post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        timeout_seconds: float,
        tries: int = 1,
        max_pause: float = 0.0,
        before_send: Callable[[], Awaitable[None]] | None = None,
    ) -> bytes:
        """Send a request and return the body of the response.

        `timeout_seconds` limits each of `tries` attempts; `max_pause` is the longest pause between
        them, in seconds. `before_send` is awaited before each attempt, to respect a rate limit.
        """
        async for attempt in retry_policy(max_attempts=tries, pause=1.0, max_pause=max_pause):
            with attempt:
                return await self._attempt(path, body, timeout_seconds, before_send)
        raise AssertionError("tenacity returns or raises")

    async def _attempt(
        self,
        path: str,
        body: dict[str, Any],
        timeout_seconds: float,
        before: Callable[[], Awaitable[None]] | None,
    ) -> bytes:
        loop = asyncio.get_running_loop()
        self._loop = self._loop or loop
        model = str(body.get("model", ""))
        async with AsyncExitStack() as stack:
            shared = self._http if self._loop is loop else None
            http = await stack.enter_async_context(borrow_pool(shared))
            if self._loop is loop:
                await stack.enter_async_context(self._in_flight)
                if before:
                    await before()
                if self._calls:
                    await self._calls.take(model)
            return await self._send(http, path, body, timeout_seconds)

    async def _send(
        self, http: ClientSession, path: str, body: dict[str, Any], timeout_seconds: float
    ) -> bytes:
        headers = {"Authorization": f"Bearer {self._api_key}", "X-Client-Name": "ibid"}
        url = f"{self._base}{path}"
        request = http.post(url, json=body, headers=headers, allow_redirects=False)
        try:
            async with asyncio.timeout(timeout_seconds), request as answer:
                content = await answer.read()
        except TimeoutError as error:
            raise ModelSilent("it took too long") from error
        except ClientError as error:
            raise ModelUnavailable(
                f"the connection to {host_and_port(self._base)} failed"
            ) from error
        if answer.status != _OK:
            raise _error_for_status(answer.status, answer.headers.get("retry-after"))
        return content


def _error_for_status(status: int, retry_after: str | None) -> ModelUnavailable:
    """Return the error for a status; Cohere's own message may contain the key, so it is not repeated."""
    if status in _REASONS:
        return ModelRefused(_REASONS[status])
    if status == _BUSY:
        return ModelBusy("its rate limit is reached", retry_after=parse_retry_after(retry_after))
    return ModelUnavailable(f"it answered with status {status}")
