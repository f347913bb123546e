"""Read plain text; lines that were wrapped at a margin are joined into paragraphs again."""

import re
from collections.abc import Iterator
from itertools import pairwise

from pipelines.readers.page import Page
from pipelines.readers.page_writer import PageWriter

_STARTS_A_LINE = re.compile(r"\s|[-*+•·>|#]|\.\. |:\w|\(?(?:\d{1,3}|[A-Za-z])[.)]\s")
# In characters. Prose is not wrapped narrower than this: shorter lines are verse, addresses or lists.
_NARROWEST_MARGIN = 50


def read_text(source: str) -> Page:
    """Read plain text: blank lines separate the blocks, and there are no headings."""
    writer = PageWriter()
    for paragraph in _paragraphs(source):
        writer.block("prose", "\n".join(_unwrap(paragraph)))
    return Page(
        text=writer.text, blocks=tuple(writer.blocks), headings=(), title=None, front_matter={}
    )


def _paragraphs(source: str) -> Iterator[list[str]]:
    lines: list[str] = []
    for line in source.split("\n"):
        if line.strip():
            lines.append(line.rstrip())
        elif lines:
            yield lines
            lines = []
    yield lines


def _unwrap(lines: list[str]) -> list[str]:
    """Join a line to the previous one if its first word did not fit within the margin there."""
    margin = max(map(len, lines), default=0)
    if margin < _NARROWEST_MARGIN:
        return lines
    joined = [lines[:1]]
    for before, line in pairwise(lines):
        first_word = line.split(maxsplit=1)[0]
        if _STARTS_A_LINE.match(line) or len(before) + 1 + len(first_word) <= margin:
            joined.append([line])
        else:
            joined[-1].append(line)
    return [" ".join(parts) for parts in joined]
