"""Ibid's passages as LlamaIndex's own `QdrantVectorStore`, for other LlamaIndex apps."""

from collections.abc import Mapping, Sequence
from functools import partial

from llama_index.core.schema import TextNode
from llama_index.vector_stores.qdrant import QdrantVectorStore

from app.async_to_sync import run_blocking
from app.path_redaction import passage_without_path
from app.retrieval.filters import FIELDS
from app.retrieval.retriever import to_text_node
from app.retrieval.search import Search
from storage.domain import Fingerprint, Passage
from storage.errors import IndexMismatch, InvalidInput, NotFound
from storage.index.engine import Filter, Scalar
from storage.index.passages import search_filter
from storage.index.releases import Indexes
from storage.index.vector_store import FilteredIndex, build_vector_store

_SOURCES = ("source_id", "doc_id")
"""The fields of a filter that name a source; `doc_id` is LlamaIndex's name for it."""


async def open_vector_store(
    search: Search, indexes: Indexes, corpora: Sequence[str], filters: Mapping[str, str]
) -> QdrantVectorStore:
    """Return a read-only store of what the user of `search` may read; see `Services.open_vector_store`."""
    search.principal.require("ask")
    scope = await search.scope(corpora, filters)
    opened = (await indexes.serving()).fingerprint
    reading = _Reading(search, indexes, opened, corpora, filters)
    return build_vector_store(
        reading.select, reading.to_node, partial(run_blocking, loop=search.loop), scope.languages
    )


class _Reading:
    """Chooses the index and the passages of each call, so that changes of access take effect at once."""

    def __init__(
        self,
        search: Search,
        indexes: Indexes,
        opened: Fingerprint,
        corpora: Sequence[str],
        filters: Mapping[str, str],
    ) -> None:
        self._search = search
        self._indexes = indexes
        self._opened = opened
        self._corpora = corpora
        self._filters = dict(filters)

    async def select(self, where: Filter) -> FilteredIndex:
        """Return the serving index, and a filter for the passages that the user may read in it.

        Raise `IndexMismatch` if that release was embedded with another model than the store was opened for.
        """
        self._search.principal.require("ask")
        # Read the alias on every call: a program may keep its store for hours while releases change.
        await self._indexes.find()
        index = await self._indexes.serving()
        if not index.fingerprint.shares_vectors(self._opened):
            raise IndexMismatch(
                f"The serving release is embedded with {index.fingerprint.embedding!r}, and this store was "
                f"opened for {self._opened.embedding!r}. Open the store and its embedding again."
            )
        scope = await self._search.scope(self._names(where), self._filters | _own_filters(where))
        chosen: dict[str, Sequence[Scalar]] = {**search_filter(scope)}
        for name in _SOURCES:
            if name in where:
                before = chosen.get("source_id", where[name])
                chosen["source_id"] = [value for value in before if value in where[name]]
        return FilteredIndex(index, chosen)

    def _names(self, where: Filter) -> Sequence[str]:
        """Return the names of the corpora to read; an empty sequence means all that the user may read."""
        if "corpus" not in where:
            return self._corpora
        named = [str(name) for name in where["corpus"]]
        for name in named:
            if self._corpora and name not in self._corpora:
                raise NotFound("corpus", name, f"This store has: {', '.join(self._corpora)}.")
        if not named:
            raise InvalidInput("The filter of 'corpus' accepts no value.")
        return named

    def to_node(self, passage: Passage) -> TextNode:
        """Convert a passage to a node; only admins see paths of files on the server."""
        is_admin = self._search.principal.is_admin
        return to_text_node(passage if is_admin else passage_without_path(passage))


def _own_filters(where: Filter) -> dict[str, str]:
    """Return the filters of Ibid's search, `version` and `locale`; raise `InvalidInput` for other fields."""
    known = (*FIELDS, *_SOURCES, "corpus")
    for name in where:
        if name not in known:
            raise InvalidInput(
                f"A metadata filter names {', '.join(map(repr, known))}, not {name[:80]!r}."
            )
    chosen = {name: where[name] for name in FIELDS if name in where}
    for name, values in chosen.items():
        if len(values) != 1:
            raise InvalidInput(f"A filter of {name!r} has one value.")
    return {name: str(values[0]) for name, values in chosen.items()}
