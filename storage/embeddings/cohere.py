"""Cohere's embeddings: a subclass of LlamaIndex's class that sends the requests itself."""

import asyncio
import logging
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import msgspec
import numpy as np
from aiohttp import ClientSession
from llama_index.embeddings.cohere import CohereEmbedding
from pydantic import Field, PrivateAttr

from storage.embeddings.local import normalize
from storage.embeddings.token_windows import split_into_windows
from storage.errors import InvalidInput, ModelRefused, ModelUnavailable
from storage.http.cohere_api import BASE_URL, CallCounter, CohereAPI
from storage.http.pool import DECODE_ERRORS
from storage.http.rate_limiter import RateLimiter

_log = logging.getLogger("ibid.cohere")

DIMENSIONS = {
    "embed-v4.0": (256, 512, 1024, 1536),
    "embed-english-v3.0": (1024,),
    "embed-multilingual-v3.0": (1024,),
    "embed-english-light-v3.0": (384,),
    "embed-multilingual-light-v3.0": (384,),
}
"""Vector lengths that each model offers; the last one is its default."""
_MAX_INPUT_TOKENS = 512
"""Maximum input of a third-generation model, in tokens; the model drops the rest of a longer text."""
_BATCH = 96
_KEPT_QUERIES = 1_000
_DOCUMENTS_SHARE = 0.9
"""Share of the texts per minute for documents; the rest is for queries, which must not wait for ingestion."""
_BLANK_REPLACEMENT = "."
"""Replacement for a blank text, because Cohere refuses a whole batch that has one empty string."""
_DOCUMENT = "search_document"


class _EmbedResponse(msgspec.Struct):
    embeddings: dict[str, list[list[float]] | None]


_response_decoder = msgspec.json.Decoder(_EmbedResponse)


class HostedEmbedding(CohereEmbedding):
    """A Cohere model that embeds documents and queries differently; raises `ModelUnavailable`.

    Vectors have unit length, also those received as int8. A text that is too long for its model is
    embedded in parts, and its vector is their mean, so that nothing is truncated silently. Vectors of
    queries are cached. Documents wait for the rate limits, and queries only for a short time.

    All methods of the parent class end in `_embed` and `_aembed`; each override states its reason.
    """

    api_key: str = Field(repr=False, exclude=True)
    """The API key. The parent class shows it in its `repr` and in `model_dump`."""
    dimension: int | None = None
    """The requested vector length; None if the model offers only one."""
    document_tries: int = 6
    _api: CohereAPI = PrivateAttr()
    _limiter: RateLimiter = PrivateAttr()
    _queries: OrderedDict[str, list[float]] = PrivateAttr(default_factory=OrderedDict)

    @classmethod
    def create(
        cls,
        model: str,
        api_key: str,
        base_url: str = BASE_URL,
        *,
        dimension: int | None = None,
        embedding_type: Literal["float", "int8"] = "float",
        inputs_per_minute: int = 2_000,
        http: ClientSession | None = None,
        calls: CallCounter | None = None,
    ) -> "HostedEmbedding":
        """Build the embedding without a request; raise `InvalidInput` for an unknown model or dimension."""
        validate_dimension(model, dimension)
        fields: dict[str, Any] = {
            "api_key": api_key,
            "model_name": model,
            "base_url": base_url,
            "embed_batch_size": _BATCH,
            "truncate": "NONE",
            "embedding_type": embedding_type,
            "dimension": dimension if len(DIMENSIONS[model]) > 1 else None,
        }
        hosted = cls(**fields)
        hosted._api = CohereAPI(api_key, base_url, http=http, calls=calls)
        hosted._limiter = RateLimiter(inputs_per_minute)
        return hosted

    def _embed(self, texts: Any = None, input_type: str = _DOCUMENT) -> list[list[float]]:
        """Run `_aembed`: the parent class sends synchronous requests with a client that has no limits."""
        with ThreadPoolExecutor(1) as thread:  # the caller's thread may run an event loop
            return thread.submit(asyncio.run, self._aembed(texts, input_type)).result()

    async def _aget_query_embedding(self, query: str) -> list[float]:
        """Return a cached vector if there is one: the parent class pays for every repeated query."""
        if query not in self._queries:
            (self._queries[query],) = await self._aembed([query], "search_query")
            if len(self._queries) > _KEPT_QUERIES:
                self._queries.popitem(last=False)
        self._queries.move_to_end(query)
        return self._queries[query]

    async def _aembed(self, texts: Any = None, input_type: str = _DOCUMENT) -> list[list[float]]:
        """Embed the texts.

        The parent class cannot: it ignores the dimension, fails on an empty text, has no rate limiter, sends
        one request up to 30 times, and either cuts a text that is too long or fails.
        """
        try:
            return await self._embed_with_retry(texts, input_type)
        except ModelUnavailable as error:
            told = f"Cohere did not embed: {error}. The previous release still serves."
            raise _with_message(error, told) from error

    async def _embed_with_retry(self, texts: list[str], input_type: str) -> list[list[float]]:
        room = None if "v3" not in self.model_name else _MAX_INPUT_TOKENS
        try:
            return await self._embed_in_windows(texts, input_type, room)
        except ModelRefused:
            if room is None or all(len(text) < room for text in texts):
                raise
            # Token counts are estimates: if Cohere refuses the texts, retry once with parts of half the size.
            return await self._embed_in_windows(texts, input_type, room // 2)

    async def _embed_in_windows(
        self, texts: list[str], input_type: str, max_tokens: int | None
    ) -> list[list[float]]:
        parts = [split_into_windows(text, max_tokens) if max_tokens else [text] for text in texts]
        long = sum(len(part) > 1 for part in parts)
        if long:
            _log.info("embedded_in_parts", extra={"texts": long, "tokens": max_tokens})
        flat = [
            part if part.strip() else _BLANK_REPLACEMENT for several in parts for part in several
        ]
        vectors: list[list[float]] = []
        for start in range(0, len(flat), _BATCH):
            vectors += await self._request_vectors(flat[start : start + _BATCH], input_type)
        rest = iter(vectors)
        return [_mean([next(rest) for _ in several], several) for several in parts]

    async def _request_vectors(self, texts: list[str], input_type: str) -> list[list[float]]:
        is_document = input_type == _DOCUMENT
        share = _DOCUMENTS_SHARE if is_document else 1.0
        body: dict[str, Any] = {
            "model": self.model_name,
            "texts": texts,
            "input_type": self.input_type or input_type,
            "embedding_types": [self.embedding_type],
            "truncate": self.truncate,
        }
        if self.dimension:
            body["output_dimension"] = self.dimension
        data = await self._api.post(
            "/v2/embed",
            body,
            timeout_seconds=60 if is_document else 10,
            tries=self.document_tries if is_document else 2,
            max_pause=65 if is_document else 1,
            before_send=lambda: self._limiter.wait(len(texts), share),
        )
        try:
            vectors = _response_decoder.decode(data).embeddings.get(self.embedding_type) or []
        except DECODE_ERRORS as error:
            raise ModelUnavailable("its response cannot be parsed") from error
        if len(vectors) != len(texts):
            raise ModelUnavailable(f"it returned {len(vectors)} vectors for {len(texts)} texts")
        if self.embedding_type == "float":
            return vectors
        return normalize(np.asarray(vectors, dtype=np.float32)).tolist()


def has_dimension_choice(model: str) -> bool:
    """Return whether the model offers several vector lengths."""
    return len(DIMENSIONS[model]) > 1


def validate_dimension(model: str, wanted: int | None) -> int:
    """Return the length of a model's vectors; raise `InvalidInput` for an unknown model or length."""
    if model not in DIMENSIONS:
        known = ", ".join(DIMENSIONS)
        raise InvalidInput(f"COHERE_EMBED_MODEL {model!r} is unknown. Use one of {known}.")
    if wanted is not None and wanted not in DIMENSIONS[model]:
        known = ", ".join(map(str, DIMENSIONS[model]))
        raise InvalidInput(f"COHERE_EMBED_DIMENSION {wanted}: {model} gives {known}.")
    return wanted or DIMENSIONS[model][-1]


def _mean(vectors: list[list[float]], parts: list[str]) -> list[float]:
    """Return the unit-length mean of the vectors of a text's parts, weighted by the parts' lengths."""
    if len(vectors) == 1:
        return vectors[0]
    total = np.average(np.asarray(vectors), axis=0, weights=[len(part) or 1 for part in parts])
    return (total / (np.linalg.norm(total) or 1.0)).tolist()


def _with_message(error: ModelUnavailable, message: str) -> ModelUnavailable:
    """Return the same error with `told` as its message."""
    error.args = (message,)
    return error
