"""Whether the corpus speaks to a question at all: the floor under which Ibid declines."""

import re
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.verification.local.words import Vocabulary
from pipelines.ingestion.transformations import embedded_text
from storage.domain import Calibration, Passage, Reason
from storage.index.bm25.encoder import terms
from storage.index.bm25.tokenizer import words

if TYPE_CHECKING:
    from storage.embeddings.local import LocalEmbedding

METHOD = 1
"""Raised whenever signals, or the questions that they are calibrated with, would come out differently."""
_FLOOR, _RANGE = 1.3, 0.8
"""The floor at a strictness of one half, and how far it moves between 0 and 1.

Chosen between answerable and unanswerable questions over two public sets, an encyclopedia and PDF
manuals, where it is right for about four of five near misses, and for nearly all questions from
another field.
"""
_HALF_KNOWN, _TRUST = 1.05, 1 / 3
"""What a half-known question gets in such sets; how far another corpus's own figure moves the floor.

Not by all of it, because a corpus whose pages are all alike, or all unlike, says little of what people
ask. Over sixteen sets in four languages, most with half of their documents left out, shares from a
third to a half do about as well.
"""
_LEADING, _MOST_LEADING = 0.2, 1.0
"""What it counts when BM25 finds twice as much as for a half-known question; more adds nothing."""
_USUAL = 0.3
"""How much the best passage of a usual question stands out; taken where there is too little to compare."""
_COMPARABLE = 4
_TELLING = 2
"""Content words that a heading must share with a question: one alone may mean anything."""
_MEASURED = "en"
"""The language of those sets; in others only a calibration tells what stands out."""


_SMALL_TALK = re.compile(
    r"(?:\W|\d|\b(?:hello|hi|hey|bye|goodbye|yes|yeah|yep|no|nope|ok|okay|sure|right|please|thanks"
    r"|thank|you|well|so|and|then|what|why|how|really|can|could|would|i|me|us|it|is|that|this|there"
    r"|a|an|the|tell|say|go|on|more|else|about|continue|explain|elaborate|good|morning"
    r"|evening|cool|great|nice|hola|bonjour|salut|hallo|ciao|ja|nein|oui|non|si|gracias|merci"
    r"|danke)\b|你好|您好|谢谢|是的|不是|こんにちは|はい|いいえ|ありがとう|안녕하세요|مرحبا|نعم|لا|شكرا"
    r"|नमस्ते|हाँ|हां|नहीं|धन्यवाद|привет|да|нет|спасибо)*",
    re.IGNORECASE,
)
"""What people type without asking about anything; found in a page, such a word says nothing."""


class Signals(NamedTuple):
    """What can be measured of a question and the passages that it found."""

    near: float
    """By words and meaning, of the passage that is nearest."""
    out: float
    """By how much the best stands out from the others."""
    bm25: float
    """Of the best, for each word of the question."""


class Relevance:
    """One index's idea of what is near enough; `strictness` in [0, 1] declines more, the higher."""

    def __init__(self, strictness: float = 0.5, embedding: "LocalEmbedding | None" = None) -> None:
        self._floor = _FLOOR + (strictness - 0.5) * _RANGE
        self._embedding = embedding
        self._vocabularies: dict[str, Vocabulary] = {}

    def declines(
        self,
        query: str,
        passages: Sequence[Passage],
        language: str,
        calibration: Calibration | None = None,
        *,
        foreign: bool = False,
    ) -> Reason | None:
        """Why the question is to be declined; None when the corpus speaks to it.

        `foreign` passages were found by another embedding, whose cosines have a scale of their own.
        """
        weights = self._weights(query, language)
        if not passages or not weights or _SMALL_TALK.fullmatch(query):
            return "out_of_scope"
        passages = self._likened(query, passages) if foreign else passages
        calibrated = calibration is not None and calibration.method == METHOD
        enough = self._enough(query, passages, language, calibration if calibrated else None)
        near = 0.0
        for passage in passages:  # to read one takes longer than all the rest
            shown = terms(_shown(passage), language)
            near = max(near, _nearness(weights, shown, passage))
            if near >= enough or _is_headed(weights, shown, passage, language):
                return None
        return "out_of_scope" if near < self._floor / 3 else "nothing_relevant"

    def signals(
        self, query: str, passages: Sequence[Passage], language: str, *, foreign: bool = False
    ) -> Signals | None:
        """None when nothing was found, and for a question that has no words but small ones."""
        weights = self._weights(query, language)
        if not passages or not weights:
            return None
        passages = self._likened(query, passages) if foreign else passages
        shown = [(terms(_shown(passage), language), passage) for passage in passages]
        return Signals(
            max(_nearness(weights, has, passage) for has, passage in shown),
            _standing_out(passages),
            _bm25(query, passages, language),
        )

    def _enough(
        self,
        query: str,
        passages: Sequence[Passage],
        language: str,
        calibration: Calibration | None,
    ) -> float:
        """How near a passage must come."""
        out = _standing_out(passages)
        if calibration is None:
            return self._floor - (out if language == _MEASURED else _USUAL)
        floor = self._floor + _TRUST * (calibration.nearness - _HALF_KNOWN)
        leading = _bm25(query, passages, language) / calibration.bm25 - 1
        return floor - out - _LEADING * min(leading, _MOST_LEADING)

    def _likened(self, query: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        """With the likeness that our own embedding sees."""
        if self._embedding is None:
            return passages
        texts = [embedded_text(passage.section, passage.text) for passage in passages]
        asked, *vectors = np.asarray(self._embedding.get_text_embedding_batch([query, *texts]))
        likeness = [float(vector @ asked) for vector in vectors]
        return [
            passage.model_copy(update={"similarity": near})
            for passage, near in zip(passages, likeness, strict=True)
        ]

    def _weights(self, query: str, language: str) -> dict[int, float]:
        """The question's content words, and how much each of them tells."""
        if language not in self._vocabularies:
            self._vocabularies[language] = Vocabulary(language, self._embedding)
        read = self._vocabularies[language].read([query])
        stems, weights = read.content.tolist(), read.weights.tolist()
        told = dict(zip(stems, weights, strict=True))
        # A word of a script without spaces has several terms.
        return {term: told.get(term, 1.0) for term in terms(query, language)}


def _headings(passage: Passage) -> str:
    return "\n".join((passage.title, *passage.section))


def _shown(passage: Passage) -> str:
    return f"{_headings(passage)}\n{passage.text}"


def _is_headed(
    weights: dict[int, float], shown: frozenset[int], passage: Passage, language: str
) -> bool:
    """Whether title and headings have every word of the question: that is what the passage is about.

    Of code and tables the embedding knows little, and their likeness to any question is small.
    """
    if len(weights) < _TELLING or not weights.keys() <= shown:
        return False
    return weights.keys() <= terms(_headings(passage), language)


def _nearness(weights: dict[int, float], shown: frozenset[int], passage: Passage) -> float:
    """Share of the question's words that stand in the passage or above it, and its likeness."""
    found = sum(weights[term] for term in weights.keys() & shown)
    return found / sum(weights.values()) + (passage.similarity or 0.0)


def _bm25(query: str, passages: Sequence[Passage], language: str) -> float:
    """Incomparable between corpora: it grows with how seldom words are, and with how many texts."""
    spaced, unspaced = words(query, language)
    return max(passage.bm25 or 0.0 for passage in passages) / max(len({*spaced, *unspaced}), 1)


def _standing_out(passages: Sequence[Passage]) -> float:
    """By how much the best passage wins, in likeness over the usual and in rank over the next."""
    if len(passages) < _COMPARABLE:
        return _USUAL
    likeness = [passage.similarity or 0.0 for passage in passages]
    first, second = sorted((passage.score or 0.0 for passage in passages), reverse=True)[:2]
    return 0.5 * (max(likeness) - median(likeness)) + 0.5 * (first - second)
