"""Bodies of requests: JSON that is nested too deeply, and bodies that do not come."""

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
"""Seconds without a byte of a body that has not ended."""


class JSONRequest(Request[Any, Any, Any]):
    """Litestar's own request, which would take JSON that is nested too deeply for a fault of ours."""

    async def json(self) -> Any:
        """Raises `InvalidInput` for such a body."""
        try:
            return await super().json()
        except RecursionError as error:
            raise InvalidInput("The body is JSON that is nested too deeply.") from error


class BodyTimeout:
    """ASGI: a body's next part comes in time, or the request is answered with status 408."""

    def __init__(self, app: ASGIApp, silence: float = _SILENCE) -> None:
        self._app = app
        self._silence = silence

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Once the body is whole, whoever receives waits for the client to leave: that has no end."""
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
