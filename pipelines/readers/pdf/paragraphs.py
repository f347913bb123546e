"""Join the lines of PDF pages into paragraphs, without the running heads and feet."""

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
_PARAGRAPH_START = re.compile(
    r"[•▪●◦‣–—*·]\s|\(?(?:\d{1,3}|[A-Za-z])[.)]\s|\d{1,2}(?:\.\d{1,2})+\s"
)
_SENTENCE_ENDS = tuple(".!?:;。！？")
_NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")

# In a shorter document, lines repeat by chance; a running head is on about every second page.
_FEWEST_PAGES = 4
_MIN_PAGE_SHARE = 0.4
_MIN_REPEATS = 3
_EDGE_LINES = 2

# `_STEP` (distance to a new paragraph) and `_INDENT` (of its first line) are in line heights;
# `_OTHER_SIZE` is a relative difference in height, `_SHORT_LINE` a fraction of a full line's width.
_STEP = 1.35
_INDENT = 0.8
_OTHER_SIZE = 0.12
_SHORT_LINE = 0.8


def without_running_heads(pages: Sequence[list[Line]]) -> Sequence[list[Line]]:
    """Remove the first and last lines that many pages share, ignoring the numbers in them."""
    if len(pages) < _FEWEST_PAGES:
        return pages
    edges = [{id(line): _NUMBER.sub("#", line.text) for line in _edges(page)} for page in pages]
    counts = Counter(text for edge in edges for text in set(edge.values()))
    seen: set[str] = set()
    kept: list[list[Line]] = []
    for page, edge in zip(pages, edges, strict=True):
        kept.append(
            [
                line
                for line in page
                if not _is_running_head(edge.get(id(line)), counts, seen, len(pages))
            ]
        )
        seen.update(edge.values())
    return kept


def _is_running_head(text: str | None, counts: Counter[str], seen: set[str], pages: int) -> bool:
    """Whether a line is a page number, a running head of the document, or a repeated head of a chapter.

    The first occurrence of a chapter's head is kept.
    """
    if text is None or counts[text] < _MIN_REPEATS:
        return False
    return text == "#" or text in seen or counts[text] >= _MIN_PAGE_SHARE * pages


def _edges(page: Sequence[Line]) -> list[Line]:
    by_place = sorted(page, key=lambda line: -line.top)
    return [*by_place[:_EDGE_LINES], *by_place[-_EDGE_LINES:]]


class HyphenJoiner:
    """A check whether a hyphen at a line's end belongs to the word, by the document's other words."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._words = {word.casefold() for line in lines for word in _WORD.findall(line)}

    def join(self, before: str, after: str) -> str:
        """Join two lines; remove a hyphen that only divides a word between them."""
        broken, rest = _BROKEN_WORD.search(before), _FIRST_WORD.match(after)
        if broken is None or rest is None or not rest[0][0].islower():
            return f"{_restore_hyphens(before)}{'' if before.endswith(tuple(_HYPHENS)) else ' '}{after}"
        whole = f"{broken[1]}{rest[0]}".casefold()
        hyphenated = f"{broken[1]}-{rest[0]}".casefold()
        keeps_it = hyphenated in self._words and whole not in self._words
        return f"{before[:-1]}{'-' if keeps_it else ''}{after}"


def paragraphs(lines: Sequence[Line], hyphens: HyphenJoiner) -> Iterator[tuple[BlockKind, str]]:
    """Yield paragraphs of joined lines, and tables with one line per row."""
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
        elif is_row != before[1] or _starts_paragraph(
            before[0], line, step, right[before[0].column]
        ):
            yield _build_block(text, is_table=before[1])
            text = line.text
        else:
            text = hyphens.join(text, line.text)
        before = line, is_row
    if before is not None:
        yield _build_block(text, is_table=before[1])


def _in_table(lines: Sequence[Line]) -> list[bool]:
    """Return for each line whether it is a table row; a single line with a wide gap is not a table."""
    rows = [False, *(line.is_row for line in lines), False]
    return [rows[n] and (rows[n - 1] or rows[n + 1]) for n in range(1, len(lines) + 1)]


def _build_block(text: str, *, is_table: bool) -> tuple[BlockKind, str]:
    return "table" if is_table else "prose", _restore_hyphens(text)


def _usual_step(lines: Sequence[Line]) -> float:
    """Return the median distance from a line's bottom to the next line's, in points."""
    steps = [a.bottom - b.bottom for a, b in pairwise(lines) if a.column == b.column]
    return median([step for step in steps if step > 0] or [0.0])


def _starts_paragraph(before: Line, line: Line, step: float, right: float) -> bool:
    height = max(before.height, 1.0)
    if abs(line.height - before.height) > _OTHER_SIZE * height or _PARAGRAPH_START.match(line.text):
        return True
    if before.column != line.column:
        return before.text.endswith(_SENTENCE_ENDS)
    if before.bottom - line.bottom > max(_STEP * step, _STEP * height):
        return True
    indent = line.left - before.left
    ends_early = before.right < right - (1 - _SHORT_LINE) * (right - before.left)
    return (indent > _INDENT * height and before.text.endswith(_SENTENCE_ENDS)) or ends_early


def _restore_hyphens(text: str) -> str:
    """Replace PDFium's mark for a hyphen at the end of a line by a hyphen."""
    return text.replace("\x02", "-")
