"""The retry policies of all requests; the SDKs' own retries are disabled."""

import math
import random
from collections.abc import Callable

import tenacity

from storage.errors import (
    DatabaseUnavailable,
    ModelBusy,
    ModelRefused,
    ModelSilent,
    ModelUnavailable,
)

_UNAVAILABLE_PAUSE = 0.5


def retry_policy(*, max_attempts: int, pause: float, max_pause: float) -> tenacity.AsyncRetrying:
    """Return a policy that retries temporary errors of a model, at most `max_attempts` attempts in all.

    It waits as long as the server asks, or else from `pause` up to `longest` seconds, doubling each time.
    If the server asks for more than `longest` seconds, there is no retry.
    """

    def may_help(error: BaseException) -> bool:
        if isinstance(error, ModelBusy):
            return (error.retry_after or 0.0) <= max_pause
        lost = isinstance(error, ModelRefused | ModelSilent)
        return isinstance(error, ModelUnavailable) and not lost

    return tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(max_attempts),
        retry=tenacity.retry_if_exception(may_help),
        wait=_wait_strategy(pause, max_pause),
        reraise=True,
    )


def retry_while_unavailable(seconds: float) -> tenacity.AsyncRetrying:
    """Return a policy that retries for up to `seconds` while the database is unavailable."""
    return tenacity.AsyncRetrying(
        stop=tenacity.stop_after_delay(seconds),
        retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
        wait=tenacity.wait_fixed(_UNAVAILABLE_PAUSE),
        reraise=True,
    )


def _wait_strategy(pause: float, longest: float) -> Callable[[tenacity.RetryCallState], float]:
    """Return a function for the next pause, in seconds, with jitter so that clients do not retry together."""

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        requested = error.retry_after if isinstance(error, ModelBusy) else None
        growing = pause * 2 ** (state.attempt_number - 1) * random.uniform(0.5, 1.5)  # noqa: S311
        return requested if requested is not None else min(longest, growing)

    return wait


def parse_retry_after(retry_after: str | None) -> float | None:
    """Parse a `Retry-After` in seconds; return None for a date, and for anything else but a number."""
    try:
        seconds = float(retry_after or "nan")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
