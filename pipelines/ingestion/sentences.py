"""Sentence splitting for technical prose, with its line breaks, formulas and inline code."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, cast

import sentencex

from storage.shapes import Span

# The package is written in Rust and has no type hints.
_segment: Callable[[str, str], list[str]] = cast("Any", sentencex).segment

# Dollars enclose math by the rules of markdown-it, so that prices do not count: no space next to a
# dollar inside, no digit after the closing one.
_UNSPLITTABLE = re.compile(
    r"\$\$[^$]+\$\$|(?<![\\\d])\$(?![\s$])[^$\n]*(?<![\s\\])\$(?!\d)|`[^`\n]+`"
)
_LINE_BREAK = re.compile(r"\n")
# sentencex panics at a no-break space after an initial and rejects an unpaired surrogate.
_REPLACED_BY_SPACE = re.compile(r"[^\S ]|[\ud800-\udfff]")
# Maximum characters per call of sentencex: its time is quadratic for a line full of quotation marks.
_WINDOW = 4_000
_BULLET = re.compile(r"[ \t]*(?:[-*+•]|\d{1,9}[.)])[ \t]+")


def split_sentences(text: str, language: str = "en") -> list[Span]:
    """Return the spans of the sentences in plain text, in order, without surrounding white space.

    A line break ends a sentence, since each list item, table row and heading is a line of its own.
    No span contains the bullet or number of a list item. `language` is an ISO 639 code.
    """
    unsplit = [found.span() for found in _UNSPLITTABLE.finditer(text)]
    found: list[Span] = []
    for line_start, line_end in _lines(text, unsplit):
        bullet = _BULLET.match(text, line_start, line_end)
        start = bullet.end() if bullet else line_start
        for end in _ends(text, start, line_end, unsplit, language):
            if trimmed := _trim(text, start, end):
                found.append(trimmed)
            start = end
    return found


def _lines(text: str, unsplit: list[Span]) -> Iterator[Span]:
    start = 0
    for line_break in _LINE_BREAK.finditer(text):
        if not _is_inside(unsplit, line_break.start()):
            yield start, line_break.start()
            start = line_break.end()
    yield start, len(text)


def _ends(text: str, start: int, end: int, unsplit: list[Span], language: str) -> Iterator[int]:
    """Yield the ends of the sentences in one line; the last is the end of the line."""
    for position in _boundaries(text, start, end, language):
        if not _is_inside(unsplit, position):
            yield position
    yield end


def _boundaries(text: str, start: int, end: int, language: str) -> Iterator[int]:
    """Yield the positions between sentences; sentencex returns all of its text, so the lengths add up."""
    while start < end:
        stop = min(start + _WINDOW, end)
        found = _segment(language, _REPLACED_BY_SPACE.sub(" ", text[start:stop]))
        lengths = [len(sentence) for sentence in found] or [stop - start]
        if stop < end and len(lengths) > 1:
            lengths.pop()  # the window cuts this sentence off; the next window begins with it
        for length in lengths:
            start += length
            if start < stop:
                yield start


def _is_inside(unsplit: list[Span], position: int) -> bool:
    """Return whether the position lies inside one of the spans, which must be sorted."""
    index = bisect_right(unsplit, position, key=lambda span: span[0]) - 1
    return index >= 0 and unsplit[index][0] < position < unsplit[index][1]


def _trim(text: str, start: int, end: int) -> Span | None:
    piece = text[start:end]
    start += len(piece) - len(piece.lstrip())
    end = start + len(piece.strip())
    return (start, end) if start < end else None
