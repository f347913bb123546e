"""LlamaIndex's `QdrantVectorStore` over the passages of any engine, read-only.

Importing this module imports `qdrant_client`, which takes a second.
"""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Never, cast

from llama_index.core.schema import TextNode
from llama_index.core.vector_stores.utils import node_to_metadata_dict
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import AsyncQdrantClient, QdrantClient
from qdrant_client.http import models

from storage.domain import Passage
from storage.errors import InvalidInput
from storage.index.bm25.encoder import encode_query
from storage.index.engine import DENSE, SPARSE, Filter, Query, Scalar, SparseVector
from storage.index.passages import PassageIndex, to_passage
from storage.index.releases import ALIAS

_ID = "id"
_READ_ONLY = (
    "A vector store of Ibid is read-only. "
    "Change its documents with `ibid ingest` or `services.ingestion`."
)
_BAD_FILTER = (
    "Only filters that are all required (AND), with == or `in`, are supported. "
    "Use the operator IN instead of OR."
)


@dataclass(frozen=True, slots=True)
class FilteredIndex:
    """The passages that one call may read: an index, and the filter that they match."""

    index: PassageIndex
    where: Filter


Select = Callable[[Filter], Awaitable[FilteredIndex]]
"""Chooses what a call may read. The argument is the caller's own filter, by names of a node's metadata;
the result also excludes everything that the user may not see."""
ToNode = Callable[[Passage], TextNode]
RunBlocking = Callable[[Coroutine[Any, Any, Any]], Any]
"""Runs a coroutine on the event loop of the services, and blocks until it returns."""


def build_vector_store(
    select: Select, to_node: ToNode, run_blocking: RunBlocking, languages: Iterable[str]
) -> QdrantVectorStore:
    """Build a store whose queries read what `select` allows; `languages` are those of the keyword search."""
    client, languages = PassageClient(select, to_node), frozenset(languages)

    def encode(texts: list[str]) -> tuple[list[list[int]], list[list[float]]]:
        vectors = [encode_query({text: 1.0}, languages) for text in texts]
        return [vector.indices for vector in vectors], [vector.values for vector in vectors]

    return QdrantVectorStore(
        ALIAS,
        client=cast("QdrantClient", BlockingPassageClient(client, run_blocking)),
        aclient=cast("AsyncQdrantClient", client),
        enable_hybrid=True,
        sparse_doc_fn=_refuse_write,
        sparse_query_fn=encode,
    )


class PassageClient:
    """The methods of `AsyncQdrantClient` that `QdrantVectorStore` calls, over any `IndexEngine`.

    It works with both engines, and every call reads only what `select` allows. The names of collections
    in the arguments are ignored.
    """

    def __init__(self, select: Select, to_node: ToNode) -> None:
        self._select = select
        self._to_node = to_node

    async def collection_exists(self, collection_name: str) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    async def get_collection(self, collection_name: str) -> models.CollectionInfo:  # noqa: ARG002
        """Return the names of the vectors; the store asks for them before every query."""
        return _INFO

    async def query_points(
        self,
        collection_name: str,  # noqa: ARG002
        query: object,
        limit: int,
        query_filter: models.Filter | None = None,
        search_params: models.SearchParams | None = None,
        shard_key_selector: object = None,
        **_: object,
    ) -> models.QueryResponse:
        """Return the points nearest to one vector."""
        _check_options(search_params, shard_key_selector)
        return await self._search(query, query_filter, limit)

    async def query_batch_points(
        self,
        collection_name: str,  # noqa: ARG002
        requests: Sequence[models.QueryRequest],
    ) -> list[models.QueryResponse]:
        """Return the points nearest to each vector."""
        for request in requests:
            _check_options(request.params, request.shard_key)
        return [
            await self._search(request.query, request.filter, request.limit or 1)
            for request in requests
        ]

    async def scroll(
        self,
        collection_name: str,  # noqa: ARG002
        limit: int,
        scroll_filter: models.Filter | None = None,
        shard_key_selector: object = None,
        **_: object,
    ) -> tuple[list[models.Record], None]:
        """Return the first matching points in the order of their ids, or those with the ids of the filter."""
        _check_options(shard_key_selector)
        wanted = read_filter(scroll_filter)
        ids = wanted.pop(_ID, None)
        selection = await self._select(wanted)
        index, where = selection.index, selection.where
        if ids is None:
            found = await index.engine.scan(index.collection, where, vectors=True, limit=limit)
        else:
            named = await index.engine.retrieve(index.collection, [str(key) for key in ids])
            found = [
                record
                for record in named
                if all(record.payload.get(name) in values for name, values in where.items())
            ]
        points = [
            models.Record(
                id=record.id,
                payload=self._to_payload(to_passage(record.id, record.payload)),
                vector=cast("dict[str, Any]", {DENSE: record.dense}) if record.dense else None,
            )
            for record in found[:limit]
        ]
        return points, None

    async def upsert(self, *_: object, **__: object) -> Never:
        """Raise `InvalidInput`: a write would bypass the records of sources and releases."""
        raise InvalidInput(_READ_ONLY)

    create_collection = create_payload_index = delete = delete_collection = upsert

    async def _search(
        self, query: object, given: models.Filter | None, limit: int
    ) -> models.QueryResponse:
        selection = await self._select(read_filter(given))
        index, wanted = selection.index, {name: [*some] for name, some in selection.where.items()}
        if isinstance(query, models.SparseVector):
            sparse = SparseVector(query.indices, query.values)
            asked = Query(wanted, limit, sparse=sparse, depth=limit)
        elif isinstance(query, list):
            asked = Query(wanted, limit, dense=cast("list[float]", query), depth=limit)
        else:
            raise InvalidInput("A query of this vector store needs the embedding of a text.")
        hits = await index.engine.search(index.collection, asked)
        return models.QueryResponse(
            points=[
                models.ScoredPoint(
                    id=hit.id,
                    version=0,
                    score=(hit.bm25 if asked.dense is None else hit.similarity) or 0.0,
                    payload=self._to_payload(to_passage(hit.id, hit.payload)),
                )
                for hit in hits
            ]
        )

    def _to_payload(self, passage: Passage) -> dict[str, Any]:
        """Return the payload from which the store builds the node of the passage."""
        return node_to_metadata_dict(self._to_node(passage))


class BlockingPassageClient:
    """The same methods for synchronous code, in which they block until the result is there."""

    def __init__(self, client: PassageClient, run_blocking: RunBlocking) -> None:
        self._passages = client
        self._run_blocking = run_blocking

    def collection_exists(self, collection_name: str) -> bool:  # noqa: ARG002
        """Return True."""
        return True

    def get_collection(self, collection_name: str) -> models.CollectionInfo:  # noqa: ARG002
        """Return the names of the vectors."""
        return _INFO

    def query_points(self, *args: Any, **options: Any) -> models.QueryResponse:
        """Return the points nearest to one vector."""
        return self._run_blocking(self._passages.query_points(*args, **options))

    def query_batch_points(self, *args: Any, **options: Any) -> list[models.QueryResponse]:
        """Return the points nearest to each vector."""
        return self._run_blocking(self._passages.query_batch_points(*args, **options))

    def scroll(self, *args: Any, **options: Any) -> tuple[list[models.Record], None]:
        """Return the first matching points, or those with the ids of the filter."""
        return self._run_blocking(self._passages.scroll(*args, **options))

    def upload_points(self, *_: object, **__: object) -> Never:
        """Raise `InvalidInput`."""
        raise InvalidInput(_READ_ONLY)

    delete = delete_collection = upload_points


def read_filter(given: models.Filter | None) -> dict[str, list[Scalar]]:
    """Return the values that each field may have; raise `InvalidInput` for any other kind of filter."""
    where: dict[str, list[Scalar]] = {}
    for name, values in _required_values(given):
        before = where.get(name, values)
        where[name] = [value for value in before if value in values]
    return where


def _required_values(given: models.Filter | None) -> Iterable[tuple[str, list[Scalar]]]:
    if given is None:
        return
    alternatives = _to_list(given.should)
    if _to_list(given.must_not) or given.min_should or len(alternatives) > 1:
        raise InvalidInput(_BAD_FILTER)
    for condition in (*_to_list(given.must), *alternatives):
        if isinstance(condition, models.Filter):
            yield from _required_values(condition)
        elif isinstance(condition, models.HasIdCondition):
            yield _ID, [str(key) for key in condition.has_id]
        elif isinstance(condition, models.FieldCondition):
            yield condition.key, _accepted_values(condition.match)
        else:
            raise InvalidInput(_BAD_FILTER)


def _accepted_values(match: object) -> list[Scalar]:
    if isinstance(match, models.MatchValue):
        return [match.value]
    if isinstance(match, models.MatchAny):
        return [*match.any]
    raise InvalidInput(_BAD_FILTER)


def _to_list(conditions: object) -> list[Any]:
    if conditions is None:
        return []
    return cast("list[Any]", conditions) if isinstance(conditions, list) else [conditions]


def _check_options(*options: object) -> None:
    if any(option is not None for option in options):
        raise InvalidInput("A vector store of Ibid takes neither search parameters nor shard keys.")


def _refuse_write(texts: list[str]) -> Never:  # noqa: ARG001
    raise InvalidInput(_READ_ONLY)


_INFO = models.CollectionInfo.model_construct(
    config=models.CollectionConfig.model_construct(
        params=models.CollectionParams.model_construct(
            vectors={DENSE: models.VectorParams.model_construct()},
            sparse_vectors={SPARSE: models.SparseVectorParams()},
        )
    )
)
"""The part of a collection's description that the store reads."""
