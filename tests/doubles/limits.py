"""API keys of the stand-ins; the name of a key defines its limits."""

import re
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field


@dataclass
class Refusal:
    """The response that rejects a key."""

    status: int
    message: str
    retry_after: float | None = None
    limit: int = 0


@dataclass
class KeyLimits:
    """The keys and their use so far.

    `bad…` gets status 401, `banned…` 403 and `broke…` 402. `limited-N-per-S…` may be used N times in S
    seconds, `quota-N…` N times in total. All other keys are unlimited.
    """

    _used: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def check(self, key: str, weight: int = 1) -> Refusal | None:
        """Return the refusal of the key, or count `weight` uses and return None."""
        for word, status, told in (
            ("bad", 401, "invalid api token"),
            ("banned", 403, "this key may not be used here"),
            ("broke", 402, "insufficient credits"),
        ):
            if key.startswith(word):
                return Refusal(status, told)
        if found := re.match(r"limited-(\d+)-per-(\d+(?:\.\d+)?)", key):
            return self._count_use(key, weight, int(found[1]), float(found[2]))
        if found := re.match(r"quota-(\d+)", key):
            return self._count_use(key, min(weight, 1), int(found[1]), None)
        return None

    def remaining(self, key: str) -> int | None:
        """Return the remaining uses of a key with a quota, or None for other keys."""
        found = re.match(r"quota-(\d+)", key)
        return int(found[1]) - len(self._used[key]) if found else None

    def _count_use(self, key: str, weight: int, limit: int, period: float | None) -> Refusal | None:
        used, now = self._used[key], time.monotonic()
        while period and used and used[0] <= now - period:
            used.popleft()
        if len(used) + weight > limit:
            if period is None:
                return Refusal(429, "the quota of this key is used up", limit=limit)
            wait = used[0] + period - now if used else period
            return Refusal(429, "too many requests", retry_after=wait, limit=limit)
        used.extend([now] * weight)
        return None
