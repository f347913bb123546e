"""Split a passage into pieces: sentences, list items and code."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from app.llms.prompts import PromptPassage
from pipelines.ingestion.sentences import split_sentences
from storage.domain import Span

_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_LINE = re.compile(r"\S[^\n]*(?:\n[ \t]*[a-z][^\n]*)*")  # including its wrapped lines
_BULLET = re.compile(r"[ \t]*(?:[-*+•‣◦▪●]|\d{1,3}[.)])[ \t]+")
_BLANK_LINE = re.compile(r"\s*\Z|[ \t]*\n[ \t]*\n")
_CLOSING_MARKS = ")]\"'”’»"
COLONS = (":", "：")
_ENDS = (*".!?…;。！？；؟؛।։።", *COLONS)
_QUESTION = re.compile(r"(?:[?？؟][)\]]*|\A\W*[\"'“‘«][^\"'”’»]*[?？؟][\"'”’»][)\]]*)\Z")
_LONGEST_HEADING, _LONGEST_ITEM = 80, 300


class Piece(NamedTuple):
    """A contiguous span of a passage that is of one kind; an item includes its bullet."""

    kind: Literal["sentence", "item", "code"]
    start: int
    end: int
    text: str
    topic: str
    """The heading or question inside the passage that the piece is under."""


def split_into_pieces(passage: PromptPassage) -> Iterator[Piece]:
    """Yield the pieces of a passage in order, without its headings and table rows."""
    topic, position = "", 0
    for start, end in (*passage.code, (len(passage.text), len(passage.text))):
        for line in _LINE.finditer(passage.text, position, start):
            text, offset = line.group().rstrip(), line.start()
            if bullet_of(text) and len(text) <= _LONGEST_ITEM:
                yield Piece("item", offset, offset + len(text), text, topic)
            elif _is_heading(text, passage, line.end()):
                topic = text
            elif not _is_table_row(text):
                for left, right in _whole_sentences(text, split_sentences(text.replace("\n", " "))):
                    sentence = text[left:right]
                    yield Piece("sentence", offset + left, offset + right, sentence, topic)
                    topic = sentence if is_question(sentence) else topic
        if start < end:
            yield Piece("code", start, end, passage.text[start:end], topic)
        position = end


def _whole_sentences(text: str, spans: Sequence[Span]) -> Iterator[Span]:
    """Yield the sentences; text after a dash continues the sentence before it."""
    start, end = spans[0] if spans else (0, 0)
    for left, right in spans[1:]:
        if text[left] not in "—–":
            yield start, end
            start = left
        end = right
    if end:
        yield start, end


def _is_heading(line: str, passage: PromptPassage, end: int) -> bool:
    """Return whether a line is a heading: the section names it, or it is short, alone and not a sentence."""
    named = f" > {passage.section}".endswith(f" > {line}")
    short = len(line) <= _LONGEST_HEADING and not is_ended(line)
    return named or (short and _BLANK_LINE.match(passage.text, end) is not None)


def _is_table_row(text: str) -> bool:
    return text.startswith("|") or " | " in text.partition("\n")[0]


def count_words(text: str) -> int:
    """Count words; in scripts without spaces, two characters count as one word."""
    return len(text.split()) + len(_UNSPACED.findall(text)) // 2


def bullet_of(line: str) -> str:
    """Return the bullet or number that begins a list item, with white space; empty for other lines."""
    return found.group() if (found := _BULLET.match(line)) else ""


def is_question(text: str) -> bool:
    """Return whether a text is a question, or a quotation of one."""
    return _QUESTION.search(text) is not None


def is_ended(text: str) -> bool:
    """Return whether a text ends with a punctuation mark, also within quotation marks or brackets."""
    return text.rstrip(_CLOSING_MARKS).endswith(_ENDS)
