"""Requests whose body does not come: a connection is not kept for them."""

import asyncio

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

_SILENCE = 30.0
"""Seconds without a byte of a body that has not ended."""


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
            is_whole = not message.get("more_body", False)
            return message

        await self._app(scope, timed, send)
