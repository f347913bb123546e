"""Decide whether the corpus covers a question at all; below a floor of relevance Ibid declines it."""

import re
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from app.verification.local.words import Vocabulary
from pipelines.ingestion.transformations import text_to_embed
from storage.domain import AbstentionReason, Calibration, Passage
from storage.index.bm25.encoder import content_terms
from storage.index.bm25.tokenizer import tokenize
from storage.word_lists import any_of, word_lists

if TYPE_CHECKING:
    from storage.embeddings.local import LocalEmbedding

METHOD = 1
"""Version of the calibration method; increase it whenever the signals or calibration questions change."""
_FLOOR, _RANGE = 1.3, 0.8
"""The floor at a strictness of 0.5, and how far it moves as the strictness goes from 0 to 1.

It was chosen to separate answerable from unanswerable questions in two public data sets, an encyclopedia
and PDF manuals. There it is right for about four of five near misses, and for nearly all questions from
another field.
"""
_HALF_KNOWN_NEARNESS, _CALIBRATION_WEIGHT = 1.05, 1 / 3
"""Nearness of a half-known question in those data sets; share of a corpus's deviation that moves the floor.

The share is below 1, because a corpus whose pages are all alike, or all different, says little about what
people ask. Over sixteen data sets in four languages, most with half of their documents left out, shares
from a third to a half do about equally well.
"""
_LEAD_WEIGHT, _MAX_LEAD = 0.2, 1.0
"""How far the floor falls if the BM25 score is twice that of a half-known question; the largest lead counted.

The lead is relative: 1.0 means twice the score.
"""
_AVERAGE_LENGTH = 0.3
"""How far the best passage of a usual question stands out; used where there is too little to compare."""
_MIN_COMPARABLE = 4
_MIN_HEADING_TERMS = 2
"""Fewest content words in a question for a match by headings; a single word may mean anything."""
_REFERENCE_LANGUAGE = "en"
"""Language of those data sets; in others, how far a passage stands out counts only with a calibration."""


_LISTS = word_lists(__file__)
_SMALL_TALK = re.compile(
    rf"(?:\W|\d|\b{any_of(_LISTS['words'])}\b|{any_of(_LISTS['parts'])})*", re.IGNORECASE
)
"""Text without a question about anything; such words in a page do not make it relevant."""


class Signals(NamedTuple):
    """The relevance measurements of a question and the passages that it found."""

    nearness: float
    """Nearness of the nearest passage, by words and meaning."""
    lead: float
    """How far the best passage stands out from the others."""
    bm25: float
    """Highest BM25 score of a passage, per word of the question."""


class Relevance:
    """A relevance check for one index; a higher `strictness`, in [0, 1], declines more questions."""

    def __init__(self, strictness: float = 0.5, embedding: "LocalEmbedding | None" = None) -> None:
        self._floor = _FLOOR + (strictness - 0.5) * _RANGE
        self._embedding = embedding
        self._vocabularies: dict[str, Vocabulary] = {}

    def decline_reason(
        self,
        query: str,
        passages: Sequence[Passage],
        language: str,
        calibration: Calibration | None = None,
        *,
        is_foreign: bool = False,
    ) -> AbstentionReason | None:
        """Return why the question must be declined; None when the corpus covers it.

        `foreign` passages were found with another embedding model, whose cosines have a different scale.
        """
        weights = self._weights(query, language)
        if not passages or not weights or _SMALL_TALK.fullmatch(query):
            return "out_of_scope"
        passages = self._with_local_similarity(query, passages) if is_foreign else passages
        calibrated = calibration is not None and calibration.method == METHOD
        enough = self._required_nearness(
            query, passages, language, calibration if calibrated else None
        )
        near = 0.0
        for passage in passages:  # parsing one is the slowest step
            passage_terms = content_terms(_full_text(passage), language)
            near = max(near, _nearness(weights, passage_terms, passage))
            if near >= enough or _matches_headings(weights, passage_terms, passage, language):
                return None
        return "out_of_scope" if near < self._floor / 3 else "nothing_relevant"

    def signals(
        self, query: str, passages: Sequence[Passage], language: str, *, foreign: bool = False
    ) -> Signals | None:
        """Return the signals; None when nothing was found or the question has no content words."""
        weights = self._weights(query, language)
        if not passages or not weights:
            return None
        passages = self._with_local_similarity(query, passages) if foreign else passages
        with_terms = [
            (content_terms(_full_text(passage), language), passage) for passage in passages
        ]
        return Signals(
            max(_nearness(weights, terms, passage) for terms, passage in with_terms),
            _lead_of_best(passages),
            _bm25(query, passages, language),
        )

    def _required_nearness(
        self,
        query: str,
        passages: Sequence[Passage],
        language: str,
        calibration: Calibration | None,
    ) -> float:
        """Return the nearness that a passage must reach."""
        out = _lead_of_best(passages)
        if calibration is None:
            return self._floor - (out if language == _REFERENCE_LANGUAGE else _AVERAGE_LENGTH)
        floor = self._floor + _CALIBRATION_WEIGHT * (calibration.nearness - _HALF_KNOWN_NEARNESS)
        leading = _bm25(query, passages, language) / calibration.bm25 - 1
        return floor - out - _LEAD_WEIGHT * min(leading, _MAX_LEAD)

    def _with_local_similarity(self, query: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        """Return the passages with their similarity recomputed by the local embedding model."""
        if self._embedding is None:
            return passages
        texts = [text_to_embed(passage.section, passage.text) for passage in passages]
        query_vector, *vectors = np.asarray(
            self._embedding.get_text_embedding_batch([query, *texts])
        )
        similarities = [float(vector @ query_vector) for vector in vectors]
        return [
            passage.model_copy(update={"similarity": near})
            for passage, near in zip(passages, similarities, strict=True)
        ]

    def _weights(self, query: str, language: str) -> dict[int, float]:
        """Return the terms of the question's content words with their weights."""
        if language not in self._vocabularies:
            self._vocabularies[language] = Vocabulary(language, self._embedding)
        read = self._vocabularies[language].analyze([query])
        stems, weights = read.content.tolist(), read.weights.tolist()
        known_weights = dict(zip(stems, weights, strict=True))
        # A word of a script without spaces has several terms.
        return {term: known_weights.get(term, 1.0) for term in content_terms(query, language)}


def _headings(passage: Passage) -> str:
    return "\n".join((passage.title, *passage.section))


def _full_text(passage: Passage) -> str:
    return f"{_headings(passage)}\n{passage.text}"


def _matches_headings(
    weights: dict[int, float], passage_terms: frozenset[int], passage: Passage, language: str
) -> bool:
    """Return whether title and headings have every word of the question: then the passage is about it.

    The embedding says little about code and tables, whose similarity to any question is low.
    """
    if len(weights) < _MIN_HEADING_TERMS or not weights.keys() <= passage_terms:
        return False
    return weights.keys() <= content_terms(_headings(passage), language)


def _nearness(weights: dict[int, float], passage_terms: frozenset[int], passage: Passage) -> float:
    """Return the weighted share of the question's words in the passage or its headings, plus similarity."""
    found = sum(weights[term] for term in weights.keys() & passage_terms)
    return found / sum(weights.values()) + (passage.similarity or 0.0)


def _bm25(query: str, passages: Sequence[Passage], language: str) -> float:
    """Return the best BM25 score per word of the question.

    It is not comparable between corpora: it grows with the rarity of words and the number of texts.
    """
    spaced, unspaced = tokenize(query, language)
    return max(passage.bm25 or 0.0 for passage in passages) / max(len({*spaced, *unspaced}), 1)


def _lead_of_best(passages: Sequence[Passage]) -> float:
    """Return how far the best passage leads: in similarity over the median and in score over the second."""
    if len(passages) < _MIN_COMPARABLE:
        return _AVERAGE_LENGTH
    likeness = [passage.similarity or 0.0 for passage in passages]
    first, second = sorted((passage.score or 0.0 for passage in passages), reverse=True)[:2]
    return 0.5 * (max(likeness) - median(likeness)) + 0.5 * (first - second)
