"""Security headers of every response. Handlers may set other values."""

from litestar.types import Message, Scope

CONTENT_SECURITY_POLICY = "Content-Security-Policy"
_DEFAULTS = {
    b"x-content-type-options": b"nosniff",
    CONTENT_SECURITY_POLICY.lower().encode(): b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
"""Default headers. Responses depend on the user, so they are not cached; they cannot run or be framed."""


async def add_security_headers(message: Message, _: Scope) -> None:
    """Add the default headers. As a `before_send` hook it also sees responses that no handler made."""
    if message["type"] == "http.response.start":
        headers = [*message["headers"]]
        present = {name.lower() for name, _ in headers}
        headers += [pair for pair in _DEFAULTS.items() if pair[0] not in present]
        message["headers"] = headers
