"""A model that keeps failing is left alone for a while, then tried by one turn at a time."""

import time
from collections.abc import Generator
from contextlib import contextmanager

from storage.errors import ModelBusy, ModelRefused, ModelUnavailable

ENOUGH = 3
"""Failures in a row."""
REST = 30.0
"""Seconds."""


class Breaker:
    """Closed at first; open after `ENOUGH` failures; half-open once it has rested."""

    def __init__(self, rest: float = REST) -> None:
        self._rest = rest
        self._failures = 0
        self._until = 0.0
        self._probing = False

    @property
    def resting(self) -> float:
        """Seconds until it may be tried again."""
        return max(0.0, self._until - time.monotonic())

    def admits(self) -> bool:
        """Whether a turn may try it now."""
        if self.resting:
            return False
        return not (self._probing and self._failures >= ENOUGH)

    @contextmanager
    def trial(self) -> Generator[None]:
        """Around one try: learns from how it ends; a turn that was cancelled teaches nothing."""
        self._probing = True
        try:
            yield
        except ModelRefused:
            self._failures = 0  # it is there, and said no
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
