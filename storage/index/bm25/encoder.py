"""Texts as BM25 term weights: the same encoder for both engines, so that scores agree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from qdrant_edge import TokenizerType

from storage.index.bm25.tokenizer import characters, encoder, is_indic, is_unspaced, words
from storage.index.engine import Sparse

_SATURATION = 1.2
"""BM25's k1: how soon one more occurrence of a word says nothing new."""
_LENGTH = 0.5
"""BM25's b, below the usual 0.75: the splitter makes passages of like length already."""
_AVERAGE = 90
"""Words of a usual passage after stop words are dropped: a text of normal length."""
_CHARACTER = 0.36
"""What a pair of characters counts as a part of a word, by the length of translations."""
_PAIR = 0.4
"""Weight of two words side by side, a term of its own, beside that of either: it tells a phrase from
its scattered words (Metzler and Croft's sequential dependence, at less than their terms' weight)."""
_PART = 0.4
"""Weight of a Chinese character beside that of a pair: words are shortened to one of their characters,
and some words have but one (pairs and characters together, after Nie, Gao, Zhang and Zhou, 2000)."""


def encode_document(text: str, language: str) -> Sparse:
    """Saturated frequencies of words, their pairs and their parts; the engine multiplies in the idf."""
    spaced, unspaced = words(text, language)
    length = len(spaced) + _CHARACTER * len(unspaced)
    scale = _SATURATION * (1 - _LENGTH + _LENGTH * length / _AVERAGE)

    weights: dict[int, float] = {}
    # Where numbers collide, a word stands before a part of one, and that before a pair.
    for weight, numbers in (
        (_PAIR, _pairs(spaced)),
        (_PART, characters(text, language)),
        (1.0, spaced + unspaced),
    ):
        counts = Counter(numbers)
        most = max(counts.values(), default=0)
        saturated = [weight * (_SATURATION + 1) * n / (n + scale) for n in range(most + 1)]
        weights |= zip(counts, map(saturated.__getitem__, counts.values()), strict=True)
    return _sparse(weights)


def encode_query(texts: Mapping[str, float], languages: Iterable[str]) -> Sparse:
    """Each distinct term of weighted texts, stemmed as each language would, at its greatest weight."""
    weights: dict[int, float] = {}
    for language in languages:
        for text, weight in texts.items():
            spaced, unspaced = words(text, language)
            for term in (*spaced, *unspaced, *_pairs(spaced), *characters(text, language)):
                weights[term] = max(weight, weights.get(term, 0.0))
    return _sparse(weights)


def terms(text: str, language: str) -> frozenset[int]:
    """The stemmed content words of a text, also where no space stands between them."""
    if is_indic(text):
        return frozenset(words(text, language)[0])
    tokenizer = TokenizerType.Multilingual if is_unspaced(text) else TokenizerType.Word
    return frozenset(encoder(language, tokenizer).embed_query(text).indices)


def _pairs(terms: Sequence[int]) -> list[int]:
    """A term for every two that follow each other, in that order."""
    return [((31 * first) ^ second) & 0xFFFFFFFF for first, second in pairwise(terms)]


def _sparse(weights: Mapping[int, float]) -> Sparse:
    ordered = sorted(weights)
    return Sparse(ordered, [*map(weights.__getitem__, ordered)])
