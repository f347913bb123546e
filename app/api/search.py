"""The endpoint for searches."""

from typing import Annotated

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.params import FromQuery, QueryParameter

from app.retrieval.filters import parse_filter
from app.retrieval.request import SearchRequest
from app.retrieval.search import Search
from storage.domain import Passage, Value


class PassageList(Value):
    """Passages, best first."""

    passages: tuple[Passage, ...]


class SearchController(Controller):
    """`/api/v1/search`."""

    @get("/search", tags=["search"], summary="Search passages")
    async def search(
        self,
        q: FromQuery[str],
        search: NamedDependency[Search],
        k: FromQuery[int] = 10,
        corpus: FromQuery[list[str] | None] = None,
        filters: Annotated[str | None, QueryParameter(name="filter")] = None,
    ) -> PassageList:
        """Run a hybrid search. `corpus` may be repeated; `filter` is a JSON object."""
        request = SearchRequest(q, corpus or (), parse_filter(filters), k)
        found = await search.passages(request)
        return PassageList(passages=tuple(found))
