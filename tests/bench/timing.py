"""Measuring on a machine that others use too: things compared take turns, again and again."""

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

Work = Callable[[int], Awaitable[float | None]]
"""Given the round, returns the seconds that count, or None when all of its time does."""

Span = tuple[float, float]


@dataclass
class Samples:
    """Durations of the same thing, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """In seconds."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """In seconds; of few samples, the longest."""
        return self.percentile(95)

    def percentile(self, percent: float) -> float:
        """In seconds; of few samples, the longest."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(percent * len(ordered) / 100))]


def ratio(ours: Samples, theirs: Samples) -> float:
    """Median over rounds of ours / theirs: what slows a whole round down cancels out."""
    pairs = zip(ours.seconds, theirs.seconds, strict=True)
    return statistics.median(our / their for our, their in pairs)


def less(whole: Samples, *parts: Samples) -> Samples:
    """Round by round, what is left of the whole without its parts."""
    rounds = zip(whole.seconds, *(part.seconds for part in parts), strict=True)
    return Samples([first - sum(others) for first, *others in rounds])


async def seconds(work: Awaitable[object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    await work
    return time.perf_counter() - started


async def in_turns(rounds: int, *, warm_up: int = 1, **works: Work) -> dict[str, Samples]:
    """Time each of the works once a round, every round beginning with another of them."""
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
    """Says in which of several functions the time went: each is charged for itself alone.

    What runs at the same time is charged for in full: then the phases add up to more than the whole.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._inner: ContextVar[list[Span]] = ContextVar("inner")

    @contextmanager
    def watching(self, phases: dict[str, list[tuple[Any, str]]]) -> Generator[None]:
        """By phase, functions as (owner, attribute); one that is not there is passed over."""
        with ExitStack() as undo:
            for phase, places in phases.items():
                for owner, attribute in places:
                    if function := getattr(owner, attribute, None):
                        undo.enter_context(
                            patch.object(owner, attribute, self._timed(phase, function))
                        )
            yield

    def _timed(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.iscoroutinefunction(function):

            async def timed_async(*args: Any, **kwargs: Any) -> Any:
                with self._charging(phase):
                    return await function(*args, **kwargs)

            return timed_async

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self._charging(phase):
                return function(*args, **kwargs)

        return timed

    @contextmanager
    def _charging(self, phase: str) -> Generator[None]:
        outer, inner = self._inner.get([]), list[Span]()
        token = self._inner.set(inner)
        started = time.perf_counter()
        try:
            yield
        finally:
            ended = time.perf_counter()
            self._inner.reset(token)
            outer.append((started, ended))
            self.seconds[phase] += ended - started - _covered(inner)


def _covered(spans: list[Span]) -> float:
    """Seconds that lie in at least one of the spans."""
    covered, until = 0.0, float("-inf")
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered
