"""Marks the words of each claim in a rendered answer, by finding spans of its text in Markdown tokens."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from markdown_it.token import Token

from storage.domain import Claim

_LINE = re.compile(r"\r\n?|\n")
_WORD = re.compile(r"\s+|\S+")
_TEXT_TYPES = {"text", "code_inline", "math_inline"}
_VERDICT_LABELS = {
    "supported": "Supported by its quotes",
    "partial": "Supported in part",
    "unsupported": "Not supported by its quotes",
    "unchecked": "Not checked against its quotes",
}


def mark_claims(tokens: Sequence[Token], text: str, claims: Sequence[Claim]) -> None:
    """Wrap the words of every claim, leaf by leaf, and add its verdict after its last marker.

    A claim without a check and without citations is wrapped, but shows no verdict.
    """
    position, ends = _TextPosition(text, claims), dict[int, tuple[list[Token], int]]()
    for token in tokens:
        position.enter(token)
        if token.children is None:
            position.pass_over(token.content)
            continue
        children: list[Token] = []
        for child in token.children:
            for number, leaf in _split(child, position):
                children += [leaf] if leaf.type not in _TEXT_TYPES else _wrap(number, leaf, claims)
                if number is not None:
                    ends[number] = children, len(children)
        token.children = children
    for number, (children, index) in sorted(ends.items(), key=lambda end: -end[1][1]):
        claim = claims[number]
        if claim.citations or claim.verdict != "unchecked":
            children[index:index] = _verdict_tokens(claim)


class _TextPosition:
    """A position in the answer's text that follows its tokens, which hold the same words without markup."""

    def __init__(self, text: str, claims: Sequence[Claim]) -> None:
        self.claim: int | None = None
        """The index of the claim that the last word belongs to."""
        self._text = text
        self._claims = claims
        self._starts = [claim.start for claim in claims]
        self._lines = [0, *(match.end() for match in _LINE.finditer(text)), len(text)]
        self._at = 0
        self._stop = len(text)

    def enter(self, token: Token) -> None:
        """Limit the search to the token's lines, so that a word that is not found skips no other text."""
        if token.map is not None:
            first, last = token.map
            self._at = max(self._at, self._lines[first])
            self._stop = self._lines[min(last, len(self._lines) - 1)]

    def pass_over(self, content: str) -> None:
        """Advance past a block without wrapping its words: a block of code is a separate claim."""
        for line in content.splitlines():
            self.owner(line)

    def owner(self, word: str) -> int | None:
        """Return the index of the claim that the next occurrence of a word is in; None between claims."""
        found = self._text.find(word, self._at, self._stop)
        start = max(found, self._at)
        self._at = start + (len(word) if found >= 0 else 0)
        number = bisect_right(self._starts, start) - 1
        if number >= 0 and start < self._claims[number].end:
            self.claim = number
            return number
        if not word.isspace():
            self.claim = None
        return None


def _split(child: Token, position: _TextPosition) -> Iterator[tuple[int | None, Token]]:
    """Split a leaf at the borders of claims; a marker belongs to the claim before it."""
    if child.type == "note":
        yield position.claim, child
    elif child.type not in _TEXT_TYPES:
        yield None, child
    else:
        words = _WORD.findall(child.content) if child.type == "text" else [child.content]
        owned = [(position.owner(word), word) for word in words]
        for number, group in groupby(owned, key=itemgetter(0)):
            yield number, child.copy(content="".join(word for _, word in group))


def _wrap(number: int | None, leaf: Token, claims: Sequence[Claim]) -> list[Token]:
    if number is None:
        return [leaf]
    opening = Token("claim_open", "span", 1)
    opening.attrs = {"class": f"claim {claims[number].verdict}", "data-claim": str(number)}
    return [opening, leaf, Token("claim_close", "span", -1)]


def _verdict_tokens(claim: Claim) -> Iterator[Token]:
    label = _VERDICT_LABELS[claim.verdict]
    score = "" if claim.score is None else f" ({claim.score:.2f})"
    opening = Token("verdict_open", "span", 1)
    opening.attrs = {"class": f"verdict {claim.verdict}", "title": label + score}
    yield from (opening, Token("text", "", 0, content=label), Token("verdict_close", "span", -1))
