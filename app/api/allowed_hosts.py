"""Whom the server answers: what keeps another site's page from talking to it."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request
from litestar.config.cors import CORSConfig

from app.addresses import hostname, is_same_site
from app.settings import Settings
from storage.errors import InvalidInput

ANY_HOST = {"any_host": True}
"""For `opt` of a handler that probes ask, which call the server by an address of its own."""


def build_host_check(
    settings: Settings, cors: CORSConfig | None
) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """A hook that raises `InvalidInput` for a request to another name, or from another site.

    Without sign-in, a name that another site makes point at this machine must not be answered, nor
    a form that its page sends here. Pages of `CORS_ORIGINS` may call; so may those of `PUBLIC_URL`.
    """
    known = None if settings.hosts is None else {hostname(name) for name in settings.hosts}

    async def check(request: Request[Any, Any, Any]) -> None:
        if request.route_handler.opt.get("any_host"):
            return
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if known is not None and hostname(host) not in known:
            raise InvalidInput(
                f"The server was addressed as {host!r}, which is none of its names: "
                "add it to ALLOWED_HOSTS, or set PUBLIC_URL to where the server is reached."
            )
        if origin is None or is_same_site(origin, host) or origin == settings.public_origin:
            return
        if cors is None or not cors.is_origin_allowed(origin):
            raise InvalidInput(
                f"The server was addressed as {host!r} and does not answer pages of {origin!r}. "
                "If the page is the server's own, set PUBLIC_URL to where the server is reached; "
                "if it is another site's, add that origin to CORS_ORIGINS."
            )

    return check
