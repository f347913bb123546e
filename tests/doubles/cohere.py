"""A stand-in for Cohere that has the limits of its API and returns meaningful vectors.

The suffix of a model name `MODEL@WHAT` selects a failure: `@status-CODE`, `@status-CODE-after-S`,
`@fails-N`, `@resets`, `@deep` or `@stalls`.
"""

import re
import zlib
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.doubles.http import JSON, Exchange
from tests.doubles.limits import KeyLimits, Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

SIZES = {
    "embed-v4.0": (256, 512, 1024, 1536),
    "embed-english-v3.0": (1024,),
    "embed-multilingual-v3.0": (1024,),
    "embed-english-light-v3.0": (384,),
    "embed-multilingual-light-v3.0": (384,),
}
RERANKERS = ("rerank-v3.5", "rerank-v4.0-pro", "rerank-v4.0-fast")
MOST_TEXTS, MOST_TOKENS, MOST_DOCUMENTS = 96, 512, 1_000
_INPUT_TYPES = ("search_document", "search_query", "classification", "clustering", "image")
_KINDS = ("float", "int8", "uint8", "binary", "ubinary")
_FOREVER_SECONDS = 3_600.0


class CohereDouble:
    """`/v2/embed`, `/v2/rerank`, `/v1/models/{name}` and `/v1/check-api-key`."""

    def __init__(self, keys: KeyLimits) -> None:
        self._keys = keys
        self._failures: Counter[str] = Counter()

    async def answer(self, exchange: Exchange) -> None:
        """Answer a request after checking its key."""
        path, body = exchange.request.path, exchange.body
        if not exchange.request.key:
            await _refuse(exchange, Refusal(401, "no api key supplied"))
            return
        weight = len(body.get("texts", [])) if path == "/v2/embed" else 1
        if refusal := self._keys.check(exchange.request.key, weight):
            await _refuse(exchange, refusal)
        elif path == "/v1/check-api-key":
            await exchange.answer(200, {"valid": True})
        elif await self._fail_if_requested(exchange):
            return
        elif path == "/v2/embed":
            await _respond(exchange, _embed_response)
        elif path == "/v2/rerank":
            await _respond(exchange, _rerank_response)
        else:
            await _refuse(exchange, Refusal(404, "not found"))

    async def _fail_if_requested(self, exchange: Exchange) -> bool:
        _, _, what = exchange.request.model.partition("@")
        if found := re.fullmatch(r"status-(\d+)(?:-after-([\d.]+))?", what):
            after = float(found[2]) if found[2] else None
            await _refuse(exchange, Refusal(int(found[1]), "told to fail", after))
        elif found := re.fullmatch(r"fails-(\d+)", what):
            self._failures[what] += 1
            if self._failures[what] > int(found[1]):
                return False
            await _refuse(exchange, Refusal(503, "told to fail"))
        elif what == "resets":
            exchange.reset()
        elif what == "deep":
            await exchange.answer_bytes(200, b'{"extra": ' + b"[" * 100_000)
        elif what == "stalls":
            await exchange.pause(_FOREVER_SECONDS)
        else:
            return False
        return True


class _RefusedError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def _respond(exchange: Exchange, make: Any) -> None:
    try:
        answer = make(exchange.body)
    except _RefusedError as refused:
        await _refuse(exchange, Refusal(refused.status, str(refused)))
    else:
        await exchange.answer(200, answer)


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    after = {} if refusal.retry_after is None else {"Retry-After": f"{refusal.retry_after:g}"}
    body = {"id": "double", "message": refusal.message}
    await exchange.answer(refusal.status, body, after)


def _embed_response(body: JSON) -> JSON:
    model, texts = _model(body, SIZES), body.get("texts", [])
    _check_texts(texts)
    kind = body.get("input_type")
    if kind not in _INPUT_TYPES:
        raise _RefusedError(400, "valid input_type must be provided with the provided model")
    size = body.get("output_dimension") or SIZES[model][-1]
    if size not in SIZES[model] or ("output_dimension" in body and len(SIZES[model]) == 1):
        raise _RefusedError(400, f"output_dimension {size} is not supported by {model}")
    kinds = body.get("embedding_types") or ["float"]
    if not set(kinds) <= set(_KINDS):
        raise _RefusedError(400, "embedding_types are not valid")
    texts = [_truncate(text, model, body.get("truncate", "END")) for text in texts]
    vectors = [embed(text, model, size, kind) for text in texts]
    tokens = sum(len(_tokens(text)) for text in texts)
    embeddings = {kind: [_convert(kind, vector) for vector in vectors] for kind in kinds}
    billed = {"billed_units": {"input_tokens": tokens}}
    meta = {"api_version": {"version": "2"}, **billed}
    return {"id": "double", "texts": texts, "embeddings": embeddings, "meta": meta}


def _check_texts(texts: list[str]) -> None:
    if not texts:
        raise _RefusedError(400, "texts must be provided")
    if len(texts) > MOST_TEXTS:
        raise _RefusedError(400, f"total number of texts must be at most {MOST_TEXTS}")
    for index, text in enumerate(texts):
        if not text.strip():
            raise _RefusedError(400, f"texts[{index}] must not be an empty string")


def _truncate(text: str, model: str, truncate: str) -> str:
    """Truncate the text: models of the third generation read 512 tokens. Refuse it if `truncate` is NONE."""
    tokens = [*re.finditer(r"\w{1,6}|[^\w\s]", text)]
    if "v3" not in model or len(tokens) <= MOST_TOKENS:
        return text
    if truncate == "NONE":
        raise _RefusedError(
            400, f"too many tokens: the text has {len(tokens)}, at most {MOST_TOKENS}"
        )
    return text[: tokens[MOST_TOKENS].start()]


def _rerank_response(body: JSON) -> JSON:
    model, documents = _model(body, RERANKERS), body.get("documents", [])
    query = str(body.get("query", ""))
    if not query.strip() or not documents:
        raise _RefusedError(400, "query and documents must be provided")
    if len(documents) > MOST_DOCUMENTS:
        raise _RefusedError(400, f"too many documents, at most {MOST_DOCUMENTS}")
    wanted = embed(query, model, 256, "search_query")
    scores = [float(wanted @ embed(text, model, 256, "search_document")) for text in documents]
    order = sorted(range(len(documents)), key=lambda index: -scores[index])
    results = [
        {"index": index, "relevance_score": min(1.0, max(0.0, scores[index]))}
        for index in order[: body.get("top_n") or len(order)]
    ]
    return {"id": "double", "results": results, "meta": {"billed_units": {"search_units": 1}}}


def _model(body: JSON, known: Any) -> str:
    model = str(body.get("model", "")).partition("@")[0]
    if model not in known:
        raise _RefusedError(404, f"model '{model}' not found")
    return model


def embed(text: str, model: str, size: int, kind: str) -> "Vector":
    """Return a unit vector: texts that share words are similar; queries differ slightly from documents."""
    total = 0.2 * _word_vector(f"{model}:{kind}", size)
    for token in set(_tokens(text)):
        total = total + _word_vector(f"{model}:{token}", size)
    return total / np.linalg.norm(total)


@lru_cache(maxsize=20_000)
def _word_vector(name: str, size: int) -> "Vector":
    vector = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(size)
    return vector / np.linalg.norm(vector)


def _tokens(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _convert(kind: str, vector: "Vector") -> list[float] | list[int]:
    if kind == "float":
        return [round(float(number), 6) for number in vector]
    if kind in ("binary", "ubinary"):
        bits = np.packbits(vector > 0)
        return (bits if kind == "ubinary" else bits.astype(np.int16) - 128).tolist()
    scaled = np.clip(np.round(vector * 127 / np.abs(vector).max()), -128, 127).astype(int)
    return (scaled if kind == "int8" else scaled + 128).tolist()
