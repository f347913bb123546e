"""The embedding that needs no key and no download: static vectors whose weights ship in a wheel."""

import asyncio
import logging
from collections.abc import Sequence
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
        for row, word in zip(vectors, words, strict=True):
            row[:] = model.embedding[_tokens(model, word)].sum(axis=0)
        return vectors

    async def aget_query_embedding(self, query: str) -> list[float]:
        """A span is all that tracers hear of it: the base class's events take longer than the work."""
        return _embedded(query)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        """As `WordLlamaInference.embed` does, which pads texts to the longest: three times the work."""
        model = _load()
        return unit(np.asarray([_mean(model, text) for text in texts])).tolist()

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
    vector = _mean(model, text)
    return (vector / (np.linalg.norm(vector) or 1)).tolist()


def _tokens(model: "WordLlamaInference", text: str) -> list[int]:
    """Many at once would be shared out among threads, which takes half as much again of the cores."""
    (encoding,) = model.tokenizer.encode_batch_fast([text], add_special_tokens=False)
    return encoding.ids


def _mean(model: "WordLlamaInference", text: str) -> "NDArray[np.float32]":
    if tokens := _tokens(model, text):
        return model.embedding[tokens].mean(axis=0)
    return np.zeros(DIMENSION, dtype=np.float32)


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
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
