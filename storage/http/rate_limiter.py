"""So much in so many seconds, and not more: what a service allows is not found out by being refused."""

import asyncio
import time
from collections import defaultdict, deque

_MARGIN = 1.1
"""A request is counted by the other side a little after it is counted here."""


class RateLimiter:
    """A sliding window; who waits for the same share of it is served in the order of coming."""

    def __init__(self, limit: int, period: float = 60.0) -> None:
        self._limit = limit
        self._period = period * _MARGIN
        self._taken: deque[tuple[float, int]] = deque()
        self._queues: defaultdict[float, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def wait(self, amount: int, share: float = 1.0) -> None:
        """Returns once `amount` fits into that share of the limit, and takes it."""
        limit = max(1, int(self._limit * share))
        amount = min(amount, limit)
        async with self._queues[share]:
            while not self._fits(amount, limit):  # noqa: ASYNC110 - told by the clock alone
                await asyncio.sleep(self._taken[0][0] + self._period - time.monotonic())
            self._taken.append((time.monotonic(), amount))

    def take(self, amount: int) -> bool:
        """Takes it if it fits now."""
        fits = self._fits(amount, self._limit)
        if fits:
            self._taken.append((time.monotonic(), amount))
        return fits

    def _fits(self, amount: int, limit: int) -> bool:
        now = time.monotonic()
        while self._taken and self._taken[0][0] <= now - self._period:
            self._taken.popleft()
        return sum(taken for _, taken in self._taken) + amount <= limit
