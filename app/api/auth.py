"""Authentication by bearer token or API key, authorization and CORS."""

import re
from typing import Any, cast

from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.middleware import (
    AbstractAuthenticationMiddleware,
    AuthenticationResult,
    DefineMiddleware,
)
from litestar.types import Middleware

from app.api.forwarded_headers import address_of
from app.api.sign_in_failures import get_sign_in_failures
from app.settings import Settings
from app.settings.types import split_list
from app.wiring import Services
from storage.domain import ANONYMOUS, LOCAL, Principal
from storage.errors import NotSignedIn

NO_SIGN_IN = {"exclude_from_auth": True}
"""`opt` of handlers that need no sign-in. They must not reveal anything about users' documents."""

_OPEN_PATHS = ["^/health", "^/schema"]
_EXPOSED_HEADERS = [
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
"""Response headers that pages of other sites may read, besides those that CORS always allows."""

AnyConnection = ASGIConnection[Any, Any, Any, Any]


class SignInMiddleware(AbstractAuthenticationMiddleware):
    """A middleware that requires sign-in on all routes except those that are marked `NO_SIGN_IN`."""

    async def authenticate_request(self, connection: AnyConnection) -> AuthenticationResult:
        """Authenticate the request. Raise the same errors as `sign_in`."""
        return AuthenticationResult(user=await sign_in(connection), auth=None)


async def sign_in(connection: AnyConnection) -> Principal:
    """Return who sent the request. Raise `NotSignedIn`, `TooManyFailures` or `SignInUnavailable`."""
    people = cast("Services", connection.app.state.services).people
    failures = get_sign_in_failures(connection.app)
    scheme, _, credential = connection.headers.get("authorization", "").partition(" ")
    credential = credential.strip()
    if scheme.lower() != "bearer" or not credential:
        message = "Sign in: send `Authorization: Bearer` with a token or an API key."
        raise NotSignedIn(message, was_sent=False)
    address, is_key = address_of(connection.scope), people.is_key(credential)
    if is_key:
        await failures.check(address, credential)
    try:
        principal = await people.authenticate(
            credential, destructive=connection.scope.get("method") == "DELETE"
        )
    except NotSignedIn:
        await failures.count(address, credential)
        raise
    if is_key:
        failures.remember(credential)
    return principal


def principal_of(connection: AnyConnection) -> Principal:
    """Return who signed in: `ANONYMOUS` on an open route, `LOCAL` if sign-in is off."""
    principal: Principal | None = connection.scope.get("user")
    return principal or (ANONYMOUS if connection.app.state.signs_in else LOCAL)


async def require_rights(connection: AnyConnection, handler: BaseRouteHandler) -> None:
    """Require the right `ingest` for requests that change something, or the right that `opt` names.

    It is async because Litestar runs synchronous guards in a thread.
    """
    is_change = connection.scope.get("method") not in ("GET", "HEAD", "OPTIONS")
    if right := handler.opt.get("right", "ingest" if is_change else None):
        principal_of(connection).require(right)


def build_middleware(settings: Settings) -> list[Middleware]:
    """Return the middleware that requires sign-in; an empty list if sign-in is off."""
    if settings.auth == "off":
        return []
    return [DefineMiddleware(SignInMiddleware, exclude=_OPEN_PATHS)]


def build_cors(settings: Settings) -> CORSConfig | None:
    """Return the CORS rules for `CORS_ORIGINS`, or None. These sites send a token, never a cookie.

    They may send any header, because tracing tools add their own. Every header still needs a valid token.
    """
    origins = split_list(settings.cors_origins)
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
        expose_headers=_EXPOSED_HEADERS,
    )
