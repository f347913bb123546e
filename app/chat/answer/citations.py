"""Turn a model's stream into a verifiable answer: its markers become quotations from the sources."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from app.chat.answer.links import quote_url
from app.chat.answer.sanitizer import Sanitizer
from app.chat.answer.text_buffer import TextBuffer
from app.chat.events import Cited, Token
from app.text.markers import Marker, MarkerParser, Piece
from app.text.visible import InvisibleFilter, to_one_line
from pipelines.ingestion.sentences import split_sentences
from storage.domain import Citation, CitedSource, Claim, Passage, Span
from storage.index.bm25.encoder import content_terms

_QUOTED = re.compile(r"“([^“”]{8,})”|\"([^\"]{8,})\"")
_FENCED = re.compile(
    r"^(?P<fence>`{3,}|~{3,})[^\n]*\n(?P<code>.*?)\n(?P=fence)$", re.MULTILINE | re.DOTALL
)
_BLOCK_OPENING = re.compile(
    r"^(?:[`~]{3,}[^\n]*\n|[ \t]*(?:[-*+•>#]+|\d{1,9}[.)])[ \t]+)\Z", re.MULTILINE
)
_MIN_EXTRA_TERMS, _MIN_EXTRA_SHARE = 3, 0.3
"""Number and share of a claim's content words that a second sentence must add to be cited as well."""
_SPACE = re.compile(r"\s+")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")


class CitedText:
    """The text of an answer while it is generated; passage n of the prompt is `passages[n - 1]`.

    Footnotes are numbered in the order of first appearance, with one number for each quote.
    """

    def __init__(self, passages: Sequence[Passage], language: str = "en") -> None:
        self._passages = passages
        self._language = language
        self._parser = MarkerParser(range(1, len(passages) + 1))
        self._visible = InvisibleFilter()
        self._sanitizer = Sanitizer(passages)
        self._citations: dict[tuple[int, Span], Citation] = {}
        self._plain = TextBuffer()
        """The text without markers, in which sentences are found."""
        self._text = TextBuffer()
        self._citation_positions: list[tuple[int, Citation]] = []
        self._marker_positions: list[tuple[int, int]] = []
        """(offset in the plain text, passage number) of every marker."""
        self._inserted_lengths: list[Span] = [(0, 0)]
        """(offset in the plain text, total characters of markers up to it)."""

    @property
    def text(self) -> str:
        """The text of all tokens so far."""
        return self._text.get_text()

    def write(self, delta: str) -> Iterator[Token | Cited]:
        """Process the model's next words and yield the events that they complete."""
        yield from self._process(self._parser.feed(self._visible.feed(delta)))

    def close(self) -> Iterator[Token | Cited]:
        """Yield the events that were held back, at the end of the stream."""
        yield from self._process(self._parser.close())
        yield from self._emit_pieces(self._sanitizer.close())

    def claim_parts(self) -> list[Span]:
        """Return the contiguous spans of the plain text, one for each claim with the markup before it."""
        plain = self._plain.get_text()
        starts = [_markup_start(plain, start) for start, _ in _claim_spans(plain)]
        return list(pairwise([0, *starts[1:], len(plain)])) if starts else []

    def pieces(self, part: Span) -> Iterator[Piece]:
        """Yield what the model wrote in that span: words, and markers with the passages' numbers."""
        plain = self._plain.get_text()
        position, end = part
        for at, number in self._marker_positions:
            # A marker at the very start of a part belongs to the part before it.
            if position < at <= end or at == position == 0:
                if position < at:
                    yield plain[position:at]
                yield Marker((number,))
                position = at
        if position < end:
            yield plain[position:end]

    def append(self, pieces: Iterator[Piece]) -> Iterator[Token | Cited]:
        """Add pieces of another text, with the footnote numbers of this one."""
        yield from self._process(pieces)

    def ends_block(self, part: Span) -> bool:
        """Return whether a paragraph or a list item ends with that span of the plain text."""
        text = self._plain.get_text()[slice(*part)]
        return "\n" in text[len(text.rstrip()) :]

    def end_paragraph(self) -> Iterator[Token | Cited]:
        """End the current paragraph, if one is open."""
        if self._plain.end.strip() and not self._plain.end.endswith("\n\n"):
            yield from self._process(iter(["\n\n"]))

    def claims(self) -> tuple[Claim, ...]:
        """Return the sentences of the whole text, each with the footnotes in it or directly after it."""
        spans = _claim_spans(self._plain.get_text())
        starts = [start for start, _ in spans]
        cited: list[list[Citation]] = [[] for _ in spans]
        for position, citation in self._citation_positions:
            owner = max(bisect_right(starts, max(position - 1, 0)) - 1, 0)
            if citation not in cited[owner]:
                cited[owner].append(citation)
        return tuple(
            Claim(
                text=self._strip_markers(start, end),
                start=self._text_offset(start),
                end=self._text_offset(end, before_markers=True),
                citations=tuple(citations),
            )
            for (start, end), citations in zip(spans, cited, strict=True)
        )

    def sources(self) -> tuple[CitedSource, ...]:
        """Return each cited source once, in the order of first citation."""
        cited = {
            citation.source_id: CitedSource(
                id=citation.source_id,
                version=citation.source_version,
                title=citation.title,
                url=citation.url.partition("#")[0],
            )
            for citation in self._citations.values()
        }
        return tuple(cited.values())

    def _process(self, pieces: Iterator[Piece]) -> Iterator[Token | Cited]:
        yield from self._emit_pieces(
            safe for piece in pieces for safe in self._sanitizer.feed(piece)
        )

    def _emit_pieces(self, pieces: Iterator[Piece]) -> Iterator[Token | Cited]:
        """Yield the events of the pieces; adjacent words are joined into one token."""
        words = ""
        for piece in pieces:
            if isinstance(piece, str):
                words += piece
                continue
            if words:
                yield self._emit_text(words)
                words = ""
            yield from self._emit_markers(piece)
        if words:
            yield self._emit_text(words)

    def _emit_text(self, words: str) -> Token:
        self._plain.add(words)
        self._text.add(words)
        return Token(text=words)

    def _emit_markers(self, marker: Marker) -> Iterator[Token | Cited]:
        claim = _last_claim(self._plain.end)
        for number in marker.numbers:
            self._marker_positions.append((self._plain.length, number))
            yield from self._cite_passage(number, claim)

    def _cite_passage(self, number: int, claim: str) -> Iterator[Token | Cited]:
        for span in find_supporting_spans(claim, self._passages[number - 1], self._language):
            yield from self._emit_footnote(number, span)

    def _emit_footnote(self, number: int, span: Span) -> Iterator[Token | Cited]:
        citation = self._citations.get((number, span))
        if citation is None:
            citation = _build_citation(len(self._citations) + 1, self._passages[number - 1], span)
            self._citations[number, span] = citation
            yield Cited(citation=citation)
        token = f"[{citation.n}]"
        self._citation_positions.append((self._plain.length, citation))
        self._text.add(token)
        self._inserted_lengths.append(
            (self._plain.length, self._inserted_lengths[-1][1] + len(token))
        )
        yield Token(text=token)

    def _strip_markers(self, start: int, end: int) -> str:
        """Return a sentence without its markers and without the spaces before them."""
        marks = (position for position, _ in self._citation_positions if start < position < end)
        edges = [start, *dict.fromkeys(marks), end]
        plain = self._plain.get_text()
        *before, last = (plain[a:b] for a, b in pairwise(edges))
        return "".join([*(part.rstrip() for part in before), last])

    def _text_offset(self, offset: int, *, before_markers: bool = False) -> int:
        """Convert an offset in the plain text to an offset in the text with markers."""
        edge = offset - 1 if before_markers else offset
        index = bisect_right(self._inserted_lengths, edge, key=lambda mark: mark[0]) - 1
        return offset + self._inserted_lengths[max(index, 0)][1]


def find_supporting_spans(claim: str, passage: Passage, language: str) -> list[Span]:
    """Return the smallest spans of the passage that support the claim: one, or two if one is not enough.

    Two adjacent sentences become one span.
    """
    first = find_supporting_span(claim, passage, language)
    covered = content_terms(
        passage.text[first[0] - passage.start : first[1] - passage.start], language
    )
    claim_terms = content_terms(claim, language)
    rest = claim_terms - covered
    if len(rest) < max(_MIN_EXTRA_TERMS, _MIN_EXTRA_SHARE * len(claim_terms)):
        return [first]
    start, end = _nearest_sentence(rest, passage, language)
    more = len(
        rest & content_terms(passage.text[start - passage.start : end - passage.start], language)
    )
    if more < max(_MIN_EXTRA_TERMS, _MIN_EXTRA_SHARE * len(claim_terms)) or _overlaps(
        first, (start, end)
    ):
        return [first]
    one, other = sorted((first, (start, end)))
    if not passage.text[one[1] - passage.start : other[0] - passage.start].strip():
        return [(one[0], other[1])]
    return [one, other]


def find_supporting_span(claim: str, passage: Passage, language: str) -> Span:
    """Return the span of the passage that supports most of the claim, in canonical offsets.

    If the passage contains the claim or words that the claim quotes, that is their span; otherwise it is
    the sentence that shares the most words with the claim.
    """
    quoted = ("".join(groups) for groups in _QUOTED.findall(claim))
    exact, loose = claim.strip("“” "), claim.strip('“”" .…')
    words = (exact, *sorted(quoted, key=len, reverse=True), loose)
    for form in dict.fromkeys(form for phrase in words for form in _variants(phrase)):
        if found := _find_words(form, passage.text):
            return passage.start + found[0], passage.start + found[1]
    return _nearest_sentence(content_terms(claim, language), passage, language)


def _nearest_sentence(claim_terms: frozenset[int], passage: Passage, language: str) -> Span:
    (start, end), _ = max(
        _sentences_of(passage.text, language),
        key=lambda sentence: _overlap_score(*sentence, claim_terms),
    )
    return passage.start + start, passage.start + end


@lru_cache(maxsize=64)
def _sentences_of(text: str, language: str) -> list[tuple[Span, frozenset[int]]]:
    """Return the sentences of a text with their terms, from a cache: many claims cite the same passage."""
    spans = split_sentences(text) or [(0, len(text))]
    return [(span, content_terms(text[slice(*span)], language)) for span in spans]


def _overlaps(first: Span, second: Span) -> bool:
    return first[0] < second[1] and second[0] < first[1]


def _overlap_score(
    span: Span, terms: frozenset[int], claim_terms: frozenset[int]
) -> tuple[float, int]:
    shared = len(terms & claim_terms)
    return shared + shared / (len(terms) + 1), span[0] - span[1]


def _find_words(words: str, text: str) -> Span | None:
    """Find these words in the text, with any white space between them and not as parts of longer words."""
    parts = words.split()
    if not parts or not all(part in text for part in parts):
        return None
    start = text.find(parts[0])
    while start >= 0:
        end = _match_end(parts, text, start)
        if end is not None and not _splits_word(text, start, end):
            return start, end
        start = text.find(parts[0], start + 1)
    return None


def _match_end(parts: Sequence[str], text: str, start: int) -> int | None:
    """Return where these words end if they begin at `start`; None if other words are there."""
    end = start + len(parts[0])
    for part in parts[1:]:
        space = _SPACE.match(text, end)
        if space is None or not text.startswith(part, space.end()):
            return None
        end = space.end() + len(part)
    return end


def _splits_word(text: str, start: int, end: int) -> bool:
    around = text[max(start - 1, 0) : start] + text[end : end + 1]
    return any(character.isascii() and character.isalnum() for character in around)


def _variants(words: str) -> tuple[str, str, str]:
    plain = _unescape(words)
    return words, plain, plain.replace("`", "")


def _unescape(markdown: str) -> str:
    return _ESCAPED.sub(r"\1", markdown).replace("&lt;", "<")


def _last_claim(plain: str) -> str:
    spans = _claim_spans(plain)
    return plain[slice(*spans[-1])] if spans else ""


def _claim_spans(plain: str) -> list[Span]:
    """Return the spans of the claims: sentences, and each block of code as one claim."""
    spans: list[Span] = []
    position = 0
    for block in _FENCED.finditer(plain):
        spans += _sentence_spans(plain, position, block.start())
        spans.append(block.span("code"))
        position = block.end()
    return spans + _sentence_spans(plain, position, len(plain))


def _markup_start(plain: str, start: int) -> int:
    """Return where a claim begins including its bullet, or the line that opens its block of code."""
    markup = _BLOCK_OPENING.search(plain, 0, start)
    return markup.start() if markup else start


def _sentence_spans(plain: str, begin: int, stop: int) -> list[Span]:
    """Return the spans of sentences; sentences inside “quotation marks” are joined into one."""
    spans: list[Span] = []
    for start, end in split_sentences(plain[begin:stop]):
        if spans and _is_open(plain[slice(*spans[-1])]):
            spans[-1] = (spans[-1][0], begin + end)
        else:
            spans.append((begin + start, begin + end))
    return spans


def _is_open(text: str) -> bool:
    return text.count("“") > text.count("”")


def _build_citation(n: int, passage: Passage, span: Span) -> Citation:
    start, end = span
    return Citation(
        n=n,
        source_id=passage.source_id,
        source_version=passage.version,
        passage_id=passage.id,
        title=to_one_line(passage.title),
        section=tuple(map(to_one_line, passage.section)),
        page=passage.page,
        url=quote_url(passage, span),
        quote=passage.text[start - passage.start : end - passage.start],
        start=start,
        end=end,
        metadata=passage.metadata,
    )
