"""Texts as BM25 term weights: the same encoder for both engines, so that scores agree."""

import re
from functools import lru_cache

from qdrant_edge import Bm25, Bm25Config, DisabledStemmer, StopwordsSet, TokenizerType

from storage.index.engine import Sparse

AVERAGE_LENGTH = 90
"""Tokens of a usual passage after stop words are dropped: what BM25 calls a text of normal length."""

_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
"""Scripts whose words are not separated by spaces, or not by spaces alone."""


def encode_document(text: str, language: str) -> Sparse:
    """Term frequencies, saturated and length-normalised; the engine multiplies in the idf."""
    vector = _encoder(language, _is_unspaced(text)).embed_document(text)
    return Sparse(vector.indices, vector.values)


def encode_query(text: str, languages: frozenset[str]) -> Sparse:
    """Each distinct term of the query once, stemmed as each of the languages would."""
    unspaced = _is_unspaced(text)
    terms = {
        index
        for language in languages
        for index in _encoder(language, unspaced).embed_query(text).indices
    }
    ordered = sorted(terms)
    return Sparse(ordered, [1.0] * len(ordered))


def terms(text: str, language: str) -> frozenset[int]:
    """The stemmed content words of a text, as the index knows them."""
    return frozenset(_encoder(language, _is_unspaced(text)).embed_query(text).indices)


def _is_unspaced(text: str) -> bool:
    return _UNSPACED.search(text) is not None


@lru_cache(maxsize=32)
def _encoder(language: str, unspaced: bool) -> Bm25:
    """For an ISO 639-1 code; without a stemmer and stop list, words stay as they are."""
    tokenizer = TokenizerType.Multilingual if unspaced else TokenizerType.Word
    try:
        return Bm25(Bm25Config(avg_len=AVERAGE_LENGTH, language=language, tokenizer=tokenizer))
    except ValueError:
        neutral = Bm25Config(
            avg_len=AVERAGE_LENGTH,
            tokenizer=tokenizer,
            stemmer=DisabledStemmer(),
            stopwords=StopwordsSet(),
        )
        return Bm25(neutral)
