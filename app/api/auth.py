"""Who knocks: a bearer token or an API key becomes a principal, or a 401; and how often they may."""

import re
from typing import Any, cast

from litestar import Request
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.middleware import (
    AbstractAuthenticationMiddleware,
    AuthenticationResult,
    DefineMiddleware,
)
from litestar.middleware.rate_limit import RateLimitConfig
from litestar.types import Middleware

from app.api.failures import failures_of
from app.api.proxies import address_of
from app.setting_types import listed
from app.settings import Settings
from app.wiring import Services
from storage.domain import LOCAL, STRANGER, Principal
from storage.errors import NotSignedIn

OPEN = {"exclude_from_auth": True}
"""For `opt` of a handler that anyone may call, and that says nothing about anyone's documents."""

_OPEN_PATHS = ["^/health", "^/schema"]
_EXPOSED = [
    "Content-Disposition",
    "Location",
    "RateLimit-Limit",
    "RateLimit-Policy",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
]
"""What a page of another site may read of an answer, besides what any may."""

Connection = ASGIConnection[Any, Any, Any, Any]


class SignIn(AbstractAuthenticationMiddleware):
    """Every route is closed but those that say otherwise."""

    async def authenticate_request(self, connection: Connection) -> AuthenticationResult:
        """Raises what `sign_in` does."""
        return AuthenticationResult(user=await sign_in(connection), auth=None)


async def sign_in(connection: Connection) -> Principal:
    """Raises `NotSignedIn`, `TooManyFailures` or `SignInUnavailable`."""
    people = cast("Services", connection.app.state.services).people
    failures = failures_of(connection.app)
    scheme, _, credential = connection.headers.get("authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        told = "Sign in: send `Authorization: Bearer` with a token or an API key."
        raise NotSignedIn(told, was_sent=False)
    address, is_key = address_of(connection.scope), people.is_key(credential)
    if is_key:
        await failures.check(address, credential)
    try:
        principal = await people.principal(
            credential, destructive=connection.scope.get("method") == "DELETE"
        )
    except NotSignedIn:
        await failures.count(address, credential)
        raise
    if is_key:
        failures.remember(credential)
    return principal


def provide_services(request: Request[Any, Any, Any]) -> Services:
    """Acting for whoever knocked; a stranger, on a route that is open, sees nothing."""
    services: Services = request.app.state.services
    return services.acting_for(principal_of(request))


def principal_of(connection: Connection) -> Principal:
    """Whoever signed in; without sign-in whoever sits at this machine."""
    known: Principal | None = connection.scope.get("user")
    return known or (STRANGER if connection.app.state.signs_in else LOCAL)


async def only_editors_change(connection: Connection, handler: BaseRouteHandler) -> None:
    """A door that changes something is closed to readers, unless its `opt` names another right.

    Async, for one that is not would be run in a thread.
    """
    changes = connection.scope.get("method") not in ("GET", "HEAD", "OPTIONS")
    if right := handler.opt.get("right", "ingest" if changes else None):
        principal_of(connection).require(right)


def build_middleware(settings: Settings) -> list[Middleware]:
    """Sign-in, then a rate limit for each user or key; nothing where there is no sign-in.

    The limit is Litestar's, which reads a count and then writes it: of requests at the same moment in
    several processes it may count one.
    """
    if settings.auth == "off":
        return []
    limit = RateLimitConfig(
        rate_limit=("minute", settings.rate_limit),
        exclude=_OPEN_PATHS,
        exclude_opt_key="exclude_from_auth",
        identifier_for_request=_name_of,
    )
    return [DefineMiddleware(SignIn, exclude=_OPEN_PATHS), limit.middleware]


def _name_of(request: Request[Any, Any, Any]) -> str:
    return principal_of(request).name


def build_cors(settings: Settings) -> CORSConfig | None:
    """For pages of the sites that are listed; they send a token, never a cookie.

    They may send any header: tracers add their own, and what a header can do here a token must allow.
    """
    origins = listed(settings.cors_origins)
    if not origins:
        return None
    subdomains = [
        re.escape(each).replace(r"\*", r"[a-z0-9.-]+") for each in origins if "*." in each
    ]
    return CORSConfig(
        allow_origins=[each for each in origins if "*." not in each],
        allow_origin_regex="|".join(subdomains) or None,
        allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
    )
