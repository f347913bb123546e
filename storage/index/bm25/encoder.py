"""Encodes texts as BM25 term weights; both engines use this encoder, so that their scores agree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from qdrant_edge import TokenizerType

from storage.index.bm25.tokenizer import (
    chinese_characters,
    get_encoder,
    is_indic,
    is_unspaced,
    tokenize,
)
from storage.index.engine import SparseVector

_SATURATION = 1.2
"""BM25's k1: how fast the weight of a repeated word saturates."""
_LENGTH_NORMALIZATION = 0.5
"""BM25's b; below the usual 0.75 because the splitter already makes passages of similar length."""
_AVERAGE_LENGTH = 90
"""Length of an average passage, in words without stop words."""
_PAIR_LENGTH = 0.36
"""Length of a character pair, in words; estimated from the lengths of translations."""
_PAIR_WEIGHT = 0.4
"""Weight of a pair of adjacent words, where a single word has weight 1. Pairs are terms of their own, which
distinguish a phrase from its scattered words (the sequential dependence model of Metzler and Croft)."""
_CHARACTER_WEIGHT = 0.4
"""Weight of a single Chinese character, where a pair of characters has weight 1. Some words have only one
character, and others are abbreviated to one (pairs with characters: Nie, Gao, Zhang and Zhou, 2000)."""


def encode_document(text: str, language: str) -> SparseVector:
    """Return the saturated frequencies of words, word pairs and characters, without idf.

    The engine multiplies them by the idf.
    """
    spaced, unspaced = tokenize(text, language)
    length = len(spaced) + _PAIR_LENGTH * len(unspaced)
    scale = _SATURATION * (
        1 - _LENGTH_NORMALIZATION + _LENGTH_NORMALIZATION * length / _AVERAGE_LENGTH
    )

    weights: dict[int, float] = {}
    # If terms have the same number, a word overrides a character, and a character overrides a pair.
    for weight, numbers in (
        (_PAIR_WEIGHT, _pairs(spaced)),
        (_CHARACTER_WEIGHT, chinese_characters(text, language)),
        (1.0, spaced + unspaced),
    ):
        counts = Counter(numbers)
        most = max(counts.values(), default=0)
        saturated = [weight * (_SATURATION + 1) * n / (n + scale) for n in range(most + 1)]
        weights |= zip(counts, map(saturated.__getitem__, counts.values()), strict=True)
    return _to_sparse_vector(weights)


def encode_query(texts: Mapping[str, float], languages: Iterable[str]) -> SparseVector:
    """Return each distinct term of the weighted texts, stemmed in each language, at its greatest weight."""
    weights: dict[int, float] = {}
    for language in languages:
        for text, weight in texts.items():
            spaced, unspaced = tokenize(text, language)
            for term in (*spaced, *unspaced, *_pairs(spaced), *chinese_characters(text, language)):
                weights[term] = max(weight, weights.get(term, 0.0))
    return _to_sparse_vector(weights)


def content_terms(text: str, language: str) -> frozenset[int]:
    """Return the numbers of a text's stemmed content words, also in scripts without spaces."""
    if is_indic(text):
        return frozenset(tokenize(text, language)[0])
    tokenizer = TokenizerType.Multilingual if is_unspaced(text) else TokenizerType.Word
    return frozenset(get_encoder(language, tokenizer).embed_query(text).indices)


def _pairs(terms: Sequence[int]) -> list[int]:
    """Return a term for every two adjacent terms; their order matters."""
    return [((31 * first) ^ second) & 0xFFFFFFFF for first, second in pairwise(terms)]


def _to_sparse_vector(weights: Mapping[int, float]) -> SparseVector:
    ordered = sorted(weights)
    return SparseVector(ordered, [*map(weights.__getitem__, ordered)])
