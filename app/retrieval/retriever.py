"""Ibid's search as a LlamaIndex retriever, for custom query engines and notebooks."""

from collections.abc import Mapping, Sequence
from functools import partial

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from app.blocking import run_blocking
from app.retrieval.request import SearchRequest
from app.retrieval.search import NO_FILTER, Search
from storage.domain import Passage


class PassageRetriever(BaseRetriever):
    """A retriever on top of `Search`; the offsets of its nodes refer to the source's canonical text."""

    def __init__(
        self,
        search: Search,
        corpora: Sequence[str] = (),
        limit: int = 8,
        *,
        filters: Mapping[str, str] = NO_FILTER,
    ) -> None:
        super().__init__()
        self._search = search
        self._request = partial(SearchRequest, corpora=corpora, filter=filters, limit=limit)

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        request = self._request(query_bundle.query_str)
        return [to_node(passage) for passage in await self._search.passages(request)]

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return run_blocking(self._aretrieve(query_bundle), self._search.loop)


def to_node(passage: Passage) -> NodeWithScore:
    """Convert a passage to a LlamaIndex node with the same id."""
    node = TextNode(
        id_=str(passage.id),
        text=passage.text,
        start_char_idx=passage.start,
        end_char_idx=passage.end,
        metadata={
            "title": passage.title,
            "section": " > ".join(passage.section),
            "url": passage.url,
            "source_id": str(passage.source_id),
            "version": passage.version,
        },
    )
    return NodeWithScore(node=node, score=passage.score)
