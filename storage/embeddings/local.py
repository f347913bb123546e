"""The embedding that needs no API key and no download: static vectors, installed with a wheel."""

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
SUPPORTED_LANGUAGES = frozenset({"en"})
"""Languages that the model supports; it splits words of others into single letters or bytes."""


class LocalEmbedding(BaseEmbedding):
    """WordLlama's 256-dimensional static embedding: unit vectors, 0.1 ms a query, no network."""

    model_name: str = LOCAL_MODEL
    embed_batch_size: int = 256

    @classmethod
    def class_name(cls) -> str:
        """Return the name of the class for LlamaIndex."""
        return "LocalEmbedding"

    def word_vectors(self, words: Sequence[str]) -> "NDArray[np.float32]":
        """Return a row for each word, not normalised: a longer vector means a more informative word."""
        model = _load_model()
        vectors = np.zeros((len(words), DIMENSION), dtype=np.float32)
        for row, word in zip(vectors, words, strict=True):
            row[:] = model.embedding[_tokens(model, word)].sum(axis=0)
        return vectors

    async def aget_query_embedding(self, query: str) -> list[float]:
        """Embed a query, traced by a span only: the base class's events take longer than the work."""
        return _embed(query)

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        """Return the vectors of `WordLlamaInference.embed`, without its padding, which triples the work."""
        model = _load_model()
        return normalize(np.asarray([_mean(model, text) for text in texts])).tolist()

    def _get_text_embedding(self, text: str) -> list[float]:
        return _embed(text)

    def _get_query_embedding(self, query: str) -> list[float]:
        return _embed(query)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return _embed(query)


def _embed(text: str) -> list[float]:
    model = _load_model()
    vector = _mean(model, text)
    return (vector / (np.linalg.norm(vector) or 1)).tolist()


def _tokens(model: "WordLlamaInference", text: str) -> list[int]:
    """Tokenise one text; a batch would be spread over threads, which takes 1.5 times the CPU time."""
    (encoding,) = model.tokenizer.encode_batch_fast([text], add_special_tokens=False)
    return encoding.ids


def _mean(model: "WordLlamaInference", text: str) -> "NDArray[np.float32]":
    if tokens := _tokens(model, text):
        return model.embedding[tokens].mean(axis=0)
    return np.zeros(DIMENSION, dtype=np.float32)


def normalize(vectors: "NDArray[np.float32]") -> "NDArray[np.float32]":
    """Scale vectors to unit length; a zero vector, of a text without known tokens, stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    norms[norms == 0] = 1
    return vectors / norms


@cache
def _load_model() -> "WordLlamaInference":
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
