"""Find the reading order of a PDF page: one column after the other, each from top to bottom.

A page without two columns keeps the order in which it was written, unless that order often goes
upwards. The written order follows boxes and several columns better than any geometric rule.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.readers.pdf.characters import Run

# The gutter is searched between these fractions of the printed width, in this many steps.
_GUTTER_FROM, _GUTTER_TO, _GUTTER_STEPS = 0.3, 0.7, 40
# A column of prose has several long lines, even with figures in it; table cells are short.
_FEWEST_LINES = 6
_LONG_LINE = 22
_PROSE_SHARE = 0.5
_MOST_ACROSS = 0.35
# Two runs are on one line if they overlap by more than this fraction of the smaller height.
_SAME_LINE = 0.5
_MOST_UPWARD = 0.15
_VERTICAL_SHARE = 0.5
"""The text of a page is vertical if more than this fraction of its long runs are higher than wide."""
_LONG_RUN = 4


@dataclass(slots=True)
class Line:
    """A line of text; positions are in points, and `column` is the number of its column."""

    text: str
    left: float
    right: float
    bottom: float
    top: float
    height: float
    column: int = 0
    is_row: bool = False
    """Whether the line has wide gaps, as between the cells of a table."""


def order_lines(runs: Sequence[Run]) -> list[Line]:
    """Return the page's lines in reading order; vertical text keeps the order in which it was written."""
    if _is_vertical(runs):
        return [_line([run], 0) for run in runs]
    gutter = _gutter(runs)
    if gutter is None:
        return list(_rows(runs, 0) if _is_disordered(runs) else _lines_as_written(runs))
    lines: list[Line] = []
    for number, column in enumerate(_columns(runs, gutter)):
        lines.extend(_rows(column, number))
    return lines


def _is_vertical(runs: Sequence[Run]) -> bool:
    long = [run for run in runs if len(run.text) >= _LONG_RUN]
    lying = sum(run.top - run.bottom > run.right - run.left for run in long)
    return bool(long) and lying > _VERTICAL_SHARE * len(long)


def _is_disordered(runs: Sequence[Run]) -> bool:
    """Whether the next run is often above the previous one in the same column."""
    upward = sum(
        after.bottom > before.top and after.left < before.right and before.left < after.right
        for before, after in pairwise(runs)
    )
    return upward > _MOST_UPWARD * len(runs)


def _lines_as_written(runs: Sequence[Run]) -> Iterator[Line]:
    row: list[Run] = []
    for run in runs:
        if row and not (_is_beside(run, row[-1]) and run.left >= row[-1].left):
            yield _line(row, 0)
            row = []
        row.append(run)
    if row:
        yield _line(row, 0)


def _gutter(runs: Sequence[Run]) -> float | None:
    """Return the x position that the fewest runs cross, or None unless both sides of it are prose."""
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
    return len(long) >= _FEWEST_LINES and sum(long) >= _PROSE_SHARE * sum(lengths)


def _columns(runs: Sequence[Run], gutter: float) -> Iterator[list[Run]]:
    """Yield groups of runs in reading order.

    Lines across both columns divide the page; between them, the left column comes before the right one.
    """
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
            if _is_beside(run, across[-1]):  # the rest of a line across both columns
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
    """Yield lines from top to bottom; runs at the same height form one line, from left to right."""
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
