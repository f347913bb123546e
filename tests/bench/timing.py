"""Time measurement on a shared machine: tasks that are compared alternate for several rounds."""

import inspect
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

TimedTask = Callable[[int], Awaitable[float | None]]
"""A task that gets the number of the round and returns its seconds, or None to count its whole duration."""

Interval = tuple[float, float]


@dataclass
class Samples:
    """Durations of the same task in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median in seconds."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """The 95th percentile in seconds; for few samples the maximum."""
        return self.percentile(95)

    def percentile(self, percent: float) -> float:
        """Return a percentile in seconds; for few samples the maximum."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(percent * len(ordered) / 100))]


def ratio(ours: Samples, theirs: Samples) -> float:
    """Return the median over rounds of ours / theirs, in which a slowdown of a whole round cancels out."""
    pairs = zip(ours.seconds, theirs.seconds, strict=True)
    return statistics.median(our / their for our, their in pairs)


def subtract(whole: Samples, *parts: Samples) -> Samples:
    """Return the duration of the whole minus that of its parts, for each round."""
    rounds = zip(whole.seconds, *(part.seconds for part in parts), strict=True)
    return Samples([first - sum(others) for first, *others in rounds])


async def time_awaitable(work: Awaitable[object]) -> float:
    """Return the duration of an awaitable in seconds."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def time_alternately(
    rounds: int, *, warm_up: int = 1, **works: TimedTask
) -> dict[str, Samples]:
    """Time each task once per round; each round begins with another task."""
    taken = {name: Samples() for name in works}
    names = list(works)
    for number in range(-warm_up, rounds):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            started = time.perf_counter()
            counted = await works[name](number)
            elapsed = time.perf_counter() - started
            if number >= 0:
                taken[name].seconds.append(elapsed if counted is None else counted)
    return taken


class Stopwatch:
    """Measures the time of several functions, each without the measured functions that it calls.

    Functions that run concurrently count in full, so the phases can add up to more than the whole.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: ContextVar[list[Interval]] = ContextVar("inner")

    @contextmanager
    def watch(self, phases: dict[str, list[tuple[Any, str]]]) -> Generator[None]:
        """Measure functions, given by phase as (owner, attribute); skip those that do not exist."""
        with ExitStack() as undo:
            for phase, places in phases.items():
                for owner, attribute in places:
                    if function := getattr(owner, attribute, None):
                        undo.enter_context(
                            patch.object(owner, attribute, self._wrap(phase, function))
                        )
            yield

    def _wrap(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            async def timed_async(*args: Any, **kwargs: Any) -> Any:
                with self._measure(phase):
                    return await function(*args, **kwargs)

            return timed_async

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._measure(phase):
                return function(*args, **kwargs)

        return timed

    @contextmanager
    def _measure(self, phase: str) -> Generator[None]:
        outer, inner = self._inner.get([]), list[Interval]()
        token = self._inner.set(inner)
        started = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            self._inner.reset(token)
            outer.append((started, ended))
            self.seconds[phase] += ended - started - _covered_seconds(inner)


def _covered_seconds(spans: list[Interval]) -> float:
    """Return the seconds that at least one of the spans covers."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
