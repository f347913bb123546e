"""A limit on open streams per user, key or address."""

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from app.api.auth import principal_of
from app.api.client_network import client_network
from app.api.forwarded_headers import address_of
from app.api.shutdown import asks_for_stream
from app.chat.limits import ConcurrencyLimit
from storage.domain import LOCAL
from storage.errors import TooManyStreams


class StreamLimit(ASGIMiddleware):
    """A middleware that limits open streams.

    Each stream takes a connection, and a watched job is polled four times a second.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, limit: int) -> None:
        self._streams = ConcurrencyLimit(limit)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Handle the request. Raise `TooManyStreams` if it would exceed the limit."""
        if scope["type"] != "http" or not asks_for_stream(scope):
            await next_app(scope, receive, send)
            return
        principal = principal_of(ASGIConnection(scope))
        is_named = principal.name and principal != LOCAL
        holder = principal.name if is_named else f"address {client_network(address_of(scope))}"
        error = TooManyStreams(f"You have {self._streams.limit} open streams. Close one first.")
        with self._streams.acquire(holder, error):
            await next_app(scope, receive, send)
