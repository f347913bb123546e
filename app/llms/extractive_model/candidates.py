"""The parts of a passage that can be quoted alone: sentences, lists and code snippets."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from app.llms.prompts import PromptPassage, fence_around
from pipelines.ingestion.sentences import sentences
from storage.domain import Span

_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_LINE = re.compile(r"\S[^\n]*(?:\n[ \t]*[a-z][^\n]*)*")  # including its wrapped lines
_BULLET = re.compile(r"[ \t]*(?:[-*+•‣◦▪●]|\d{1,3}[.)])[ \t]+")
_BLANK_LINE = re.compile(r"\s*\Z|[ \t]*\n[ \t]*\n")
_TABLE_ROW = re.compile(r".* \| |\|")
_ENDED = re.compile(r"[.!?…:;。！？：；؟؛।։።][)\]\"'”’»]*\Z")
_ASKS = re.compile(r"(?:[?？؟][)\]]*|\A\W*[\"'“‘«][^\"'”’»]*[?？؟][\"'”’»][)\]]*)\Z")
_INTRODUCES = re.compile(r"[:：]\Z")
_NO_ANSWER = re.compile(
    r"(?:explain|describe|state|discuss|predict|sketch|classify|derive|justify|name|list)"
    r" (?:the|an?|one|two|three|four|your|each|all|any|what|why|how|which|whether)\b"
    r"|in (?:one|two|a few|your own) .{0,30}(?:sentences?|words)\b|true or false|your task"
    r"|(?:explain|show|give|quiz|tell|help) (?:me|this)\b|i just (?:completed|finished)\b"
    r"|\W*(?:next|previous|prev|up next|coming up|end of)\b[^.:,]{0,30}(?::|\.\Z)|module \w+ complete"
    r"|.{0,120}\b(?:read on|see below|read below|(?:you can|let['’]s) now (?:try|move|continue))\b"
    r"|\(?(?:please )?(?:see|refer to|check out|visit|consult|read (?:more|the|a)|learn more"
    r"|more details|for (?:more|further|additional)|you (?:can|may) (?:also )?(?:read|find|learn)"
    r"|(?:fig(?:ure|\.)|table|listing) [\d.]+|table of contents)\b"
    r"|.{0,120}\bfor (?:more |further )?(?:details|information)\W*\Z",
    re.IGNORECASE | re.DOTALL,
)
"""Beginnings of tasks for the reader, references to other places, and captions."""
_SAYS_LESS = re.compile(
    r"\A(?-i:[a-z]+)[ ,]|\A\w+ (?:it|this|these|them)\b|https?://(?!localhost)|of this\W*\Z"
    r"|\A(?:an? |some |great |good )*(?:examples|articles?|overview|discussions?|slideshow|introduction)"
    r" (?:of|on|about|to|for|that)\b"
    r"|\b(?:there are (?:\w+ )?other|you (?:might|may|should) (?:already )?"
    r"(?:be familiar|have heard|know|recall)|let['’]s|we['’](?:ll|ve)|we (?:will|have|are going to"
    r"|saw|looked)|now that you"
    r"|(?:this|(?:previous|last|next|following)) (?:tutorial|page|section|chapter|lesson|guide|recipe)"
    r"|in (?:part|section|chapter|lesson|module) \d|welcome to|it['’]s time to|elsewhere in|as you['’]ve"
    r"|this one|below (?:are|is)|(?:examples?|guides?|steps|sections?) below|(?:also )?read the)\b",
    re.IGNORECASE,
)
"""Signs of a sentence that is cut off, refers to earlier text, or is about the document itself."""
_LEANS = re.compile(
    r"[—–-]\s|\W*(?:(?!it(?:['’]s| is) (?:\w+ ){1,2}(?:to|that)\b)(?:its?|it['’]s|this|these|those|that"
    r"|they(?:['’]re)?|their|them|he|she|his|her|such|both|neither|others|which)\b|(?:however|but|and|or|nor|so"
    r"|thus|therefore|hence|also|then|instead|otherwise|moreover|furthermore|additionally|finally"
    r"|alternatively|consequently|similarly|likewise|conversely|nevertheless|yet|still|rather|here"
    r"|another|second(?:ly)?|third(?:ly)?|in addition|as a result|for (?:example|instance|this)"
    r"|(?:in|at|because of|by|with) (?:this|that|these|those|such|other)|on the other hand"
    r"|(?:for|using|with|by|in) the (?:same|above)|following the|as (?:above|before|mentioned|we)"
    r"|the (?:former|latter|same|other)|(?:some|all|most|none|each|one|many|any) of (?:these|those|them)"
    r"|(?:note that|notice that|remember that|because|if|when|since|once|unless)"
    r" (?:this|these|those|they|it|that))\b)",
    re.IGNORECASE,
)
"""Openings of a sentence that cannot be understood without the one before."""
_TAKES_BACK = re.compile(
    r"\W*(?:however|but|yet|nevertheless|that said|unfortunately)\b", re.IGNORECASE
)
"""Openings of a sentence that restricts the one before, which would say too much alone."""
_ASIDE = re.compile(
    r"diagram|visual|prompt|learning support"
    r"|knowledge check|quiz|exercise|challenge|demonstration|objectives|homework|companion|mistakes"
    r"|further |references|see also|contents|related|resources|next|more information|you['’]ll learn",
    re.IGNORECASE,
)
"""Headings of sections that are about their subject but state no facts."""
_BROUGHT = 400
"""The most characters of a list or code that are quoted together with their introduction."""
_LONGEST_HEADING, _LONGEST_ITEM = 80, 300
_FEWEST_WORDS = 4  # a quote like “Yes.” says too little alone
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
    opens: bool
    """Whether the quote is the first piece under its topic."""
    standing: float
    """How suitable the quote is as an answer to any question, in [0, 1]."""

    def until(self, later: "Quote") -> str | None:
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

    def written(self) -> Iterator[str]:
        """Yield its parts as Markdown: “words”, lists, formulas, code; each with the passage's marker."""
        for kind, text in self.parts():
            if kind == "prose":
                yield f"{_quoted(text)} [{self.passage.n}]"
            elif kind == "math":
                yield f"{text}\n[{self.passage.n}]"
            else:
                fence = fence_around(text)
                yield f"{fence}\n{text}\n{fence}\n[{self.passage.n}]"


def words_in(text: str) -> int:
    """Count words; in scripts without spaces, two characters count as one word."""
    return len(text.split()) + len(_UNSPACED.findall(text)) // 2


def _quoted(text: str) -> str:
    """Quote a text: fold white space and put one pair of marks around a list; a single item has no bullet."""
    lines: list[str] = []
    for line in text.split("\n"):
        bullet = _bullet(line)
        said = bullet + _escape(line[len(bullet) :].strip())
        if bullet or not lines:
            lines.append(said)
        elif said:
            lines[-1] += f" {said}"
    bullet = _bullet(lines[0])
    lines[0] = f"{bullet if len(lines) > 1 else ''}“{lines[0][len(bullet) :]}"
    return "\n".join(lines) + "”"


def _escape(text: str) -> str:
    """Return Markdown that displays this text."""
    return _SPECIAL.sub(lambda found: found["math"] or f"\\{found[0]}", text)


def _bullet(line: str) -> str:
    return found.group() if (found := _BULLET.match(line)) else ""


class _Piece(NamedTuple):
    kind: Literal["sentence", "item", "code"]
    start: int
    end: int
    text: str
    topic: str


def quotes(passage: PromptPassage) -> Iterator[Quote]:
    """Yield all spans of a passage that could be an answer or a part of one; they may overlap."""
    pieces = list(_pieces(passage))
    aside = 0.3 if _ASIDE.search(passage.section.rpartition(" > ")[2]) else 1.0
    for index, piece in enumerate(pieces):
        opens = index == 0 or pieces[index - 1].topic != piece.topic
        if piece.kind == "code" and not opens:
            continue  # quoted together with its introduction
        first = _first(pieces, index)
        for last in _lasts(pieces, index):
            start, end = pieces[first].start, pieces[last].end
            torn = piece.kind == "item" and not opens and pieces[index - 1].kind == "item"
            standing = aside * _standing(pieces[first : last + 1], index - first, torn=torn)
            yield Quote(passage, start, end, piece.topic, opens, standing)


def _pieces(passage: PromptPassage) -> Iterator[_Piece]:
    topic, position = "", 0
    for start, end in (*passage.code, (len(passage.text), len(passage.text))):
        for line in _LINE.finditer(passage.text, position, start):
            text, at = line.group().rstrip(), line.start()
            if _bullet(text) and len(text) <= _LONGEST_ITEM:
                yield _Piece("item", at, at + len(text), text, topic)
            elif _is_heading(text, passage, line.end()):
                topic = text
            elif not _TABLE_ROW.match(text):
                for left, right in _whole(text, sentences(text.replace("\n", " "))):
                    said = text[left:right]
                    yield _Piece("sentence", at + left, at + right, said, topic)
                    topic = said if _ASKS.search(said) else topic
        if start < end:
            yield _Piece("code", start, end, passage.text[start:end], topic)
        position = end


def _whole(text: str, spans: Sequence[Span]) -> Iterator[Span]:
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
    short = len(line) <= _LONGEST_HEADING and not _ENDED.search(line)
    return named or (short and _BLANK_LINE.match(passage.text, end) is not None)


def _first(pieces: Sequence[_Piece], index: int) -> int:
    """Return the first piece of a quote; a sentence that begins with “It” needs the one before."""
    first = index
    while first > max(index - 2, 0):
        piece, before = pieces[first], pieces[first - 1]
        leans = piece.kind == before.kind == "sentence" and _LEANS.match(piece.text)
        dull = _ASKS.search(before.text) or _NO_ANSWER.match(before.text)
        if not leans or before.topic != piece.topic or dull:
            break
        first -= 1
    return first


def _lasts(pieces: Sequence[_Piece], index: int) -> Iterator[int]:
    """Yield the last pieces of quotes: the piece itself, or the list or code that it introduces."""
    piece, after = pieces[index], pieces[index + 1].kind if index + 1 < len(pieces) else None
    unended = after == "code" and not _ENDED.search(piece.text)
    introduces = piece.kind != "code" and (unended or _INTRODUCES.search(piece.text))
    begins_list = piece.kind == "item" and (index == 0 or pieces[index - 1].kind != "item")
    run = _run(pieces, index)
    if run > index and (introduces or begins_list or pieces[run].kind == "code"):
        yield run
    if piece.kind == after == "sentence" and _is_unfinished(piece, pieces[index + 1]):
        yield index + 1
    elif run == index or not introduces:
        yield index


def _is_unfinished(piece: _Piece, following: _Piece) -> bool:
    """Return whether a piece says too little alone, or the next one restricts it."""
    takes_back = _TAKES_BACK.match(following.text) and following.topic == piece.topic
    return bool(takes_back) or words_in(piece.text) < _FEWEST_WORDS


def _run(pieces: Sequence[_Piece], index: int) -> int:
    """Return the last of the following list items, or the code, up to the allowed length."""
    last = index
    for following in pieces[index + 1 :]:
        too_long = following.end - pieces[index].end > _BROUGHT
        if too_long or following.kind == "sentence" or pieces[last].kind == "code":
            break
        last += 1
    kinds = [piece.kind for piece in pieces[index : index + 3]]
    torn = last == index + 1 and kinds == ["sentence", "item", "item"]
    return index if torn else last  # a single item of a longer list is not quoted as a list


def _standing(pieces: Sequence[_Piece], core: int, *, torn: bool) -> float:
    piece, whole = pieces[core], " ".join(piece.text for piece in pieces)
    said = piece.text[len(_bullet(piece.text)) :]
    prose = " ".join(piece.text for piece in pieces if piece.kind != "code")
    standing = 1.0
    if piece.kind == "code":
        standing = 0.5
    elif _NO_ANSWER.match(said) or any(_ASKS.search(piece.text) for piece in pieces):
        standing = 0.02
    elif pieces[-1].kind != "code" and _INTRODUCES.search(pieces[-1].text):
        standing = 0.2
    elif whole.count("“") != whole.count("”") or words_in(whole) < _FEWEST_WORDS:
        standing = 0.3
    elif not _ENDED.search(said) and pieces[-1].kind != "code":
        standing = 0.6 if piece.kind == "item" and not _is_title(said) else 0.1
    elif _SAYS_LESS.search(prose) or (core == 0 and _LEANS.match(said)):
        standing = 0.5
    elif torn or all(piece.kind == "item" for piece in pieces):
        standing = (
            0.75 if torn or len(pieces) == 1 else 0.85
        )  # an item may depend on the rest of its list
    return standing


def _is_title(text: str) -> bool:
    """Return whether most longer words are capitalised, as in a list of links."""
    words = re.findall(r"\w{4,}", text)
    return sum(word[0].isupper() for word in words) > len(words) / 2
