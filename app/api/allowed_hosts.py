"""The check of `Host` and `Origin`, which prevents pages of other sites from calling the server."""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request
from litestar.config.cors import CORSConfig

from app.settings import Settings
from app.settings.origins import hostname, is_same_site
from storage.errors import InvalidInput

ANY_HOST = {"any_host": True}
"""`opt` of handlers that skip the host check. Health probes may call the server by another name."""


def build_host_check(
    settings: Settings, cors: CORSConfig | None
) -> Callable[[Request[Any, Any, Any]], Awaitable[None]]:
    """Return a hook that raises `InvalidInput` for a request to an unknown host or from another site.

    Without sign-in, this stops DNS rebinding and forms that pages of other sites submit. Pages of
    `CORS_ORIGINS` and of `PUBLIC_URL` may call the server.
    """
    allowed = None if settings.hosts is None else {hostname(name) for name in settings.hosts}

    async def check(request: Request[Any, Any, Any]) -> None:
        if request.route_handler.opt.get("any_host"):
            return
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if allowed is not None and hostname(host) not in allowed:
            raise InvalidInput(
                f"The host {host!r} is not allowed: "
                "add it to ALLOWED_HOSTS, or set PUBLIC_URL to the public URL of the server."
            )
        if origin is None or is_same_site(origin, host) or origin == settings.public_origin:
            return
        if cors is None or not cors.is_origin_allowed(origin):
            raise InvalidInput(
                f"Pages of {origin!r} may not call the server at {host!r}. "
                "If the page is the server's own, set PUBLIC_URL to the public URL of the server; "
                "if it is another site's, add its origin to CORS_ORIGINS."
            )

    return check
