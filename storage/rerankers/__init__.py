"""Reranking of search results by a model: the interface, and its implementations."""

from collections.abc import Sequence
from typing import Protocol

from storage.domain import Passage


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
        """Return the passages, best first, with the model's `score` in [0, 1]; raise `ModelUnavailable`.

        A reranker may leave out passages that it finds irrelevant.
        """
        ...
