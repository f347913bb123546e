"""A limit on invalid keys and tokens per client address."""

import hashlib
from typing import cast

from litestar import Litestar

from app.api.client_network import client_network
from app.rate_limiting.limiter import RateLimiter, Window
from storage.errors import TooManyFailures

_MAX_KNOWN_KEYS = 10_000


class SignInFailures:
    """A counter of failed sign-ins per address.

    Beyond the limit, keys from that address are no longer looked up, except those that were valid before.
    Tokens are always verified, because that needs no database. So if somebody who shares an address with
    others guesses keys, only keys that are new to this process have to wait, for a minute at most.
    """

    def __init__(self, limit: int, limiter: RateLimiter) -> None:
        self._limit = limit
        self._limiter = limiter
        self._known_keys: dict[bytes, None] = {}

    async def check(self, address: str, key: str) -> None:
        """Raise `TooManyFailures` if the key may not be looked up."""
        if _digest(key) not in self._known_keys:
            window = await self._limiter.read(_store_key(address))
            if window.count >= self._limit:
                raise _too_many(window)

    async def count(self, address: str, credential: str) -> None:
        """Count a failure. Raise `TooManyFailures` if the limit is exceeded."""
        self._known_keys.pop(_digest(credential), None)
        window = await self._limiter.hit(_store_key(address))
        if window.count > self._limit:
            raise _too_many(window)

    def remember(self, key: str) -> None:
        """Remember a valid key. It is looked up even if its address exceeds the limit."""
        if len(self._known_keys) >= _MAX_KNOWN_KEYS:
            self._known_keys.clear()
        self._known_keys[_digest(key)] = None


def get_sign_in_failures(app: Litestar) -> SignInFailures:
    """Return the application's failure counter."""
    return cast("SignInFailures", app.state.failures)


def _too_many(window: Window) -> TooManyFailures:
    error = TooManyFailures("Your address has sent too many invalid keys or tokens.")
    error.retry_after = window.seconds
    return error


def _store_key(address: str) -> str:
    return f"failures::{client_network(address)}"


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()
