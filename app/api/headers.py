"""Headers that every response carries, unless its handler has set one of them otherwise."""

from litestar.types import Message, Scope

CONTENT_SECURITY_POLICY = "Content-Security-Policy"
_DEFAULTS = {
    b"x-content-type-options": b"nosniff",
    CONTENT_SECURITY_POLICY.lower().encode(): b"default-src 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}
"""Of what depends on who asks nothing is kept anywhere; data is never run, nor framed, as a page."""


async def add_security_headers(message: Message, _: Scope) -> None:
    """A `before_send` hook: it also sees what is answered before or instead of a handler."""
    if message["type"] == "http.response.start":
        headers = [*message["headers"]]
        there = {name.lower() for name, _ in headers}
        headers += [pair for pair in _DEFAULTS.items() if pair[0] not in there]
        message["headers"] = headers
