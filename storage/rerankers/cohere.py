"""Reranking of search results by a model: the interface, and its implementation with Cohere."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from storage.domain import Passage
from storage.errors import ModelBusy, ModelUnavailable
from storage.http.pool import UNREADABLE
from storage.http.rate_limiter import RateLimiter

if TYPE_CHECKING:
    from storage.http.cohere_api import CohereAPI

_SECONDS = 3.0


class Reranker(Protocol):
    """A model that orders passages by their relevance to a query."""

    @property
    def model(self) -> str:
        """The name of the model, for messages about its failures."""
        ...

    @property
    def depth(self) -> int:
        """The number of passages that `rerank` should receive."""
        ...

    async def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """Return all passages, best first, with the model's `score` in [0, 1]; raise `ModelUnavailable`."""
        ...


class _Result(msgspec.Struct):
    index: int
    relevance_score: float


class _Ranking(msgspec.Struct):
    results: list[_Result]


_ranking = msgspec.json.Decoder(_Ranking)


class CohereReranker:
    """Cohere's reranker; it raises at its rate limit or timeout, and the caller keeps the existing order."""

    depth = 50

    def __init__(self, api: "CohereAPI", model: str, per_minute: int) -> None:
        self._api = api
        self._pace = RateLimiter(per_minute)
        self.model = model

    async def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        """See `Reranker`."""
        if len(passages) <= 1:
            return list(passages)
        if not self._pace.take(1):
            raise ModelBusy("its limit for this minute is reached")
        documents = ["\n".join((*passage.section, passage.text)) for passage in passages]
        body = {"model": self.model, "query": query, "documents": documents}
        data = await self._api.post("/v2/rerank", body, within=_SECONDS)
        try:
            results = _ranking.decode(data).results
            return [
                passages[one.index].model_copy(update={"score": one.relevance_score})
                for one in sorted(results, key=lambda one: (-one.relevance_score, one.index))
            ]
        except (*UNREADABLE, IndexError) as error:
            raise ModelUnavailable("its response cannot be parsed") from error
