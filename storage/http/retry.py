"""The one place where a service is asked twice; the SDKs' own retries are off."""

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

_AWAY_PAUSE = 0.5


def policy(*, tries: int, pause: float, longest: float) -> tenacity.AsyncRetrying:
    """Asks again what may yet succeed, after as long as the server wants or a growing pause.

    Seconds; a server that wants more than `longest` is not asked again.
    """

    def may_help(error: BaseException) -> bool:
        if isinstance(error, ModelBusy):
            return (error.retry_after or 0.0) <= longest
        lost = isinstance(error, ModelRefused | ModelSilent)
        return isinstance(error, ModelUnavailable) and not lost

    return tenacity.AsyncRetrying(
        stop=tenacity.stop_after_attempt(tries),
        retry=tenacity.retry_if_exception(may_help),
        wait=_pauses(pause, longest),
        reraise=True,
    )


def while_away(seconds: float) -> tenacity.AsyncRetrying:
    """Tries again for so long while the database is away."""
    return tenacity.AsyncRetrying(
        stop=tenacity.stop_after_delay(seconds),
        retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
        wait=tenacity.wait_fixed(_AWAY_PAUSE),
        reraise=True,
    )


def _pauses(pause: float, longest: float) -> Callable[[tenacity.RetryCallState], float]:
    """Never of the same length for all who wait."""

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        wanted = error.retry_after if isinstance(error, ModelBusy) else None
        growing = pause * 2 ** (state.attempt_number - 1) * random.uniform(0.5, 1.5)  # noqa: S311
        return wanted if wanted is not None else min(longest, growing)

    return wait


def seconds(retry_after: str | None) -> float | None:
    """A `Retry-After` in seconds; None for a date, and for what is no number of seconds."""
    try:
        wanted = float(retry_after or "nan")
    except ValueError:
        return None
    return max(0.0, wanted) if math.isfinite(wanted) else None
