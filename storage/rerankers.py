"""What puts the passages that a search found into a better order, where there is something better."""

from collections.abc import Sequence
from typing import Protocol

from storage.domain import Passage


class Reranker(Protocol):
    """Reads query and passages together, which an index cannot; a service, or a model of one's own."""

    @property
    def depth(self) -> int:
        """How many passages it wants to choose from; 0 for as many as are asked for."""
        ...

    async def rerank(self, query: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        """The same passages, best first; none is dropped, for a floor is not its to set."""
        ...


class KeptOrder:
    """Where there is no reranker: the index's own order stands."""

    depth = 0

    async def rerank(self, query: str, passages: Sequence[Passage]) -> Sequence[Passage]:  # noqa: ARG002
        """As they came."""
        return passages
