"""The indexes of all releases. The engine's alias decides which one serves; SQL is updated to match."""

import math
import time
from collections.abc import Collection
from contextlib import suppress
from uuid import UUID

from storage.domain import Fingerprint
from storage.errors import NotFound
from storage.index.engine import IndexEngine
from storage.index.passages import EmbeddingFactory, PassageIndex
from storage.sql.database import Database
from storage.sql.repositories.releases import Releases
from storage.sql.tables import Release

ALIAS = "ibid"
"""The alias of the release that serves, for Ibid and for other programs that read the engine."""
_ALIAS_CACHE_SECONDS = 1.0
"""Seconds before the alias is read again; after a switch, the old release is kept much longer."""


class Indexes:
    """The indexes of all releases: finds and switches the one that serves, and removes sources from all."""

    def __init__(
        self, database: Database, engine: IndexEngine, embeddings: EmbeddingFactory
    ) -> None:
        self.engine = engine
        self._database = database
        self._embeddings = embeddings
        self._index: PassageIndex | None = None
        self._checked_at = 0.0

    async def serving(self) -> PassageIndex:
        """Return the index to search; raise `NotFound` if there is none.

        A switch by another process takes effect within a second.
        """
        if self._index is None or time.monotonic() - self._checked_at > _ALIAS_CACHE_SECONDS:
            await self.find()
        if self._index is None:
            raise NotFound("index", ALIAS, "Run `ibid ingest` to create one.")
        return self._index

    def pinned(self, index: PassageIndex) -> "Indexes":
        """Return a copy for which `index` always serves, to test a release before it serves."""
        pinned = Indexes(self._database, self.engine, self._embeddings)
        pinned._index, pinned._checked_at = index, math.inf
        return pinned

    async def find(self) -> PassageIndex | None:
        """Return the index that serves now, or None if nothing was ingested into this database yet."""
        collection = (await self.engine.aliases()).get(ALIAS)
        self._checked_at = time.monotonic()
        if self._index is None or self._index.collection != collection:
            self._index = await self._open_index(collection) if collection else None
        return self._index

    async def create(self, fingerprint: Fingerprint) -> PassageIndex:
        """Create an empty release that does not serve yet."""
        release = Release(collection=await self._unused_name(), fingerprint=fingerprint)
        index = self.index_of(release)
        async with self._database.transaction() as session:
            Releases(session).add(release)
        await index.create()
        return index

    async def switch_to(self, index: PassageIndex) -> None:
        """Make `index` serve, in one atomic operation, and then update SQL."""
        await self.engine.set_alias(ALIAS, index.collection)
        self._index, self._checked_at = index, time.monotonic()
        await self.sync_with_alias()

    async def sync_with_alias(self) -> None:
        """Update SQL to match the alias; this also completes an interrupted switch."""
        index = await self.find()
        if index is not None:
            async with self._database.transaction() as session:
                await Releases(session).serve(index.collection)

    async def drop(self, collection: str) -> None:
        """Drop a release that does not serve, with all its passages."""
        await self.engine.drop(collection)
        async with self._database.transaction() as session:
            await Releases(session).remove(collection)

    async def remove(self, source_ids: Collection[UUID]) -> None:
        """Remove sources from every release, so that a rollback does not bring them back."""
        for index in await self._all():
            with suppress(NotFound):
                await index.remove(source_ids)
        async with self._database.transaction() as session:
            await Releases(session).remove_entries(source_ids)

    async def remove_corpus(self, corpus: str) -> None:
        """Remove all passages of a corpus from every release."""
        for index in await self._all():
            with suppress(NotFound):
                await index.remove_corpus(corpus)

    def index_of(self, release: Release) -> PassageIndex:
        """Return the index of any release."""
        return PassageIndex(self.engine, release.collection, release.fingerprint, self._embeddings)

    async def _all(self) -> list[PassageIndex]:
        async with self._database.read_transaction() as session:
            return [self.index_of(release) for release in await Releases(session).all()]

    async def _open_index(self, collection: str) -> PassageIndex | None:
        """Return None for a collection that is not in this database: it was made with another database."""
        async with self._database.read_transaction() as session:
            release = await Releases(session).find(collection)
        return None if release is None else self.index_of(release)

    async def _unused_name(self) -> str:
        names = {*(index.collection for index in await self._all())}
        names.update(await self.engine.collections())
        numbers = [name.removeprefix(f"{ALIAS}-") for name in names]
        last = max((int(number) for number in numbers if number.isdecimal()), default=0)
        return f"{ALIAS}-{last + 1}"
