"""A client of Cohere's HTTP API, which handles its key, its limits and its errors."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Protocol

from aiohttp import ClientError, ClientSession

from storage.errors import ModelBusy, ModelRefused, ModelSilent, ModelUnavailable
from storage.http.pool import lent
from storage.http.retry import policy, seconds
from storage.service_urls import place

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
_AT_ONCE = 4
"""Maximum number of concurrent requests."""


class Calls(Protocol):
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
        calls: Calls | None = None,
    ) -> None:
        self._api_key = api_key
        self._base = base_url.rstrip("/")
        self._http = http
        self._calls = calls
        self._home: asyncio.AbstractEventLoop | None = None
        self._in_flight = asyncio.Semaphore(_AT_ONCE)

    async def post(
        self,
        path: str,
        body: dict[str, Any],
        *,
        within: float,
        tries: int = 1,
        longest: float = 0.0,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> bytes:
        """Send a request and return the body of the response.

        `within` is the timeout of each of at most `tries` attempts, in seconds; `longest` is the maximum
        pause between them, in seconds. `before` is awaited before each attempt, to respect a rate limit.
        """
        async for attempt in policy(tries=tries, pause=1.0, longest=longest):
            with attempt:
                return await self._once(path, body, within, before)
        raise AssertionError("tenacity returns or raises")

    async def _once(
        self,
        path: str,
        body: dict[str, Any],
        within: float,
        before: Callable[[], Awaitable[None]] | None,
    ) -> bytes:
        loop = asyncio.get_running_loop()
        self._home = self._home or loop
        model = str(body.get("model", ""))
        async with AsyncExitStack() as stack:
            shared = self._http if self._home is loop else None
            http = await stack.enter_async_context(lent(shared))
            if self._home is loop:
                await stack.enter_async_context(self._in_flight)
                if before:
                    await before()
                if self._calls:
                    await self._calls.take(model)
            return await self._sent(http, path, body, within)

    async def _sent(
        self, http: ClientSession, path: str, body: dict[str, Any], within: float
    ) -> bytes:
        headers = {"Authorization": f"Bearer {self._api_key}", "X-Client-Name": "ibid"}
        url = f"{self._base}{path}"
        asked = http.post(url, json=body, headers=headers, allow_redirects=False)
        try:
            async with asyncio.timeout(within), asked as answer:
                content = await answer.read()
        except TimeoutError as error:
            raise ModelSilent("it took too long") from error
        except ClientError as error:
            raise ModelUnavailable(f"the connection to {place(self._base)} failed") from error
        if answer.status != _OK:
            raise _refusal(answer.status, answer.headers.get("retry-after"))
        return content


def _refusal(status: int, retry_after: str | None) -> ModelUnavailable:
    """Return the error for a status; Cohere's own message may contain the key, so it is not repeated."""
    if status in _REASONS:
        return ModelRefused(_REASONS[status])
    if status == _BUSY:
        return ModelBusy("its rate limit is reached", retry_after=seconds(retry_after))
    return ModelUnavailable(f"it answered with status {status}")
