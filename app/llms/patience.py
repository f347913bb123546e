"""Deadlines that keep-alives do not stretch and a slow reader does not use up."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Patience:
    """How long an answer may be waited for: to its first word, between words, and in all.

    Only time spent waiting counts. The deadline lies round each wait and not round the whole, because
    a generator that is suspended must not have its reader cancelled.
    """

    def __init__(self, silence: float, whole: float) -> None:
        self._silence = silence
        self._left = whole
        self._quiet = 0.0

    async def wait(self, work: Awaitable[T]) -> T:
        """Raises `TimeoutError`."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(self._silence - self._quiet, self._left))):
                return await work
        finally:
            waited = time.monotonic() - started
            self._quiet += waited
            self._left -= waited

    def heard(self) -> None:
        """Something was said: silence is counted anew."""
        self._quiet = 0.0
