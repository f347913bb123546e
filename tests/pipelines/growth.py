"""Measure how a function's time grows with its input, as the exponent between consecutive sizes."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise, takewhile
from typing import NamedTuple

from storage.errors import IbidError

_FIRST = 1_000
"""The length of the smallest input, in characters; each next input is four times as long."""
_LARGEST = 16_000_000
"""The length of the largest input, in characters; only fast functions are measured up to it."""
_FLOOR = 0.008
"""The shortest reliable time, in CPU seconds; shorter times are mostly noise."""


class GrowthPoint(NamedTuple):
    """The size of an input and the CPU seconds that it took."""

    size: int
    seconds: float


def measure(
    function: Callable[[str], object],
    make: Callable[[int], str],
    enough: float,
    largest: int = _LARGEST,
    best_of: int = 1,
) -> list[GrowthPoint]:
    """Measure growing inputs, each as the best of `best_of` runs, until one takes `enough` CPU seconds.

    If an input is refused, the time until the refusal counts.
    """
    points: list[GrowthPoint] = []
    for size in takewhile(lambda size: size <= largest, _sizes()):
        text = make(size)
        seconds = min(_seconds(function, text) for _ in range(best_of))
        points.append(GrowthPoint(len(text), seconds))
        if seconds > enough:
            break
    return points


def exponents(points: Sequence[GrowthPoint]) -> list[float]:
    """Return the exponent of each step between two sizes, without times too short to be reliable."""
    told = [point for point in points if point.seconds >= _FLOOR]
    return [
        math.log(larger.seconds / smaller.seconds) / math.log(larger.size / smaller.size)
        for smaller, larger in pairwise(told)
    ]


def _sizes() -> Iterator[int]:
    size = _FIRST
    while True:
        yield size
        size *= 4


def _seconds(function: Callable[[str], object], text: str) -> float:
    """Return the CPU time of a call, without the garbage collector, which may run at any time."""
    gc.collect()
    gc.disable()
    started = time.process_time()
    try:
        with suppress(IbidError):
            function(text)
        return time.process_time() - started
    finally:
        gc.enable()
