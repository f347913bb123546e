"""How the time that a function takes grows with its input: the exponent, fitted to a few sizes."""

import gc
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from storage.errors import IbidError

SIZES = (1_000, 4_000, 16_000, 64_000, 256_000, 1_000_000)
"""Characters."""
FLOOR = 0.008
"""CPU seconds; what takes less is told from noise by nobody."""
ENOUGH = 0.1
"""CPU seconds after which no larger input is tried: a square shows by then."""


class Point(NamedTuple):
    """One size, and what it took."""

    size: int
    seconds: float


def measured(
    function: Callable[[str], object],
    make: Callable[[int], str],
    best_of: int,
    enough: float = ENOUGH,
) -> list[Point]:
    """The least of several times; an input that is refused takes what it takes to refuse it."""
    points: list[Point] = []
    for size in SIZES:
        text = make(size)
        seconds = min(_seconds(function, text) for _ in range(best_of))
        points.append(Point(len(text), seconds))
        if seconds > enough:
            break
    return points


def exponent(points: Sequence[Point]) -> float:
    """By least squares over the points that took long enough, on logarithmic scales; 0 if too few did."""
    told = [(math.log(p.size), math.log(p.seconds)) for p in points if p.seconds >= FLOOR]
    if len(told) < 2:
        return 0.0
    x_mean = sum(x for x, _ in told) / len(told)
    y_mean = sum(y for _, y in told) / len(told)
    spread = sum((x - x_mean) ** 2 for x, _ in told)
    return sum((x - x_mean) * (y - y_mean) for x, y in told) / spread


def _seconds(function: Callable[[str], object], text: str) -> float:
    """Of this process, with the collector of garbage at rest: what it does comes at any time."""
    gc.collect()
    gc.disable()
    started = time.process_time()
    try:
        with suppress(IbidError):
            function(text)
        return time.process_time() - started
    finally:
        gc.enable()
