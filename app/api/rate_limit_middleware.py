"""A limit on requests per minute."""

from litestar.connection import ASGIConnection
from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.exceptions import TooManyRequestsException
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.api.auth import principal_of
from app.rate_limiting.limiter import PERIOD, RateLimiter, Window


class RateLimit(ASGIMiddleware):
    """A middleware that limits the requests per minute of each user and key that has signed in."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, limit: int, limiter: RateLimiter) -> None:
        self._limit = limit
        self._limiter = limiter

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Count the request. Refuse it with status 429 if it exceeds the limit."""
        if scope.get("user") is None:
            await next_app(scope, receive, send)
            return
        name = principal_of(ASGIConnection(scope)).name
        window = await self._limiter.hit(f"requests::{name}")
        headers = self._headers(window)
        if window.count > self._limit:
            raise TooManyRequestsException(
                headers={**headers, "Retry-After": str(window.seconds)},
            )

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableScopeHeaders(message).update(headers)
            await send(message)

        await next_app(scope, receive, send_with_headers)

    def _headers(self, window: Window) -> dict[str, str]:
        return {
            "RateLimit-Policy": f"{self._limit}; w={PERIOD}",
            "RateLimit-Limit": str(self._limit),
            "RateLimit-Remaining": str(max(0, self._limit - window.count)),
            "RateLimit-Reset": str(window.seconds),
        }
