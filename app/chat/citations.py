"""From a model's stream to an answer one can check: markers become exact words of sources."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from app.chat.events import Cited, Token
from app.chat.links import link
from app.chat.markers import Marker, MarkerParser, Piece
from app.chat.safety import SafeText
from pipelines.sentences import sentences
from storage.domain import Citation, CitedSource, Claim, Passage, Span
from storage.index.sparse import terms

_QUOTED = re.compile(r"“([^“”]{8,})”|\"([^\"]{8,})\"")
_FENCED = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)\n(?P=fence)$", re.MULTILINE | re.DOTALL
)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


class CitedText:
    """The text of an answer while it is written; passage n of the prompt is `passages[n - 1]`.

    Footnotes are numbered as they first appear, one number for each quote.
    """

    def __init__(self, passages: Sequence[Passage], language: str = "en") -> None:
        self._passages = passages
        self._language = language
        self._parser = MarkerParser(range(1, len(passages) + 1))
        self._safe = SafeText(passages)
        self._numbers: dict[tuple[int, Span], Citation] = {}
        self._plain = ""
        """The text without markers: what sentences are counted in."""
        self._text = ""
        self._marks: list[tuple[int, Citation]] = []
        self._inserted: list[Span] = [(0, 0)]
        """(offset in plain, characters of markers up to there)."""

    @property
    def text(self) -> str:
        """All tokens so far."""
        return self._text

    def write(self, delta: str) -> Iterator[Token | Cited]:
        """Take in the model's next words."""
        yield from self._take(self._parser.feed(delta))

    def close(self) -> Iterator[Token | Cited]:
        """What was held back until the end."""
        yield from self._take(self._parser.close())
        if words := self._safe.close():
            yield self._say(words)

    def claims(self) -> tuple[Claim, ...]:
        """The sentences of the whole text, each with the footnotes in it or right behind it."""
        spans = _claim_spans(self._plain)
        starts = [start for start, _ in spans]
        cited: list[list[Citation]] = [[] for _ in spans]
        for position, citation in self._marks:
            owner = max(bisect_right(starts, max(position - 1, 0)) - 1, 0)
            if citation not in cited[owner]:
                cited[owner].append(citation)
        return tuple(
            Claim(
                text=self._unmarked(start, end),
                start=self._place(start),
                end=self._place(end, before_markers=True),
                citations=tuple(citations),
            )
            for (start, end), citations in zip(spans, cited, strict=True)
        )

    def sources(self) -> tuple[CitedSource, ...]:
        """Each cited source once, in the order of first citation."""
        cited = {
            citation.source_id: CitedSource(
                id=citation.source_id,
                version=citation.source_version,
                title=citation.title,
                url=citation.url.partition("#")[0],
            )
            for citation in self._numbers.values()
        }
        return tuple(cited.values())

    def _take(self, pieces: Iterator[Piece]) -> Iterator[Token | Cited]:
        words = ""
        for piece in pieces:
            if isinstance(piece, str):
                words += self._safe.feed(piece)
                continue
            words += self._safe.close()
            if words:
                yield self._say(words)
                words = ""
            yield from self._mark(piece)
        if words:
            yield self._say(words)

    def _say(self, words: str) -> Token:
        self._plain += words
        self._text += words
        return Token(text=words)

    def _mark(self, marker: Marker) -> Iterator[Token | Cited]:
        claim = _last_claim(self._plain)
        for number in marker.numbers:
            yield from self._cite(number, claim)

    def _cite(self, number: int, claim: str) -> Iterator[Token | Cited]:
        span = locate(claim, self._passages[number - 1], self._language)
        citation = self._numbers.get((number, span))
        if citation is None:
            citation = _citation(len(self._numbers) + 1, self._passages[number - 1], span)
            self._numbers[number, span] = citation
            yield Cited(citation=citation)
        token = f"[{citation.n}]"
        self._marks.append((len(self._plain), citation))
        self._text += token
        self._inserted.append((len(self._plain), self._inserted[-1][1] + len(token)))
        yield Token(text=token)

    def _unmarked(self, start: int, end: int) -> str:
        """A sentence as one would say it: without its markers and the spaces before them."""
        marks = (position for position, _ in self._marks if start < position < end)
        edges = [start, *dict.fromkeys(marks), end]
        *before, last = (self._plain[a:b] for a, b in pairwise(edges))
        return "".join([*(part.rstrip() for part in before), last])

    def _place(self, offset: int, *, before_markers: bool = False) -> int:
        """Where an offset of the plain text lies in the text with its markers."""
        edge = offset - 1 if before_markers else offset
        index = bisect_right(self._inserted, edge, key=lambda mark: mark[0]) - 1
        return offset + self._inserted[max(index, 0)][1]


def locate(claim: str, passage: Passage, language: str) -> Span:
    """The smallest span of the passage, in canonical offsets, that carries the claim.

    Quoted words that stand there are taken as they are; otherwise the sentence that shares the most
    words with the claim.
    """
    quoted = ("".join(groups) for groups in _QUOTED.findall(claim))
    exact, loose = claim.strip("“” "), claim.strip('“”" .…')
    for words in (exact, *sorted(quoted, key=len, reverse=True), loose):
        for form in (words, _unescaped(words), _unescaped(words).replace("`", "")):
            if found := _find_words(form, passage.text):
                return passage.start + found[0], passage.start + found[1]
    wanted = terms(claim, language)
    spans = [*sentences(passage.text)] or [(0, len(passage.text))]
    start, end = max(spans, key=lambda span: _overlap(passage.text[slice(*span)], wanted, language))
    return passage.start + start, passage.start + end


def _overlap(sentence: str, wanted: frozenset[int], language: str) -> tuple[float, int]:
    found = terms(sentence, language)
    shared = len(found & wanted)
    return shared + shared / (len(found) + 1), -len(sentence)


def _find_words(words: str, text: str) -> Span | None:
    """Where these words stand in the text, not within others, whatever white space is between."""
    parts = words.split()
    if not parts:
        return None
    spaced = r"\s+".join(map(re.escape, parts))
    match = re.search(rf"(?<![a-zA-Z0-9]){spaced}(?![a-zA-Z0-9])", text)
    return match.span() if match else None


def _unescaped(markdown: str) -> str:
    return _ESCAPED.sub(r"\1", markdown).replace("&lt;", "<")


def _last_claim(plain: str) -> str:
    spans = _claim_spans(plain)
    return plain[slice(*spans[-1])] if spans else ""


def _claim_spans(plain: str) -> list[Span]:
    """Sentences, and blocks of code each as one claim."""
    spans: list[Span] = []
    position = 0
    for block in _FENCED.finditer(plain):
        spans += _sentence_spans(plain, position, block.start())
        spans.append(block.span("code"))
        position = block.end()
    return spans + _sentence_spans(plain, position, len(plain))


def _sentence_spans(plain: str, begin: int, stop: int) -> list[Span]:
    """Sentences; one that begins in “quotation marks” lasts until they close."""
    spans: list[Span] = []
    for start, end in sentences(plain[begin:stop]):
        if spans and _is_open(plain[slice(*spans[-1])]):
            spans[-1] = (spans[-1][0], begin + end)
        else:
            spans.append((begin + start, begin + end))
    return spans


def _is_open(text: str) -> bool:
    return text.count("“") > text.count("”")


def _citation(n: int, passage: Passage, span: Span) -> Citation:
    start, end = span
    return Citation(
        n=n,
        source_id=passage.source_id,
        source_version=passage.version,
        passage_id=passage.id,
        title=passage.title,
        section=passage.section,
        page=passage.page,
        url=link(passage, span),
        quote=passage.text[start - passage.start : end - passage.start],
        start=start,
        end=end,
        metadata=passage.metadata,
    )
