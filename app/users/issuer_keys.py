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
from storage.parsing import parse_json
from storage.service_urls import without_secrets

_log = logging.getLogger("ibid.people")

_FRESH, _USABLE, _AGAIN, _APART = 300.0, 86_400.0, 30.0, 1.0
"""Seconds. Keys are refreshed when older than `_FRESH` and not trusted when older than `_USABLE`. Refreshes
are at least `_AGAIN` apart, or `_APART` if a request waits for one: anyone can invent unknown key ids."""
_SECONDS = 3.0
_LARGEST = 1_000_000
"""The most bytes of a response."""
_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

UNREADABLE = (
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


Keys = tuple[SigningKey, ...]


class IssuerKeys:
    """The keys that an issuer publishes at a URL; if it is unreachable, known keys stay valid for a day."""

    def __init__(self, url: str, algorithms: Sequence[str], *, apart: float = _APART) -> None:
        self._url, self._apart = url, apart
        self.algorithms = tuple(algorithms)
        self._keys: Keys = ()
        self._fetched = self._tried = float("-inf")
        self._reachable = False
        self._lock = asyncio.Lock()

    async def current(self) -> Keys:
        """Return the keys, as the same tuple until the next refresh; raise `SignInUnavailable`."""
        now = time.monotonic()
        if now - self._fetched > _FRESH:
            await self._renew(now, wait=now - self._fetched > _USABLE)
        if time.monotonic() - self._fetched > _USABLE:
            raise _unavailable()
        return self._keys

    async def newer_than(self, asked: float) -> Keys:
        """Return keys fetched after `asked`, a time of the monotonic clock, for a token whose key may be new.

        The request waits for the next refresh, which serves all waiting requests, so that no valid token is
        rejected because its key is new. Raises `SignInUnavailable`.
        """
        await self._renew(asked, wait=True)
        if not self._reachable:
            raise _unavailable()
        return self._keys

    async def _renew(self, asked: float, *, wait: bool) -> None:
        """Refresh the keys, one request at a time and not too often; if it fails, the old keys are kept."""
        async with self._lock:
            if self._tried > asked:
                return
            since = time.monotonic() - self._tried
            if not wait and since < _AGAIN:
                return
            await asyncio.sleep(max(0.0, self._apart - since))
            self._tried = time.monotonic()
            try:
                self._keys = await fetch_keys(self._url, self.algorithms)
            except SignInUnavailable as error:
                self._reachable = False
                _log.warning("issuer_keys_not_fetched", extra={"reason": str(error)})
            else:
                self._fetched, self._reachable = time.monotonic(), True


def _unavailable() -> SignInUnavailable:
    """Build an error for clients, which does not reveal where the server fetches keys."""
    return SignInUnavailable(
        "The token issuer's keys cannot be fetched at the moment. See the server's log."
    )


async def fetch_keys(url: str, algorithms: Sequence[str]) -> Keys:
    """Fetch the usable keys; raise `SignInUnavailable`, which names the URL and the reason."""
    try:
        return usable_keys(await _published(url), algorithms)
    except (ClientError, IbidError, TimeoutError, *UNREADABLE) as error:
        told = f"The issuer's keys cannot be fetched from {without_secrets(url)}: {_reason(error)}."
        raise SignInUnavailable(told) from error


async def _published(url: str) -> list[object]:
    timeout = ClientTimeout(total=_SECONDS)
    async with (
        open_pool() as http,
        http.get(url, timeout=timeout, allow_redirects=False) as answer,
    ):
        _check_status(answer, url)
        body = await read_limited(answer, _LARGEST)
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
        return f"it does not answer within {_SECONDS:g} seconds"
    if isinstance(error, ClientConnectorDNSError):
        return "its host name cannot be resolved"
    if isinstance(error, ClientSSLError):
        return "its certificate is not trusted"
    if isinstance(error, ClientError):
        return f"it cannot be reached ({type(error).__name__})"
    return str(error).rstrip(".")


def usable_keys(published: Sequence[object], algorithms: Sequence[str]) -> Keys:
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
    told = cast("dict[str, Any]", published)
    kid = told.get("kid")
    if told.get("use", "sig") != "sig" or not isinstance(kid, str | None):
        return None
    try:
        key = jwt.PyJWK(told)
        if key.Algorithm.check_key_length(key.key):
            return None
    except UNREADABLE:
        return None
    names = frozenset({key.algorithm_name})
    if key.key_type == "RSA" and not told.get("alg"):
        names = _RSA  # Entra publishes its keys without `alg`
    fitting = names & algorithms
    return SigningKey(kid, fitting, key.key) if fitting else None
