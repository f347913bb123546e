"""A limit on invalid keys and tokens per client address."""

import hashlib
import time
from typing import Any, cast

from litestar import Litestar
from litestar.middleware.rate_limit import RateLimitConfig, RateLimitMiddleware
from litestar.stores.base import Store

from app.api.client_address import network_of
from storage.errors import TooManyFailures

_MOST_KNOWN = 10_000


class Failures:
    """A counter of failed sign-ins per address.

    Beyond the limit, keys from that address are no longer looked up, except those that were valid before.
    Tokens are always verified, because that needs no database. So if somebody who shares an address with
    others guesses keys, only keys that are new to this process have to wait, for a minute at most.
    """

    def __init__(self, most: int, store: Store) -> None:
        config = RateLimitConfig(("minute", most))
        # Litestar's middleware counts, in the same store. This class decides who is counted and when.
        self._counter = RateLimitMiddleware(cast("Any", None), config)
        self._most = most
        self._store = store
        self._known: dict[bytes, None] = {}

    async def check(self, address: str, key: str) -> None:
        """Raise `TooManyFailures` if the key may not be looked up."""
        if _digest(key) not in self._known:
            counted = await self._counter.retrieve_cached_history(_name(address), self._store)
            self._require_fewer(counted.history, counted.reset)

    async def count(self, address: str, credential: str) -> None:
        """Count a failure. Raise `TooManyFailures` if the limit is exceeded."""
        self._known.pop(_digest(credential), None)
        name = _name(address)
        counted = await self._counter.retrieve_cached_history(name, self._store)
        self._require_fewer(counted.history, counted.reset)
        await self._counter.set_cached_history(name, counted, self._store)

    def remember(self, key: str) -> None:
        """Remember a valid key. It is looked up even if its address exceeds the limit."""
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[_digest(key)] = None

    def _require_fewer(self, failures: list[int], reset: int) -> None:
        if len(failures) >= self._most:
            error = TooManyFailures("Too many bad keys or tokens came from your address.")
            error.retry_after = max(1, reset - int(time.time()))
            raise error


def failures_of(app: Litestar) -> Failures:
    """Return the application's failure counter."""
    return cast("Failures", app.state.failures)


def _name(address: str) -> str:
    return f"failures::{network_of(address)}"


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode()).digest()
