"""The client of the embedded engine, which runs in a separate process and listens on loopback."""
# ruff: noqa: D102 - the methods are documented in `IndexEngine`

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import NoneType
from typing import TypeVar

from storage.errors import IndexUnavailable
from storage.index.embedded import messages
from storage.index.embedded.connection import EngineConnection, EngineConnectionLost, connect
from storage.index.engine import (
    Change,
    Filter,
    Hit,
    IndexEngine,
    Point,
    Query,
    Record,
    Scalar,
    Schema,
)

_POINTS_PER_WRITE = 128
"""Points per call; all other calls wait while it runs, for about 20 ms."""
_POINTS_PER_READ = 512

T = TypeVar("T")
S = TypeVar("S")


@asynccontextmanager
async def open_embedded(folder: Path) -> AsyncGenerator[IndexEngine]:
    """Open the index in `folder`, and create it if needed; any number of processes may open it at once."""
    client = EngineClient(folder)
    try:
        await client.connect()
        yield client
    finally:
        await client.close()


class EngineClient(IndexEngine):
    """A client of an engine process that clients share; if the process dies, a call restarts it, once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._connection: EngineConnection | None = None
        self._connecting = asyncio.Lock()
        self._closed = False

    async def connect(self) -> EngineConnection:
        """Return the current connection, or a new one if it was lost; raise `IndexUnavailable` on failure."""
        async with self._connecting:
            if self._closed:
                raise IndexUnavailable(f"The index in {self._folder} has been closed.")
            if self._connection is None or self._connection.is_lost:
                self._connection = await connect(self._folder)
            return self._connection

    async def create(self, collection: str, schema: Schema) -> None:
        await self._call(messages.Create(collection, schema), NoneType)

    async def drop(self, collection: str) -> None:
        await self._call(messages.Drop(collection), NoneType)

    async def collections(self) -> list[str]:
        return await self._call(messages.Collections(), list[str])

    async def aliases(self) -> dict[str, str]:
        return await self._call(messages.Aliases(), dict[str, str])

    async def set_alias(self, alias: str, collection: str) -> None:
        await self._call(messages.PointAlias(alias, collection), NoneType)

    async def upsert(self, collection: str, points: Sequence[Point]) -> None:
        for some in _batches(points, _POINTS_PER_WRITE):
            await self._call(messages.Upsert(collection, some), NoneType)

    async def apply(self, collection: str, changes: Sequence[Change]) -> None:
        await self._call(messages.Apply(collection, list(changes)), NoneType)

    async def search(self, collection: str, query: Query) -> list[Hit]:
        return await self._call(messages.SearchCall(collection, query), list[Hit])

    async def retrieve(self, collection: str, ids: Sequence[str]) -> list[Record]:
        found: list[Record] = []
        for some in _batches(ids, _POINTS_PER_READ):
            found += await self._call(messages.Retrieve(collection, some), list[Record])
        return found

    async def scan(
        self, collection: str, where: Filter, *, vectors: bool = False, limit: int | None = None
    ) -> list[Record]:
        found: list[Record] = []
        start: str | None = None
        while True:
            call = messages.Scan(
                collection, _to_lists(where), vectors, start, limit or _POINTS_PER_READ
            )
            page, start = await self._call(call, tuple[list[Record], str | None])
            found += page
            if start is None or limit:
                return found

    async def count(self, collection: str, where: Filter) -> int:
        return await self._call(messages.Count(collection, _to_lists(where)), int)

    async def is_slow(self, collection: str) -> bool:
        return await self._call(messages.IsSlow(collection), bool)

    async def optimize(self, collection: str) -> None:
        await self._call(messages.Optimize(collection), NoneType)

    async def close(self) -> None:
        async with self._connecting:
            self._closed = True
            if self._connection is not None:
                await self._connection.close()

    async def _call(self, call: messages.EngineCall, answer: type[T]) -> T:
        """Call the process; if the connection is lost, retry once on a new one: calls are idempotent."""
        try:
            return await (await self.connect()).call(call, answer)
        except EngineConnectionLost:
            return await (await self.connect()).call(call, answer)


def _batches(items: Sequence[S], size: int) -> Iterator[list[S]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _to_lists(where: Filter) -> dict[str, list[Scalar]]:
    return {name: list(values) for name, values in where.items()}
