"""How the time that a function takes grows with its input, as an exponent from size to size."""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise, takewhile
from typing import NamedTuple

from storage.errors import IbidError

_FIRST = 1_000
"""Characters of the smallest input; each next one is four times as long."""
_LARGEST = 16_000_000
"""Characters; only what is fast even for a megabyte gets here."""
_FLOOR = 0.008
"""CPU seconds; a shorter time cannot be told from noise."""


class Point(NamedTuple):
    """One size, and what it took."""

    size: int
    seconds: float


def measured(
    function: Callable[[str], object],
    make: Callable[[int], str],
    enough: float,
    largest: int = _LARGEST,
    best_of: int = 1,
) -> list[Point]:
    """The least of several times for growing inputs, until one takes `enough` CPU seconds.

    An input that is refused takes what it takes to refuse it.
    """
    points: list[Point] = []
    for size in takewhile(lambda size: size <= largest, _sizes()):
        text = make(size)
        seconds = min(_seconds(function, text) for _ in range(best_of))
        points.append(Point(len(text), seconds))
        if seconds > enough:
            break
    return points


def exponents(points: Sequence[Point]) -> list[float]:
    """Of each step from one size to the next, where both took long enough to be told from noise."""
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
    """CPU time of this process, without the garbage collector, which runs at any time."""
    gc.collect()
    gc.disable()
    started = time.process_time()
    try:
        with suppress(IbidError):
            function(text)
        return time.process_time() - started
    finally:
        gc.enable()
