"""Analyzes texts for the verifier: words with their stems, vectors and weights."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from storage.embeddings.local import DIMENSION
from storage.index.bm25.encoder import content_terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from storage.embeddings.local import LocalEmbedding

_WORD = re.compile(r"\d+(?:[.,·:]\d+)*|[^\W_]+(?:[’'][^\W_]+)*")
_AVERAGE_LENGTH = 12.0
"""Vector length of an average content word; frequent words have shorter, informative ones longer vectors."""
_LARGEST_WEIGHT = 2.0
_MOST_CACHED = 100_000


class Word(NamedTuple):
    """A word's properties, independent of context; `stem` is 0 for a stop word."""

    stem: int
    weight: float
    vector: "NDArray[np.float32]"


@dataclass(frozen=True)
class AnalyzedText:
    """Analyzed sentences. The arrays have one row per content word; `at` holds its token's index."""

    tokens: list[str]
    starts: list[int]
    """Index of each sentence's first token; every sentence has tokens."""
    stems: list[int]
    token_indexes: "NDArray[np.intp]"
    weights: "NDArray[np.float32]"
    vectors: "NDArray[np.float32]"

    @cached_property
    def lowered(self) -> list[str]:
        """The tokens in lower case."""
        return [token.lower() for token in self.tokens]

    @cached_property
    def content(self) -> "NDArray[np.int64]":
        """Stems of the content words."""
        return np.array([self.stems[i] for i in self.token_indexes], dtype=np.int64)

    def sentence(self, number: int) -> range:
        """Return the token indexes of a sentence."""
        end = self.starts[number + 1] if number + 1 < len(self.starts) else len(self.tokens)
        return range(self.starts[number], end)


class Vocabulary:
    """A cache of the words of one language, each looked up once."""

    def __init__(self, language: str, embedding: "LocalEmbedding | None") -> None:
        self.language = language
        self._embedding = embedding
        self._known: dict[str, Word] = {}

    def analyze(self, sentences: Iterable[str]) -> AnalyzedText:
        """Analyze sentences; those without a word are left out."""
        tokens: list[str] = []
        starts: list[int] = []
        for sentence in sentences:
            if found := _WORD.findall(sentence):
                starts.append(len(tokens))
                tokens += found
        words = self._words([token.lower() for token in tokens])
        at = [i for i, word in enumerate(words) if word.stem]
        return AnalyzedText(
            tokens,
            starts,
            [word.stem for word in words],
            np.array(at, dtype=np.intp),
            np.array([words[i].weight for i in at], dtype=np.float32),
            np.array([words[i].vector for i in at], dtype=np.float32).reshape(-1, DIMENSION),
        )

    def _words(self, tokens: Sequence[str]) -> list[Word]:
        new = [token for token in dict.fromkeys(tokens) if token not in self._known]
        if new:
            if len(self._known) > _MOST_CACHED:
                self._known.clear()
                new = list(dict.fromkeys(tokens))
            self._known |= zip(new, self._look_up(new), strict=True)
        return [self._known[token] for token in tokens]

    def _look_up(self, tokens: Sequence[str]) -> Iterable[Word]:
        stems = [self._stem(token) for token in tokens]
        if self._embedding is None:
            nowhere = np.zeros(DIMENSION, dtype=np.float32)
            return [Word(stem, 1.0, nowhere) for stem in stems]
        vectors = self._embedding.word_vectors(tokens)
        lengths = np.linalg.norm(vectors, axis=1)
        vectors /= np.where(lengths == 0, 1, lengths)[:, None]
        weights = np.minimum(lengths / _AVERAGE_LENGTH, _LARGEST_WEIGHT)
        return map(Word, stems, weights.tolist(), vectors)

    def _stem(self, token: str) -> int:
        found = content_terms(token, self.language)
        return min(found) if found else 0
