"""Graceful shutdown: open answers get time to finish; requests that only watch a job end at once."""

import asyncio
import json
import signal
from collections.abc import Callable
from typing import Any, cast

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app.api.problems import problem_body
from app.api.request_log import note_failure
from app.api.sse import get_failure_frame
from storage.errors import ServerStopping


class ShutdownMiddleware:
    """An ASGI middleware that tracks open requests and ends them when the server stops."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._watchers: set[asyncio.Task[Any]] = set()
        self._answers: set[asyncio.Task[Any]] = set()
        self._cancelled: set[asyncio.Task[Any]] = set()
        self.has_begun = False
        """Whether the server is stopping. It is then alive but no longer ready."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle the request, and track it as open until it ends."""
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            await self._app(scope, receive, send)
            return
        tasks = self._watchers if _is_watcher(scope) else self._answers
        response = _OpenResponse(scope, send, sends_failure=tasks is self._answers)
        tasks.add(task)
        try:
            if self.has_begun and tasks is self._watchers:
                await response.finish()
            else:
                await self._app(scope, receive, response)
        except asyncio.CancelledError:
            if task not in self._cancelled:
                raise
            await response.finish()
        finally:
            tasks.discard(task)
            self._cancelled.discard(task)

    async def drain(self, seconds: float, close: Callable[[], None], *, immediately: bool) -> None:
        """End watching requests at once, and all others within `seconds`.

        Unless `immediately`, the server keeps listening until the answers that are open now are sent. Then
        `close` stops listening, and requests that are still open get the rest of the time. Those that take
        longer end with an event or a status that gives the reason.
        """
        self.has_begun = True
        self._cancel(self._watchers)
        deadline = asyncio.get_running_loop().time() + seconds
        if not immediately:
            await _wait_until(self._answers, deadline)
        close()
        await _wait_until(self._answers, deadline)
        self._cancel(self._answers)

    def _cancel(self, tasks: set[asyncio.Task[Any]]) -> None:
        self._cancelled |= tasks
        for task in tasks:
            task.cancel()


class _OpenResponse:
    """The state of one response, so that it can be completed at any point."""

    def __init__(self, scope: Scope, send: Send, *, sends_failure: bool) -> None:
        self._scope = scope
        self._send = send
        self._sends_failure = sends_failure
        self._is_stream = False
        self._has_begun = False
        self._is_over = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_begun = True
            types = [value for name, value in message["headers"] if name == b"content-type"]
            self._is_stream = any(each.startswith(b"text/event-stream") for each in types)
        elif message["type"] == "http.response.body":
            self._is_over = not message["more_body"]
        await self._send(message)

    async def finish(self) -> None:
        """Send status 503 if nothing was sent, the failure frame of a stream that has one, or just the end.

        Clients that watch a job get no failure frame: it would mean that the job has failed.
        """
        if self._is_over:
            return
        stopping = ServerStopping("The server is stopping. Try again in a few seconds.")
        if self._sends_failure or not self._has_begun:
            note_failure(stopping)
        problem, body = problem_body(stopping), b""
        if not self._has_begun:
            headers = [(b"content-type", b"application/problem+json"), (b"retry-after", b"5")]
            start = {"type": "http.response.start", "status": 503, "headers": headers}
            await self._send(cast("Message", start))
            body = json.dumps(problem).encode()
        elif self._is_stream and (frame := get_failure_frame(self._scope)):
            body = frame(problem)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def stop_listening() -> None:
    """Have the server accept no new connections and finish the open ones, as on SIGTERM."""
    signal.raise_signal(signal.SIGTERM)


def _is_watcher(scope: HTTPScope) -> bool:
    """Return whether the request only watches a stream; its client can reconnect to another server."""
    return scope["method"] == "GET" and asks_for_stream(scope)


def asks_for_stream(scope: HTTPScope) -> bool:
    """Return whether the client asks for a stream of events."""
    headers = cast("list[tuple[bytes, bytes]]", scope["headers"])
    return any(name == b"accept" and b"text/event-stream" in value for name, value in headers)


async def _wait_until(tasks: set[asyncio.Task[Any]], deadline: float) -> None:
    left = deadline - asyncio.get_running_loop().time()
    if tasks and left > 0:
        await asyncio.wait(set(tasks), timeout=left)
