"""Gives every claim of an answer a verdict, based only on the passages that it cites."""

import re
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from app.verification import Judgement, Verifier
from storage.domain import Claim, Passage

Verify = Literal["off", "mark", "strict"]
"""Whether claims are left unchecked, given verdicts, or left out if nothing supports them."""

_COLONS = (":", "：")
_QUOTED = re.compile(r"“[^“”]*”|\"[^\"]*\"|`[^`]*`")
_WORD = re.compile(r"\w+")
_FEWEST_COPIED = 12
"""The number of consecutive words that count as a quotation, with or without quotation marks."""


class Checker:
    """A checker of the claims of one answer."""

    def __init__(self, verifier: Verifier, passages: Sequence[Passage], language: str) -> None:
        self._verifier = verifier
        self._passages = {passage.id: passage for passage in passages}
        self._language = language
        self._judgements: dict[tuple[str, tuple[UUID, ...]], Judgement] = {}

    async def check(self, claim: Claim) -> Claim:
        """Return the claim with verdict, score and flags.

        A text without words, or one that only introduces the next claim, is returned unchanged.
        """
        if not _WORD.search(claim.text) or (
            not claim.citations and claim.text.rstrip().endswith(_COLONS)
        ):
            return claim
        if not claim.citations:
            return claim.model_copy(
                update={"verdict": "unsupported", "score": 0.0, "flags": ("uncited",)}
            )
        cited = tuple(dict.fromkeys(citation.passage_id for citation in claim.citations))
        passages = [self._passages[passage_id] for passage_id in cited]
        if (claim.text, cited) not in self._judgements:  # strict answers are checked twice
            texts = [_as_evidence(passage) for passage in passages]
            judgement = await self._verifier.judge(claim.text, texts, self._language)
            self._judgements[claim.text, cited] = judgement
        judgement = self._judgements[claim.text, cited]
        copies = _repeats_source(claim.text, passages) and not self._is_code(claim)
        flags = ("verbatim",) if copies else ()
        return claim.model_copy(
            update={"verdict": judgement.verdict, "score": judgement.score, "flags": flags}
        )

    def _is_code(self, claim: Claim) -> bool:
        """Return whether all citations are code: a block of code needs no quotation marks."""
        return all(
            any(
                start <= citation.start and citation.end <= end
                for start, end in self._passages[citation.passage_id].code
            )
            for citation in claim.citations
        )


def is_withheld(claim: Claim) -> bool:
    """Return whether a strict answer leaves the claim out: it is unsupported or could not be checked."""
    unknown = claim.verdict == "unchecked" and bool(claim.citations)
    return claim.verdict == "unsupported" or unknown


def _as_evidence(passage: Passage) -> str:
    return "\n".join((*dict.fromkeys((passage.title, *passage.section)), passage.text))


def _repeats_source(claim: str, passages: Sequence[Passage]) -> bool:
    """Return whether a claim repeats `_FEWEST_COPIED` words of a source outside quotation marks."""
    unquoted = [_words(part) for part in _QUOTED.split(claim)]
    texts = [f" {' '.join(_words(passage.text))} " for passage in passages]
    return any(
        f" {' '.join(words[start : start + _FEWEST_COPIED])} " in text
        for words in unquoted
        for start in range(len(words) - _FEWEST_COPIED + 1)
        for text in texts
    )


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
