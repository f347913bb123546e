"""Request bodies: an error for JSON that is nested too deeply, and a timeout for slow bodies."""

import asyncio
from typing import Any

from litestar import Request
from litestar.exceptions import HTTPException
from litestar.types import (
    ASGIApp,
    HTTPDisconnectEvent,
    HTTPRequestEvent,
    Receive,
    Scope,
    Send,
    WebSocketReceiveMessage,
)

from app.api.request_log import note_left
from storage.errors import InvalidInput

_SILENCE = 30.0
"""Timeout in seconds for the next part of a body."""


class JSONRequest(Request[Any, Any, Any]):
    """A request that reports JSON which is nested too deeply as the client's error, not the server's."""

    async def json(self) -> Any:
        """Parse the body. Raise `InvalidInput` if it is nested too deeply."""
        try:
            return await super().json()
        except RecursionError as error:
            raise InvalidInput("The body is JSON that is nested too deeply.") from error


class BodyTimeout:
    """An ASGI middleware that answers with status 408 if the next part of a body takes too long."""

    def __init__(self, app: ASGIApp, silence: float = _SILENCE) -> None:
        self._app = app
        self._silence = silence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply the timeout until the body is complete. Waiting for a disconnect has no timeout."""
        is_whole = scope["type"] != "http"

        async def timed() -> HTTPRequestEvent | HTTPDisconnectEvent | WebSocketReceiveMessage:
            nonlocal is_whole
            if is_whole:
                return await receive()
            try:
                async with asyncio.timeout(self._silence):
                    message = await receive()
            except TimeoutError as error:
                told = f"Nothing of the request's body came for {self._silence:g} seconds."
                raise HTTPException(told, status_code=408) from error
            if message["type"] == "http.disconnect":
                note_left()
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, timed, send)
