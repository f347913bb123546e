"""Splitting of documents into passages: exact, contiguous spans that never cross a heading."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from pipelines.ingestion.sentences import split_sentences
from pipelines.readers import Block, SourceDocument
from storage.shapes import Span

TARGET_LENGTH = 900
"""Target length of a passage in characters: a few paragraphs, about 200 tokens."""
MAX_LENGTH = 1400
"""Maximum length of a passage in characters."""

# A passage shorter than this fraction of the target contains too little to be found on its own.
_SHORT_SHARE = 0.25
# Prose that ends with one of these introduces the next block: a list, an example, an answer.
_INTRODUCTION_ENDS = (":", "?", "：", "？")


@dataclass(frozen=True, slots=True)
class PassageSpan:
    """The span of a passage in the canonical text and of the code in it, without white space at its ends."""

    start: int
    end: int
    section: int
    """Index of the section in the document's sections."""
    code: tuple[Span, ...]


class _SplitPiece(NamedTuple):
    """The smallest unit that passages are made of."""

    start: int
    end: int
    introduces: bool = False


def split_document(
    document: SourceDocument, *, target: int = TARGET_LENGTH, maximum: int = MAX_LENGTH
) -> list[PassageSpan]:
    """Return the passages in the order of the text; omit white space and headings without a body."""
    starts = [block.start for block in document.blocks]
    cuts: list[PassageSpan] = []
    for index, section in enumerate(document.sections):
        first, last = bisect_left(starts, section.start), bisect_left(starts, section.end)
        blocks = document.blocks[first:last]
        if all(block.kind == "heading" for block in blocks):
            continue
        for start, end in _pack(_block_pieces(document, blocks, maximum), target, maximum):
            code = tuple(_overlaps(document.code, start, end))
            cuts.append(PassageSpan(start=start, end=end, section=index, code=code))
    return cuts


def _block_pieces(
    document: SourceDocument, blocks: Sequence[Block], maximum: int
) -> Iterator[_SplitPiece]:
    """Yield whole blocks if they fit, else their sentences or lines; a heading stays with its first block."""
    lead = blocks[1].start - blocks[0].start if blocks[0].kind == "heading" else 0
    if 0 < lead <= maximum // 2:
        blocks = blocks[1:]
    else:
        lead = 0
    for block in blocks:
        if lead + block.end - block.start <= maximum:
            introduces = (
                block.kind == "prose" and document.text[block.end - 1] in _INTRODUCTION_ENDS
            )
            yield _SplitPiece(block.start - lead, block.end, introduces)
        else:
            (start, end), *others = _split_block(document, block, maximum - lead)
            yield _SplitPiece(start - lead, end)
            yield from (_SplitPiece(*other) for other in others)
        lead = 0


def _split_block(document: SourceDocument, block: Block, longest: int) -> Iterator[Span]:
    """Yield the parts of a block that is too long; no part is longer than `longest`."""
    text = document.text[block.start : block.end]
    if block.kind in ("code", "table"):
        ends = [*accumulate(map(len, text.splitlines(keepends=True)))]
    else:
        ends = [end for _, end in split_sentences(text, document.language or "en")]
    position = 0
    for end in (*ends, len(text)):
        for unit_start, unit_end in _split_at_spaces(text, position, end, longest):
            yield block.start + unit_start, block.start + unit_end
        position = end


def _split_at_spaces(text: str, start: int, end: int, longest: int) -> Iterator[Span]:
    """Split a span that is too long at white space, or within a word if there is none."""
    while True:
        while start < end and text[start].isspace():
            start += 1
        if start == end:
            return
        stop = end
        if end - start > longest:
            window = text[start : start + longest + 1]
            space = max(window.rfind(blank) for blank in " \n\t")
            stop = start + (space if space > 0 else longest)
        yield start, start + len(text[start:stop].rstrip())
        start = stop


def _pack(pieces: Iterable[_SplitPiece], target: int, maximum: int) -> list[Span]:
    """Pack the pieces into passages up to the target, or up to the maximum if one would be too short."""
    short = max(int(target * _SHORT_SHARE), 1)
    passages: list[list[_SplitPiece]] = []
    for piece in pieces:
        if not passages:
            passages.append([piece])
            continue
        passage = passages[-1]
        is_short = _length(passage) < short
        if piece.end - passage[0].start <= (maximum if is_short else target):
            passage.append(piece)
        elif (
            passage[-1].introduces
            and _length([passage[-1], piece]) <= maximum
            and _length(passage[:-1]) >= short
        ):
            passages.append([passage.pop(), piece])
        else:
            passages.append([piece])
    if len(passages) > 1 and _length(passages[-1]) < short:
        joined = passages[-2] + passages[-1]
        if _length(joined) <= maximum:
            passages[-2:] = [joined]
    return [(passage[0].start, passage[-1].end) for passage in passages]


def _length(pieces: Sequence[_SplitPiece]) -> int:
    return pieces[-1].end - pieces[0].start if pieces else 0


def _overlaps(spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    """Yield the parts of the sorted spans that lie between `start` and `end`."""
    index = bisect_right(spans, start, key=lambda span: span[1])
    while index < len(spans) and spans[index][0] < end:
        yield max(spans[index][0], start), min(spans[index][1], end)
        index += 1
