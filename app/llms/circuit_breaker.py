"""A circuit breaker: a model that keeps failing is not tried for a while, then by one turn at a time."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from storage.errors import ModelBusy, ModelRefused, ModelUnavailable

ENOUGH = 3
"""Consecutive failures after which the breaker opens."""
REST = 30.0
"""Seconds for which an open breaker admits no turn."""


class Breaker:
    """The breaker of one model.

    It is closed at first. It opens after `ENOUGH` failures in a row, or for as long as a busy server
    asks. When its rest after `ENOUGH` failures is over, it is half-open: it admits one turn at a time
    until one succeeds.
    """

    def __init__(self, rest: float = REST) -> None:
        self._rest = rest
        self._failures = 0
        self._until = 0.0
        self._probing = False

    @property
    def resting(self) -> float:
        """Seconds until the model may be tried again."""
        return max(0.0, self._until - time.monotonic())

    def admits(self) -> bool:
        """Return whether a turn may try the model now."""
        if self.resting:
            return False
        return not (self._probing and self._failures >= ENOUGH)

    @contextmanager
    def trial(self) -> Generator[None]:
        """Wrap one attempt and record how it ends; a cancelled attempt is not recorded."""
        self._probing = True
        try:
            yield
        except ModelRefused:
            self._failures = 0  # a refusal shows that the model is available
            raise
        except ModelUnavailable as error:
            self._failures += 1
            wanted = error.retry_after if isinstance(error, ModelBusy) else None
            if wanted is not None or self._failures >= ENOUGH:
                self._until = time.monotonic() + max(wanted or 0.0, self._rest_now())
            raise
        else:
            self._failures = 0
        finally:
            self._probing = False

    def _rest_now(self) -> float:
        return self._rest if self._failures >= ENOUGH else 0.0
