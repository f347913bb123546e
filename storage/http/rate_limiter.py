"""A client-side rate limiter, which respects a service's limit before the service refuses requests."""

import asyncio
import time
from collections import defaultdict, deque

_MARGIN = 1.1
"""Factor that lengthens the period, because the service counts a request later than this process does."""


class RateLimiter:
    """A limiter with a sliding window of `period` seconds; waiters for the same share are served in order."""

    def __init__(self, limit: int, period: float = 60.0) -> None:
        self._limit = limit
        self._period = period * _MARGIN
        self._taken: deque[tuple[float, int]] = deque()
        self._queues: defaultdict[float, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def wait(self, amount: int, share: float = 1.0) -> None:
        """Wait until `amount` fits into `share` of the limit, then take it; a larger `amount` is reduced."""
        limit = max(1, int(self._limit * share))
        amount = min(amount, limit)
        async with self._queues[share]:
            while not self._fits(amount, limit):  # noqa: ASYNC110 - only the clock can tell
                await asyncio.sleep(self._taken[0][0] + self._period - time.monotonic())
            self._taken.append((time.monotonic(), amount))

    def take(self, amount: int) -> bool:
        """Take `amount` if it fits now, and return whether it did."""
        fits = self._fits(amount, self._limit)
        if fits:
            self._taken.append((time.monotonic(), amount))
        return fits

    def _fits(self, amount: int, limit: int) -> bool:
        now = time.monotonic()
        while self._taken and self._taken[0][0] <= now - self._period:
            self._taken.popleft()
        return sum(count for _, count in self._taken) + amount <= limit
