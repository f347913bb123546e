"""The reading order of a PDF page: its columns one after the other, each from top to bottom.

Without two columns the order in which the page was written is kept, unless it goes up and down:
it follows boxes and several columns better than any rule about places.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.readers.pdf.characters import Run

# A gutter is looked for in the middle of what is printed, in this many steps.
_GUTTER_FROM, _GUTTER_TO, _GUTTER_STEPS = 0.3, 0.7, 40
# Columns of prose have several long lines, whatever figures stand there; cells are short.
_FEWEST_LINES = 6
_LONG_LINE = 22
_MOSTLY = 0.5
_MOST_ACROSS = 0.35
# Two runs are on one line when the lower one reaches this far into the other's height.
_SAME_LINE = 0.5
_MOST_UPWARD = 0.15
_LYING = 0.5
"""Share of long runs that are higher than wide on a page whose text does not run across it."""
_LONG_RUN = 4


@dataclass(slots=True)
class Line:
    """A line as it is read, `left` and `right` in points; `column` tells it from its neighbour's."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    height: float
    column: int = 0
    is_row: bool = False
    """Whether there are wide gaps in it, as between the cells of a table."""


def in_reading_order(runs: Sequence[Run]) -> list[Line]:
    """A page whose text runs up or down keeps the order in which it was written."""
    if _is_lying(runs):
        return [_line([run], 0) for run in runs]
    gutter = _gutter(runs)
    if gutter is None:
        return list(_rows(runs, 0) if _is_disordered(runs) else _as_written(runs))
    lines: list[Line] = []
    for number, column in enumerate(_columns(runs, gutter)):
        lines.extend(_rows(column, number))
    return lines


def _is_lying(runs: Sequence[Run]) -> bool:
    long = [run for run in runs if len(run.text) >= _LONG_RUN]
    lying = sum(run.top - run.bottom > run.right - run.left for run in long)
    return bool(long) and lying > _LYING * len(long)


def _is_disordered(runs: Sequence[Run]) -> bool:
    """Whether what is written next often stands above, in the same column."""
    upward = sum(
        after.bottom > before.top and after.left < before.right and before.left < after.right
        for before, after in pairwise(runs)
    )
    return upward > _MOST_UPWARD * len(runs)


def _as_written(runs: Sequence[Run]) -> Iterator[Line]:
    row: list[Run] = []
    for run in runs:
        if row and not (_is_beside(run, row[-1]) and run.left >= row[-1].left):
            yield _line(row, 0)
            row = []
        row.append(run)
    if row:
        yield _line(row, 0)


def _gutter(runs: Sequence[Run]) -> float | None:
    """Where the fewest runs cross, if there is prose on both sides of it."""
    if len(runs) < 2 * _FEWEST_LINES:
        return None
    left, right = min(run.left for run in runs), max(run.right for run in runs)
    width = right - left
    step = (_GUTTER_TO - _GUTTER_FROM) / _GUTTER_STEPS
    places = [left + width * (_GUTTER_FROM + step * n) for n in range(_GUTTER_STEPS + 1)]
    crossing = {x: sum(run.left < x < run.right for run in runs) for x in places}
    fewest = min(crossing.values())
    best = [x for x in places if crossing[x] == fewest]
    gutter = best[len(best) // 2]
    before = [run for run in runs if run.right <= gutter]
    after = [run for run in runs if run.left >= gutter]
    if fewest > _MOST_ACROSS * len(runs) or not (_is_prose(before) and _is_prose(after)):
        return None
    return gutter


def _is_prose(runs: Sequence[Run]) -> bool:
    lengths = [len(run.text) for run in runs]
    long = [length for length in lengths if length >= _LONG_LINE]
    return len(long) >= _FEWEST_LINES and sum(long) >= _MOSTLY * sum(lengths)


def _columns(runs: Sequence[Run], gutter: float) -> Iterator[list[Run]]:
    """What runs across the page divides it; between two such lines, the left column goes first."""
    left: list[Run] = []
    right: list[Run] = []
    across: list[Run] = []
    for run in sorted(runs, key=lambda run: -run.top):
        if run.left < gutter < run.right:
            if left or right:
                yield left
                yield right
                left, right = [], []
            across.append(run)
            continue
        if across:
            if _is_beside(run, across[-1]):  # the rest of a line that runs across
                across.append(run)
                continue
            yield across
            across = []
        (left if run.right <= gutter else right).append(run)
    yield across
    yield left
    yield right


def _is_beside(run: Run, other: Run) -> bool:
    overlap = min(run.top, other.top) - max(run.bottom, other.bottom)
    return overlap > _SAME_LINE * min(run.top - run.bottom, other.top - other.bottom)


def _rows(runs: Sequence[Run], column: int) -> Iterator[Line]:
    """From top to bottom; what stands on one line is one, from left to right."""
    row: list[Run] = []
    for run in sorted(runs, key=lambda run: (-(run.top + run.bottom), run.left)):
        if row and not _is_beside(run, row[0]):
            yield _line(row, column)
            row = []
        row.append(run)
    if row:
        yield _line(row, column)


def _line(row: Sequence[Run], column: int) -> Line:
    ordered = sorted(row, key=lambda run: run.left)
    widest = max(row, key=lambda run: len(run.text))
    return Line(
        text=" ".join(run.text for run in ordered),
        left=ordered[0].left,
        right=max(run.right for run in ordered),
        bottom=min(run.bottom for run in row),
        top=max(run.top for run in row),
        height=widest.height,
        column=column,
        is_row=len(row) > 1,
    )
