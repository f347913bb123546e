"""The parts of a passage that can be quoted alone: sentences, lists and code snippets."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from app.llms.extractive_model.pieces import COLONS, Piece, bullet_of, is_ended, split_into_pieces
from app.llms.extractive_model.quality import (
    quality_of_pieces,
    quality_of_section,
    refers_back,
    says_little,
    states_nothing,
)
from app.llms.prompts import PromptPassage, fence_around

_RESTRICTS = re.compile(
    r"\W*(?:however|but|yet|nevertheless|that said|unfortunately)\b", re.IGNORECASE
)
"""Openings of a sentence that restricts the one before, which would say too much alone."""
_LONGEST_INTRODUCED = 400
"""The most characters of a list or code that are quoted together with their introduction."""
_SPECIAL = re.compile(
    r"(?P<math>\$\$[^$]+\$\$|(?<![\\\d])\$(?![\s$])[^$\n]*(?<![\s\\])\$(?!\d))"
    r"|[*`]|~(?=~)|<(?=[A-Za-z/!?])|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|\\(?=[!-/:-@\[-`{-~])"
    r"|[\[【](?=[\s\d,;^]*\d\s?[\]】])|\[(?=[^\]]*\]\()"
)
"""Text that would be read as Markdown markup or a footnote, so it is escaped; math is kept."""


@dataclass(frozen=True, slots=True)
class Quote:
    """A contiguous span of a passage; the span of a list begins with its bullet."""

    passage: PromptPassage
    start: int
    end: int
    topic: str
    """The heading or question inside the passage that the quote is under."""
    is_first: bool
    """Whether the quote is the first piece under its topic."""
    quality: float
    """How suitable the quote is as an answer to any question, in [0, 1]."""

    def text_until(self, later: "Quote") -> str | None:
        """Return the text between this quote and a later one of its passage; None for any other quote."""
        if self.passage is not later.passage or self.end > later.start:
            return None
        return self.passage.text[self.end : later.start]

    def parts(self) -> Iterator[tuple[Literal["prose", "math", "code"], str]]:
        """Yield the parts of the quote as they are in the passage."""
        position = self.start
        inside = (span for span in self.passage.code if self.start <= span[0] < self.end)
        for start, end in (*inside, (self.end, self.end)):
            if prose := self.passage.text[position:start].strip():
                yield "prose", prose
            if code := self.passage.text[start:end]:
                yield "math" if code.startswith("$$") else "code", code
            position = end

    def as_markdown(self) -> Iterator[str]:
        """Yield the parts as Markdown: “words”, lists, formulas, code; each with the passage's marker."""
        for kind, text in self.parts():
            if kind == "prose":
                yield f"{_quote_markdown(text)} [{self.passage.n}]"
            elif kind == "math":
                yield f"{text}\n[{self.passage.n}]"
            else:
                fence = fence_around(text)
                yield f"{fence}\n{text}\n{fence}\n[{self.passage.n}]"


def _quote_markdown(text: str) -> str:
    """Quote a text: fold white space and put one pair of marks around a list; a single item has no bullet."""
    lines: list[str] = []
    for line in text.split("\n"):
        bullet = bullet_of(line)
        escaped = bullet + _escape(line[len(bullet) :].strip())
        if bullet or not lines:
            lines.append(escaped)
        elif escaped:
            lines[-1] += f" {escaped}"
    bullet = bullet_of(lines[0])
    lines[0] = f"{bullet if len(lines) > 1 else ''}“{lines[0][len(bullet) :]}"
    return "\n".join(lines) + "”"


def _escape(text: str) -> str:
    """Return Markdown that displays this text."""
    return _SPECIAL.sub(lambda found: found["math"] or f"\\{found[0]}", text)


def find_quotes(passage: PromptPassage) -> Iterator[Quote]:
    """Yield all spans of a passage that could be an answer or a part of one; they may overlap."""
    pieces = list(split_into_pieces(passage))
    of_section = quality_of_section(passage.section)
    for index, piece in enumerate(pieces):
        is_first = index == 0 or pieces[index - 1].topic != piece.topic
        if piece.kind == "code" and not is_first:
            continue  # quoted together with its introduction
        is_split = piece.kind == "item" and not is_first and pieces[index - 1].kind == "item"
        first = _first_piece(pieces, index)
        for last in _last_pieces(pieces, index):
            start, end = pieces[first].start, pieces[last].end
            parts, core = pieces[first : last + 1], index - first
            quality = of_section * quality_of_pieces(parts, core, is_split=is_split)
            yield Quote(passage, start, end, piece.topic, is_first, quality)


def _first_piece(pieces: Sequence[Piece], index: int) -> int:
    """Return the first piece of a quote; a sentence that begins with “It” needs the one before."""
    first = index
    while first > max(index - 2, 0):
        piece, before = pieces[first], pieces[first - 1]
        is_dependent = piece.kind == before.kind == "sentence" and refers_back(piece.text)
        if not is_dependent or before.topic != piece.topic or states_nothing(before.text):
            break
        first -= 1
    return first


def _last_pieces(pieces: Sequence[Piece], index: int) -> Iterator[int]:
    """Yield the last pieces of quotes: the piece itself, or the list or code that it introduces."""
    piece, after = pieces[index], pieces[index + 1].kind if index + 1 < len(pieces) else None
    unended = after == "code" and not is_ended(piece.text)
    introduces = piece.kind != "code" and (unended or piece.text.endswith(COLONS))
    begins_list = piece.kind == "item" and (index == 0 or pieces[index - 1].kind != "item")
    run = _end_of_run(pieces, index)
    if run > index and (introduces or begins_list or pieces[run].kind == "code"):
        yield run
    if piece.kind == after == "sentence" and _is_unfinished(piece, pieces[index + 1]):
        yield index + 1
    elif run == index or not introduces:
        yield index


def _is_unfinished(piece: Piece, following: Piece) -> bool:
    """Return whether a piece says too little alone, or the next one restricts it."""
    restricts = _RESTRICTS.match(following.text) and following.topic == piece.topic
    return bool(restricts) or says_little(piece.text)


def _end_of_run(pieces: Sequence[Piece], index: int) -> int:
    """Return the last of the following list items, or the code, up to the allowed length."""
    last = index
    for following in pieces[index + 1 :]:
        too_long = following.end - pieces[index].end > _LONGEST_INTRODUCED
        if too_long or following.kind == "sentence" or pieces[last].kind == "code":
            break
        last += 1
    kinds = [piece.kind for piece in pieces[index : index + 3]]
    is_split = last == index + 1 and kinds == ["sentence", "item", "item"]
    return index if is_split else last  # a single item of a longer list is not quoted as a list
