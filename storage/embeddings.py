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
        for row, encoding in zip(vectors, _encoded(model, words), strict=True):
            row[:] = model.embedding[encoding].sum(axis=0)
        return vectors

    async def aget_query_embedding(self, query: str) -> list[float]:
        """A span is all that tracers hear of it: the base class's events take longer than the work."""
        return _embedded(query)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return unit(np.asarray(_load().embed(texts), dtype=np.float32)).tolist()

    def _get_text_embedding(self, text: str) -> list[float]:
        return _embedded(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return _embedded(query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return _embedded(query)


def _embedded(text: str) -> list[float]:
    """One text alone needs none of a batch's padding, which takes longer than the rest."""
    model = _load()
    rows = model.embedding[model.tokenizer.encode(text, add_special_tokens=False).ids]
    vector = rows.mean(axis=0) if len(rows) else np.zeros(DIMENSION, dtype=np.float32)
    return (vector / (np.linalg.norm(vector) or 1)).tolist()


def _encoded(model: "WordLlamaInference", words: Sequence[str]) -> list[list[int]]:
    """Token numbers of each word; the padding that batches get is left off."""
    batch = model.tokenizer.encode_batch(list(words), add_special_tokens=False)
    return [
        [n for n, real in zip(encoding.ids, encoding.attention_mask, strict=True) if real]
        for encoding in batch
    ]


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
