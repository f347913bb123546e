"""The public keys of an issuer: fetched when needed, cached, and refreshed because issuers rotate them."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urljoin

import jwt
from aiohttp import (
    ClientConnectorDNSError,
    ClientError,
    ClientResponse,
    ClientSSLError,
    ClientTimeout,
)

from storage.errors import IbidError, SignInUnavailable
from storage.http.pool import open_pool, read_limited
from storage.json_parsing import parse_json
from storage.service_urls import without_secrets

_log = logging.getLogger("ibid.people")

_REFRESH_AFTER, _MAX_AGE, _MIN_INTERVAL, _MIN_FORCED_INTERVAL = 300.0, 86_400.0, 30.0, 1.0
"""Seconds. Keys are refreshed when older than `_REFRESH_AFTER`, and not trusted when older than `_MAX_AGE`.

Refreshes are at least `_MIN_INTERVAL` apart, or `_MIN_FORCED_INTERVAL` if a request waits for one: anyone can
invent unknown key ids.
"""
_TIMEOUT = 3.0
_MAX_RESPONSE_BYTES = 1_000_000
"""The most bytes of a response."""
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

JWT_ERRORS = (
    jwt.PyJWTError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""The errors of PyJWT for unreadable input: its own, and those of its parsers for unexpected JSON."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key and the algorithms for which it may be used."""

    kid: str | None
    algorithms: frozenset[str]
    key: Any
    """The key as an object of the library cryptography."""


SigningKeys = tuple[SigningKey, ...]


class IssuerKeys:
    """The keys that an issuer publishes at a URL; if it is unreachable, known keys stay valid for a day."""

    def __init__(
        self, url: str, algorithms: Sequence[str], *, min_interval: float = _MIN_FORCED_INTERVAL
    ) -> None:
        self._url, self._min_interval = url, min_interval
        self.algorithms = tuple(algorithms)
        self._keys: SigningKeys = ()
        self._fetched_at = self._tried_at = float("-inf")
        self._reachable = False
        self._lock = asyncio.Lock()

    async def current(self) -> SigningKeys:
        """Return the keys, as the same tuple until the next refresh; raise `SignInUnavailable`."""
        now = time.monotonic()
        if now - self._fetched_at > _REFRESH_AFTER:
            await self._refresh(now, wait=now - self._fetched_at > _MAX_AGE)
        if time.monotonic() - self._fetched_at > _MAX_AGE:
            raise _unavailable()
        return self._keys

    async def newer_than(self, requested_at: float) -> SigningKeys:
        """Return keys fetched after `requested_at`, on the monotonic clock, for a token whose key may be new.

        The request waits for the next refresh, which serves all waiting requests, so that no valid token is
        rejected because its key is new. Raises `SignInUnavailable`.
        """
        await self._refresh(requested_at, wait=True)
        if not self._reachable:
            raise _unavailable()
        return self._keys

    async def _refresh(self, requested_at: float, *, wait: bool) -> None:
        """Refresh the keys, one request at a time and not too often; if it fails, the old keys are kept."""
        async with self._lock:
            if self._tried_at > requested_at:
                return
            elapsed = time.monotonic() - self._tried_at
            if not wait and elapsed < _MIN_INTERVAL:
                return
            await asyncio.sleep(max(0.0, self._min_interval - elapsed))
            self._tried_at = time.monotonic()
            try:
                self._keys = await fetch_keys(self._url, self.algorithms)
            except SignInUnavailable as error:
                self._reachable = False
                _log.warning("issuer_keys_not_fetched", extra={"reason": str(error)})
            else:
                self._fetched_at, self._reachable = time.monotonic(), True


def _unavailable() -> SignInUnavailable:
    """Build an error for clients, which does not reveal where the server fetches keys."""
    return SignInUnavailable(
        "The token issuer's keys cannot be fetched at the moment. See the server's log."
    )


async def fetch_keys(url: str, algorithms: Sequence[str]) -> SigningKeys:
    """Fetch the usable keys; raise `SignInUnavailable`, which names the URL and the reason."""
    try:
        return usable_keys(await _fetch_jwks(url), algorithms)
    except (ClientError, IbidError, TimeoutError, *JWT_ERRORS) as error:
        message = (
            f"The issuer's keys cannot be fetched from {without_secrets(url)}: {_reason(error)}."
        )
        raise SignInUnavailable(message) from error


async def _fetch_jwks(url: str) -> list[object]:
    timeout = ClientTimeout(total=_TIMEOUT)
    async with (
        open_pool() as http,
        http.get(url, timeout=timeout, allow_redirects=False) as answer,
    ):
        _check_status(answer, url)
        body = await read_limited(answer, _MAX_RESPONSE_BYTES)
    try:
        listed = parse_json(body)
    except ValueError:
        raise ValueError(f"the answer is not JSON ({answer.content_type})") from None
    match listed:
        case {"keys": []}:
            raise ValueError("it lists no keys: the issuer may sign with a shared secret")
        case {"keys": [*keys]}:
            return cast("list[object]", keys)
        case _:
            raise ValueError("the answer is not a JSON object with a list `keys`")


def _check_status(answer: ClientResponse, url: str) -> None:
    if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
        target = without_secrets(urljoin(url, answer.headers.get("location", "")))
        raise ValueError(f"it redirects to {target}: set AUTH_JWKS_URL to the address of the keys")
    if answer.status != HTTPStatus.OK:
        raise ValueError(f"it answers with status {answer.status}")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"it does not answer within {_TIMEOUT:g} seconds"
    if isinstance(error, ClientConnectorDNSError):
        return "its host name cannot be resolved"
    if isinstance(error, ClientSSLError):
        return "its certificate is not trusted"
    if isinstance(error, ClientError):
        return f"it cannot be reached ({type(error).__name__})"
    return str(error).rstrip(".")


def usable_keys(published: Sequence[object], algorithms: Sequence[str]) -> SigningKeys:
    """Return the usable keys and ignore those of unknown types; raise `ValueError` if there are none."""
    keys = tuple(filter(None, (_signing_key(each, frozenset(algorithms)) for each in published)))
    if not keys:
        raise ValueError(
            f"none of its {len(published)} keys can check a signature with {', '.join(algorithms)}"
        )
    return keys


def _signing_key(published: object, algorithms: frozenset[str]) -> SigningKey | None:
    if not isinstance(published, dict):
        return None
    jwk = cast("dict[str, Any]", published)
    kid = jwk.get("kid")
    if jwk.get("use", "sig") != "sig" or not isinstance(kid, str | None):
        return None
    try:
        key = jwt.PyJWK(jwk)
        if key.Algorithm.check_key_length(key.key):
            return None
    except JWT_ERRORS:
        return None
    names = frozenset({key.algorithm_name})
    if key.key_type == "RSA" and not jwk.get("alg"):
        names = _RSA  # Entra publishes its keys without `alg`
    fitting = names & algorithms
    return SigningKey(kid, fitting, key.key) if fitting else None
