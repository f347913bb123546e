"""Request bodies: their size limit, an error for JSON that is nested too deeply, and a timeout."""

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

from app.api.request_log import note_disconnect
from storage.errors import InvalidInput

MAX_BODY_SIZE = 1_000_000
"""Bytes. Litestar counts them as they arrive, so the limit also holds without `Content-Length`."""
_TIMEOUT_SECONDS = 30.0
"""Timeout in seconds for the next part of a body."""


class JSONRequest(Request[Any, Any, Any]):
    """A request that reports JSON which is nested too deeply as the client's error, not the server's."""

    async def json(self) -> Any:
        """Parse the body. Raise `InvalidInput` if it is nested too deeply."""
        try:
            return await super().json()
        except RecursionError as error:
            raise InvalidInput("The JSON in the body is nested too deeply.") from error


class BodyTimeout:
    """An ASGI middleware that answers with status 408 if the next part of a body takes too long.

    Litestar limits the size of bodies but has no timeout for them.
    """

    def __init__(self, app: ASGIApp, seconds: float = _TIMEOUT_SECONDS) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Apply the timeout until the body is complete. Waiting for a disconnect has no timeout."""
        is_complete = scope["type"] != "http"

        async def receive_in_time() -> (
            HTTPRequestEvent | HTTPDisconnectEvent | WebSocketReceiveMessage
        ):
            nonlocal is_complete
            if is_complete:
                return await receive()
            try:
                async with asyncio.timeout(self._seconds):
                    message = await receive()
            except TimeoutError as error:
                message = f"No data of the request's body arrived for {self._seconds:g} seconds."
                raise HTTPException(message, status_code=408) from error
            if message["type"] == "http.disconnect":
                note_disconnect()
            is_complete = not message.get("more_body", False)
            return message

        await self._app(scope, receive_in_time, send)
