"""Whether the corpus speaks to a question at all: the floor under which Ibid declines."""

import re
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from app.chat.verification.words import Vocabulary
from pipelines.nodes import embedded_text
from storage.domain import Passage, Reason
from storage.index.sparse import terms

if TYPE_CHECKING:
    from storage.embeddings import LocalEmbedding

_FLOOR, _RANGE = 1.3, 0.8
"""The floor at a strictness of one half, and how far it moves between 0 and 1.

Chosen between answerable and unanswerable questions over two public sets, an encyclopedia and PDF
manuals, where it is right for about four of five near misses, and for nearly all questions from
another field. One floor serves both, since what a passage stands out from is taken from the same index.
"""
_USUAL = 0.3
"""How much the best passage of a usual question stands out; taken where there is too little to compare."""
_COMPARABLE = 4
_TELLING = 2
"""Content words that a heading must share with a question: one alone may mean anything."""
_MEASURED = "en"
"""The language of those sets; in others nothing is known of what stands out."""


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


class Relevance:
    """One index's idea of what is near enough; `strictness` in [0, 1] declines more, the higher."""

    def __init__(self, strictness: float = 0.5, embedding: "LocalEmbedding | None" = None) -> None:
        self._floor = _FLOOR + (strictness - 0.5) * _RANGE
        self._embedding = embedding
        self._vocabularies: dict[str, Vocabulary] = {}

    def declines(
        self, query: str, passages: Sequence[Passage], language: str, *, foreign: bool = False
    ) -> Reason | None:
        """Why the question is to be declined; None when the corpus speaks to it.

        `foreign` passages were found by another embedding, whose cosines have a scale of their own.
        """
        if foreign and self._embedding is not None:
            passages = _likened(query, passages, self._embedding)
        weights = self._weights(query, language)
        if not passages:
            return "out_of_scope"
        if not weights or _SMALL_TALK.fullmatch(query):
            return "out_of_scope"
        if any(_is_headed(weights, passage, language) for passage in passages):
            return None
        near = max(_nearness(weights, passage, language) for passage in passages)
        out = _standing_out(passages) if language == _MEASURED else _USUAL
        if near + out >= self._floor:
            return None
        return "out_of_scope" if near < self._floor / 3 else "nothing_relevant"

    def _weights(self, query: str, language: str) -> dict[int, float]:
        """The question's content words, and how much each of them tells."""
        if language not in self._vocabularies:
            self._vocabularies[language] = Vocabulary(language, self._embedding)
        read = self._vocabularies[language].read([query])
        stems, weights = read.content.tolist(), read.weights.tolist()
        told = dict(zip(stems, weights, strict=True))
        # A word of a script without spaces has several terms.
        return {term: told.get(term, 1.0) for term in terms(query, language)}


def _likened(query: str, passages: Sequence[Passage], embedding: "LocalEmbedding") -> list[Passage]:
    texts = [embedded_text(passage.section, passage.text) for passage in passages]
    asked, *vectors = np.asarray(embedding.get_text_embedding_batch([query, *texts]))
    likeness = [float(vector @ asked) for vector in vectors]
    return [
        passage.model_copy(update={"similarity": near})
        for passage, near in zip(passages, likeness, strict=True)
    ]


def _is_headed(weights: dict[int, float], passage: Passage, language: str) -> bool:
    """Whether title and headings have every word of the question: that is what the passage is about.

    Of code and tables the embedding knows little, and their likeness to any question is small.
    """
    headings = terms("\n".join((passage.title, *passage.section)), language)
    return len(weights) >= _TELLING and weights.keys() <= headings


def _nearness(weights: dict[int, float], passage: Passage, language: str) -> float:
    """Share of the question's words that stand in the passage or above it, and its likeness."""
    shown = "\n".join((passage.title, *passage.section, passage.text))
    found = sum(weights[term] for term in weights.keys() & terms(shown, language))
    return found / sum(weights.values()) + (passage.similarity or 0.0)


def _standing_out(passages: Sequence[Passage]) -> float:
    """By how much the best passage wins, in likeness over the usual and in rank over the next."""
    if len(passages) < _COMPARABLE:
        return _USUAL
    likeness = [passage.similarity or 0.0 for passage in passages]
    first, second = sorted((passage.score or 0.0 for passage in passages), reverse=True)[:2]
    return 0.5 * (max(likeness) - median(likeness)) + 0.5 * (first - second)
