"""A circuit breaker: a model that keeps failing is not tried for a while, then by one turn at a time."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from storage.errors import ModelBusy, ModelRefused, ModelUnavailable

FAILURE_THRESHOLD = 3
"""Consecutive failures after which the breaker opens."""
COOLDOWN_SECONDS = 30.0
"""Seconds for which an open breaker admits no turn."""


class CircuitBreaker:
    """The breaker of one model.

    It is closed at first. It opens after `FAILURE_THRESHOLD` failures in a row, or for as long as a busy
    server asks. When its rest after these failures is over, it is half-open: it admits one turn at a time
    until one succeeds.
    """

    def __init__(self, cooldown: float = COOLDOWN_SECONDS) -> None:
        self._cooldown = cooldown
        self._failures = 0
        self._open_until = 0.0
        self._probing = False

    @property
    def seconds_until_retry(self) -> float:
        """Seconds until the model may be tried again."""
        return max(0.0, self._open_until - time.monotonic())

    def allows_attempt(self) -> bool:
        """Return whether a turn may try the model now."""
        if self.seconds_until_retry:
            return False
        return not (self._probing and self._failures >= FAILURE_THRESHOLD)

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Wrap one attempt and record how it ends; a cancelled attempt is not recorded."""
        self._probing = True
        try:
            yield
        except ModelRefused:
            self._failures = 0  # a refusal shows that the model is available
            raise
        except ModelUnavailable as error:
            self._failures += 1
            retry_after = error.retry_after if isinstance(error, ModelBusy) else None
            if retry_after is not None or self._failures >= FAILURE_THRESHOLD:
                self._open_until = time.monotonic() + max(retry_after or 0.0, self._next_cooldown())
            raise
        else:
            self._failures = 0
        finally:
            self._probing = False

    def _next_cooldown(self) -> float:
        return self._cooldown if self._failures >= FAILURE_THRESHOLD else 0.0
