"""Ibid's search as a LlamaIndex retriever, for custom query engines and notebooks."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import (
    NodeRelationship,
    NodeWithScore,
    QueryBundle,
    RelatedNodeInfo,
    TextNode,
)

from app.async_to_sync import run_blocking
from app.retrieval.request import SearchRequest
from app.retrieval.search import NO_FILTER, Search
from storage.domain import Passage

_READABLE = frozenset({"title", "section", "url"})
"""The metadata that a language model or an embedding sees with the text of a node."""


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
    """Convert a passage to a LlamaIndex node with its score."""
    return NodeWithScore(node=to_text_node(passage), score=passage.score)


def to_text_node(passage: Passage) -> TextNode:
    """Convert a passage to a LlamaIndex node with the same id, whose document is the source."""
    metadata: dict[str, Any] = {
        "title": passage.title,
        "section": " > ".join(passage.section),
        "url": passage.url,
        "source_id": str(passage.source_id),
        "version": passage.version,
        "corpus": passage.corpus,
        "docs_version": passage.docs_version,
        "locale": passage.locale,
        "page": passage.page,
        "start": passage.start,
        "end": passage.end,
    }
    return TextNode(
        id_=str(passage.id),
        text=passage.text,
        start_char_idx=passage.start,
        end_char_idx=passage.end,
        metadata={name: value for name, value in metadata.items() if value is not None},
        excluded_llm_metadata_keys=[name for name in metadata if name not in _READABLE],
        excluded_embed_metadata_keys=[name for name in metadata if name not in _READABLE],
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id=str(passage.source_id)),
        },
    )
