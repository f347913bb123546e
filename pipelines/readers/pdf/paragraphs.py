"""From the lines of PDF pages to paragraphs, without what is printed on every page."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from statistics import median

from pipelines.readers.page import BlockKind
from pipelines.readers.pdf.layout import Line

_WORD = re.compile(r"[^\W\d_]+(?:[-\u2010][^\W\d_]+)*")
_HYPHENS = "-\u2010\x02"
_BROKEN_WORD = re.compile(rf"([^\W\d_]+)[{_HYPHENS}]\Z")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_STARTS_ANEW = re.compile(r"[•▪●◦‣–—*·]\s|\(?(?:\d{1,3}|[A-Za-z])[.)]\s|\d{1,2}(?:\.\d{1,2})+\s")
_ENDS = tuple(".!?:;。！？")
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")

# Fewer pages than this repeat a line by chance; a head or foot is on about every second page.
_FEWEST_PAGES = 4
_OFTEN = 0.4
_FEWEST_TIMES = 3
_EDGE_LINES = 2

# In heights of a line: the step to a new paragraph, the indent of its first line.
_STEP = 1.35
_INDENT = 0.8
_OTHER_SIZE = 0.12
_SHORT_LINE = 0.8


def without_running_heads(pages: Sequence[list[Line]]) -> Sequence[list[Line]]:
    """Drops the first and last lines that most pages share, whatever numbers are in them."""
    if len(pages) < _FEWEST_PAGES:
        return pages
    edges = [{id(line): _NUMBER.sub("#", line.text) for line in _edges(page)} for page in pages]
    counts = Counter(text for edge in edges for text in set(edge.values()))
    seen: set[str] = set()
    kept: list[list[Line]] = []
    for page, edge in zip(pages, edges, strict=True):
        kept.append(
            [line for line in page if not _is_running(edge.get(id(line)), counts, seen, len(pages))]
        )
        seen.update(edge.values())
    return kept


def _is_running(text: str | None, counts: Counter[str], seen: set[str], pages: int) -> bool:
    """A page number, a head of the whole document, or of a chapter that it was seen in before."""
    if text is None or counts[text] < _FEWEST_TIMES:
        return False
    return text == "#" or text in seen or counts[text] >= _OFTEN * pages


def _edges(page: Sequence[Line]) -> list[Line]:
    by_place = sorted(page, key=lambda line: -line.top)
    return [*by_place[:_EDGE_LINES], *by_place[-_EDGE_LINES:]]


class Hyphens:
    """Whether a hyphen at the end of a line is the word's own, by how the document writes it."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._words = {word.casefold() for line in lines for word in _WORD.findall(line)}

    def joined(self, before: str, after: str) -> str:
        """Two lines as one."""
        broken, rest = _BROKEN_WORD.search(before), _FIRST_WORD.match(after)
        if broken is None or rest is None or not rest[0][0].islower():
            return f"{_plain(before)}{'' if before.endswith(tuple(_HYPHENS)) else ' '}{after}"
        whole = f"{broken[1]}{rest[0]}".casefold()
        own = f"{broken[1]}-{rest[0]}".casefold()
        keeps_it = own in self._words and whole not in self._words
        return f"{before[:-1]}{'-' if keeps_it else ''}{after}"


def paragraphs(lines: Sequence[Line], hyphens: Hyphens) -> Iterator[tuple[BlockKind, str]]:
    """Lines that belong together, joined; the rows of a table below each other."""
    step = _usual_step(lines)
    right: dict[int, float] = {}
    for line in lines:
        right[line.column] = max(right.get(line.column, 0.0), line.right)
    text, before = "", None
    for line, is_row in zip(lines, _in_table(lines), strict=True):
        if before is None:
            text = line.text
        elif is_row and before[1]:
            text += f"\n{line.text}"
        elif is_row != before[1] or _starts_anew(before[0], line, step, right[before[0].column]):
            yield _block(text, is_table=before[1])
            text = line.text
        else:
            text = hyphens.joined(text, line.text)
        before = line, is_row
    if before is not None:
        yield _block(text, is_table=before[1])


def _in_table(lines: Sequence[Line]) -> list[bool]:
    """A single line with a wide gap is no table."""
    rows = [False, *(line.is_row for line in lines), False]
    return [rows[n] and (rows[n - 1] or rows[n + 1]) for n in range(1, len(lines) + 1)]


def _block(text: str, *, is_table: bool) -> tuple[BlockKind, str]:
    return "table" if is_table else "prose", _plain(text)


def _usual_step(lines: Sequence[Line]) -> float:
    """From one line's foot to the next one's, as most lines have it."""
    steps = [a.bottom - b.bottom for a, b in pairwise(lines) if a.column == b.column]
    return median([step for step in steps if step > 0] or [0.0])


def _starts_anew(before: Line, line: Line, step: float, right: float) -> bool:
    height = max(before.height, 1.0)
    if abs(line.height - before.height) > _OTHER_SIZE * height or _STARTS_ANEW.match(line.text):
        return True
    if before.column != line.column:
        return before.text.endswith(_ENDS)
    if before.bottom - line.bottom > max(_STEP * step, _STEP * height):
        return True
    indent = line.left - before.left
    ends_early = before.right < right - (1 - _SHORT_LINE) * (right - before.left)
    return (indent > _INDENT * height and before.text.endswith(_ENDS)) or ends_early


def _plain(text: str) -> str:
    """With the mark of a hyphen at the line's end as a hyphen."""
    return text.replace("\x02", "-")
