"""Search with a reranker behind it."""

from collections.abc import Sequence
from pathlib import Path

from app.retrieval.request import SearchRequest
from app.retrieval.search import Search
from app.wiring import Services
from storage.domain import Passage


class Reversed:
    """The worst first, of five."""

    model, depth = "reversed", 5

    async def rerank(self, query: str, passages: Sequence[Passage]) -> list[Passage]:
        return [*passages][::-1]


async def test_a_reranker_chooses_from_as_many_as_it_wants(services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    ours = await services.search.passages(SearchRequest("the lamp", limit=5))
    search = Search(services.database, services.indexes, Reversed())
    theirs = await search.passages(SearchRequest("the lamp", limit=2))
    assert [passage.id for passage in theirs] == [passage.id for passage in ours[:-3:-1]]
