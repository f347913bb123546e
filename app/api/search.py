"""Endpoints for search, passages in context, sources and their canonical texts."""

from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from app.api.downloads import file_response
from app.api.pagination import MAX_INTEGER, Offset
from app.corpora.service import CorpusService, PassageInContext
from app.retrieval.filters import parse_filter
from app.retrieval.request import SearchRequest
from app.retrieval.search import Search
from storage.domain import Passage, Value
from storage.sql.tables import Source, SourceText


class PassageList(Value):
    """Passages, best first."""

    passages: tuple[Passage, ...]


class SourceList(Value):
    """Sources, sorted by corpus and location."""

    sources: tuple[Source, ...]


class SearchController(Controller):
    """`/api/v1/search`, `/passages` and `/sources`."""

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

    @get("/passages/{passage_id:uuid}", tags=["sources"], summary="Read a passage in its context")
    async def passage(
        self, passage_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> PassageInContext:
        """Return a passage with the canonical text before and after it."""
        return await library.passage(passage_id)

    @get("/sources", tags=["sources"], summary="List sources")
    async def sources(
        self,
        library: NamedDependency[CorpusService],
        corpus: FromQuery[list[str] | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        offset: Offset = 0,
    ) -> SourceList:
        """List the sources that are searchable now."""
        return SourceList(sources=tuple(await library.sources(corpus or (), limit, offset)))

    @get("/sources/{source_id:uuid}", tags=["sources"], summary="Read a source")
    async def source(
        self, source_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> Source:
        """Return a source. If it was removed, `removed_at` says when."""
        return await library.source(source_id)

    @delete("/sources/{source_id:uuid}", tags=["sources"], summary="Remove a source")
    async def remove(
        self, source_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> None:
        """Remove a source from the index, and its uploaded file. Answers keep their quotes of it."""
        await library.delete_source(source_id)

    @get("/sources/{source_id:uuid}/original", tags=["sources"], summary="Open an uploaded file")
    async def original(
        self, source_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> Response[bytes]:
        """Return an uploaded file unchanged. HTML is shown as plain text, so that its scripts do not run."""
        source, data = await library.original(source_id)
        return file_response(source.location, data)

    @get("/sources/{source_id:uuid}/text", tags=["sources"], summary="Read a canonical text")
    async def text(
        self,
        source_id: FromPath[UUID],
        library: NamedDependency[CorpusService],
        version: Annotated[int | None, QueryParameter(ge=1, le=MAX_INTEGER)] = None,
    ) -> SourceText:
        """Return the text to check quotes against: `quote == text[start:end]`, in code points."""
        return await library.text(source_id, version)
