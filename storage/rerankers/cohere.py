"""Reranking with Cohere's models."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from storage.domain import Passage
from storage.errors import ModelBusy, ModelUnavailable
from storage.http.pool import DECODE_ERRORS
from storage.http.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from storage.http.cohere_api import CohereAPI

_SECONDS = 3.0


class _RerankResult(msgspec.Struct):
    index: int
    relevance_score: float


class _RerankResponse(msgspec.Struct):
    results: list[_RerankResult]


_response_decoder = msgspec.json.Decoder(_RerankResponse)


class CohereReranker:
    """Cohere's reranker; it raises at its rate limit or timeout, and the caller keeps the existing order."""

    depth = 50

    def __init__(self, api: "CohereAPI", model: str, per_minute: int) -> None:
        self._api = api
        self._rate_limiter = RateLimiter(per_minute)
        self.model = model

    async def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """See `Reranker`."""
        if len(passages) <= 1:
            return list(passages)
        if not self._rate_limiter.take(1):
            raise ModelBusy("its limit for this minute is reached")
        documents = ["\n".join((*passage.section, passage.text)) for passage in passages]
        body = {"model": self.model, "query": query, "documents": documents}
        data = await self._api.post("/v2/rerank", body, timeout_seconds=_SECONDS)
        try:
            results = _response_decoder.decode(data).results
            return [
                passages[result.index].model_copy(update={"score": result.relevance_score})
                for result in sorted(
                    results, key=lambda result: (-result.relevance_score, result.index)
                )
            ]
        except (*DECODE_ERRORS, IndexError) as error:
            raise ModelUnavailable("its response cannot be parsed") from error
