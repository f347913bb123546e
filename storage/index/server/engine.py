"""The engine on a Qdrant server or in Qdrant Cloud. Importing `qdrant_client` takes a second."""
# ruff: noqa: D102 - the methods are documented in `IndexEngine`

import asyncio
import warnings
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from qdrant_client import AsyncQdrantClient, models

from storage.index.engine import (
    DENSE,
    MAX_CANDIDATES,
    SPARSE,
    Change,
    Filter,
    Hit,
    IndexEngine,
    Point,
    Query,
    Record,
    Schema,
)
from storage.index.fusion import fuse
from storage.index.passages import FILTER_FIELDS
from storage.index.server import conversions
from storage.index.server.qdrant_url import IN_MEMORY
from storage.service_urls import host_and_port

_TIMEOUT = 30
"""Timeout of a request, in seconds."""
_POINTS_PER_WRITE, _POINTS_PER_READ = 128, 512
"""Points per request, for writing and for reading."""
_POLL = 0.5


@asynccontextmanager
async def open_server(url: str, api_key: str | None = None) -> AsyncGenerator[IndexEngine]:
    """Open the engine at `url`; it does not connect before the first call."""
    if url == IN_MEMORY:
        engine = ServerEngine(AsyncQdrantClient(IN_MEMORY), "memory", in_memory=True)
    else:
        engine = ServerEngine(_client(url, api_key), host_and_port(url))
    try:
        yield engine
    finally:
        await engine.close()


async def check_strict_mode(url: str, api_key: str | None, collection: str) -> list[str]:
    """Return a message for each feature of Ibid's queries that strict mode forbids; usually there is none."""
    client = _client(url, api_key)
    try:
        with conversions.translate_errors(host_and_port(url), collection):
            info = await client.get_collection(collection)
            return conversions.strict_mode_problems(info, FILTER_FIELDS, MAX_CANDIDATES)
    finally:
        await client.close()


def _client(url: str, api_key: str | None) -> AsyncQdrantClient:
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        # The client warns about a key without TLS, which is usual on one machine or a private network.
        return AsyncQdrantClient(
            url=url, api_key=api_key, timeout=_TIMEOUT, check_compatibility=False
        )


class ServerEngine(IndexEngine):
    """An engine without local state: any number of processes may use one server.

    A client that is `in_memory` supports neither payload indexes nor search parameters, and warns
    about both.
    """

    def __init__(self, client: AsyncQdrantClient, place: str, *, in_memory: bool = False) -> None:
        self._client = client
        self._in_memory = in_memory
        self._translate_errors = partial(conversions.translate_errors, place)

    async def create(self, collection: str, schema: Schema) -> None:
        with self._translate_errors(collection):
            if not await self._client.collection_exists(collection):
                await self._client.create_collection(
                    collection,
                    vectors_config={DENSE: conversions.dense_params(schema)},
                    sparse_vectors_config={
                        SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)
                    },
                )
            if not self._in_memory:
                for name, kind in conversions.field_indexes(schema).items():
                    await self._client.create_payload_index(collection, name, field_schema=kind)

    async def drop(self, collection: str) -> None:
        with self._translate_errors(collection):
            await self._client.delete_collection(collection)

    async def collections(self) -> list[str]:
        with self._translate_errors():
            found = await self._client.get_collections()
            return sorted(description.name for description in found.collections)

    async def aliases(self) -> dict[str, str]:
        with self._translate_errors():
            found = await self._client.get_aliases()
            return {pair.alias_name: pair.collection_name for pair in found.aliases}

    async def set_alias(self, alias: str, collection: str) -> None:
        creation = models.CreateAlias(alias_name=alias, collection_name=collection)
        with self._translate_errors(collection):
            await self._client.update_collection_aliases(
                [
                    models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias)),
                    models.CreateAliasOperation(create_alias=creation),
                ]
            )

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        with self._translate_errors(collection):
            for start in range(0, len(points), _POINTS_PER_WRITE):
                batch = [
                    conversions.to_point(point)
                    for point in points[start : start + _POINTS_PER_WRITE]
                ]
                await self._client.upsert(collection, batch, wait=True)

    async def apply(self, collection: str, changes: Sequence[Change]) -> None:
        operations = [conversions.to_operation(change) for change in changes]
        with self._translate_errors(collection):
            await self._client.batch_update_points(collection, operations, wait=True)

    async def search(self, collection: str, query: Query) -> list[Hit]:
        requests = conversions.to_requests(query, None if self._in_memory else conversions.RESCORED)
        with self._translate_errors(collection):
            answers = await self._client.query_batch_points(collection, list(requests.values()))
        found = {name: answer.points for name, answer in zip(requests, answers, strict=True)}
        rankings = {
            name: [(str(point.id), point.score) for point in points]
            for name, points in found.items()
        }
        payloads = {
            str(point.id): point.payload or {} for points in found.values() for point in points
        }
        fused = fuse(
            rankings.get(DENSE),
            rankings.get(SPARSE),
            dense_weight=query.dense_weight,
            sparse_weight=query.sparse_weight,
            depth=max(query.depth, query.limit),
            limit=query.limit,
        )
        return [Hit(hit.id, hit.score, payloads[hit.id], hit.similarity, hit.bm25) for hit in fused]

    async def retrieve(self, collection: str, ids: Sequence[str]) -> list[Record]:
        with self._translate_errors(collection):
            found = await self._client.retrieve(collection, list(ids))
        records = {str(record.id): conversions.to_record(record) for record in found}
        return [records[key] for key in ids if key in records]

    async def scan(
        self, collection: str, where: Filter, *, vectors: bool = False, limit: int | None = None
    ) -> list[Record]:
        found: list[Record] = []
        start: str | None = None
        while True:
            with self._translate_errors(collection):
                page, following = await self._client.scroll(
                    collection,
                    scroll_filter=conversions.to_filter(where),
                    limit=limit or _POINTS_PER_READ,
                    offset=start,
                    with_vectors=[DENSE] if vectors else False,
                )
            found += map(conversions.to_record, page)
            if following is None or limit:
                return found
            start = str(following)

    async def count(self, collection: str, where: Filter) -> int:
        with self._translate_errors(collection):
            return (
                await self._client.count(collection, conversions.to_filter(where), exact=True)
            ).count

    async def is_slow(self, collection: str) -> bool:  # noqa: ARG002
        """Return False: the server optimises by itself."""
        return False

    async def optimize(self, collection: str) -> None:
        """Wait until the server has optimised the collection, which it does by itself."""
        yellow = models.CollectionStatus.YELLOW
        while await self._status(collection) is yellow:  # noqa: ASYNC110 - Qdrant sends no event
            await asyncio.sleep(_POLL)

    async def close(self) -> None:
        await self._client.close()

    async def _status(self, collection: str) -> models.CollectionStatus:
        with self._translate_errors(collection):
            return (await self._client.get_collection(collection)).status
