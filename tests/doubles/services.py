"""Both stand-ins on one loopback port, in the event loop of the test or in their own thread."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager

from tests.doubles.cohere import CohereDouble
from tests.doubles.http import DoubleServer, Exchange, RecordedRequest
from tests.doubles.limits import KeyLimits
from tests.doubles.openrouter import OpenRouterDouble

_OPENROUTER, _LOCAL = "/api/v1", "/local/v1"


class Doubles:
    """OpenRouter under `/api/v1`, a server without API keys under `/local/v1`, and Cohere at the root."""

    def __init__(self, on_request: Callable[[RecordedRequest], None] | None = None) -> None:
        keys = KeyLimits()
        self._openrouter, self._cohere = OpenRouterDouble(keys), CohereDouble(keys)
        self._local = OpenRouterDouble(keys, open_to_all=True)
        self._server = DoubleServer(self._answer, on_request)
        self.port = 0

    @property
    def log(self) -> list[RecordedRequest]:
        """All requests, in order."""
        return self._server.log

    @property
    def requested_models(self) -> list[str]:
        """The models of all requests for an answer, in order."""
        return [seen.model for seen in self.log if seen.path.endswith("/chat/completions")]

    @property
    def openrouter(self) -> str:
        """The value for `OPENROUTER_BASE_URL`."""
        return f"http://127.0.0.1:{self.port}{_OPENROUTER}"

    @property
    def local(self) -> str:
        """The URL of a fallback: any server of OpenAI's protocol."""
        return f"http://127.0.0.1:{self.port}{_LOCAL}"

    @property
    def cohere(self) -> str:
        """The value for `COHERE_BASE_URL`."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self, port: int = 0) -> "AsyncGenerator[Doubles]":
        """Listen in the current event loop."""
        self.port = await self._server.start(port)
        try:
            yield self
        finally:
            await self._server.stop()

    async def wait_until_ended(self, seconds: float = 5.0) -> RecordedRequest:
        """Return the last request after its response has ended in any way."""
        async with asyncio.timeout(seconds):
            while not self.log or not self.log[-1].finished:  # noqa: ASYNC110 - told by no event
                await asyncio.sleep(0.002)
        return self.log[-1]

    async def _answer(self, exchange: Exchange) -> None:
        path = exchange.request.path
        if path.startswith(_OPENROUTER):
            await self._openrouter.answer(exchange, path.removeprefix(_OPENROUTER))
        elif path.startswith(_LOCAL):
            await self._local.answer(exchange, path.removeprefix(_LOCAL))
        else:
            await self._cohere.answer(exchange)


@contextmanager
def run_in_thread() -> Generator[Doubles]:
    """Listen in a thread, for callers that are not async or have their own event loop."""
    doubles, leave = Doubles(), threading.Event()

    async def listen() -> None:
        async with doubles.running():
            await asyncio.to_thread(leave.wait)

    thread = threading.Thread(target=asyncio.run, args=[listen()])
    thread.start()
    try:
        while not doubles.port:
            time.sleep(0.005)
        yield doubles
    finally:
        leave.set()
        thread.join()
