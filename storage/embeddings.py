"""The embedding that needs no key and no download: static vectors whose weights ship in a wheel."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from llama_index.core.embeddings import BaseEmbedding

from storage.errors import IndexMismatch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from wordllama import WordLlamaInference

LOCAL_MODEL, DIMENSION = "wordllama/l2_supercat_256", 256
SPOKEN = frozenset({"en"})
"""Languages it knows: its tokens of others are single letters, or the bytes of one."""


class LocalEmbedding(BaseEmbedding):
    """WordLlama's 256-dimensional static embedding: unit vectors, 0.1 ms a query, no network."""

    model_name: str = LOCAL_MODEL
    embed_batch_size: int = 256

    @classmethod
    def class_name(cls) -> str:
        """How LlamaIndex names it."""
        return "LocalEmbedding"

    def word_vectors(self, words: Sequence[str]) -> "NDArray[np.float32]":
        """A row for each word, not of unit length: the longer, the more the word tells."""
        model = _load()
        vectors = np.zeros((len(words), DIMENSION), dtype=np.float32)
        for row, tokens in zip(vectors, _tokens(model, words), strict=True):
            row[:] = model.embedding[tokens].sum(axis=0)
        return vectors

    async def aget_query_embedding(self, query: str) -> list[float]:
        """A span is all that tracers hear of it: the base class's events take longer than the work."""
        return _embedded(query)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        """As `WordLlamaInference.embed` does, which pads texts to the longest: three times the work."""
        model = _load()
        vectors = [_mean(model, tokens) for tokens in _tokens(model, texts)]
        return unit(np.asarray(vectors)).tolist()

    def _get_text_embedding(self, text: str) -> list[float]:
        return _embedded(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return _embedded(query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return _embedded(query)


def _embedded(text: str) -> list[float]:
    model = _load()
    vector = _mean(model, model.tokenizer.encode(text, add_special_tokens=False).ids)
    return (vector / (np.linalg.norm(vector) or 1)).tolist()


def _tokens(model: "WordLlamaInference", texts: Sequence[str]) -> Iterator[list[int]]:
    """Token numbers of each text."""
    for encoding in model.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False):
        yield encoding.ids


def _mean(model: "WordLlamaInference", tokens: Sequence[int]) -> "NDArray[np.float32]":
    if not tokens:
        return np.zeros(DIMENSION, dtype=np.float32)
    return model.embedding[tokens].mean(axis=0)


def unit(vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """A text with no known token has the zero vector, and stays without direction."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[norms == 0] = 1
    return vectors / norms


@cache
def _load() -> "WordLlamaInference":
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        import wordllama  # noqa: PLC0415 - 0.3 s, and absent on some platforms
    except ImportError as error:
        raise IndexMismatch(
            "The local embedding (wordllama) is not available on this platform; "
            "set EMBEDDING=cohere and COHERE_API_KEY."
        ) from error
    finally:
        root.handlers[:], root.level = handlers, level  # importing it calls logging.basicConfig
    folder = Path(wordllama.__file__).parent
    model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    model.tokenizer.no_padding()
    return model
