"""Queries about releases and their manifests."""

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.domain import Principal, SourceVersion
from storage.sql.repositories.access import is_visible_to
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Corpus, ManifestEntry, Release, Source

_MAX_PARAMETERS = 10_000
"""The maximum in one statement; SQLite and Postgres both accept about thirty thousand."""


class Releases:
    """The built indexes, and the manifests of releases that do not serve."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> list[Release]:
        """Return all releases, oldest first."""
        return list(await self._session.exec(select(Release).order_by(col(Release.created_at))))

    async def kept(self) -> list[Release]:
        """Return the releases that are kept for a rollback, oldest first."""
        return [release for release in await self.all() if release.state == "kept"]

    async def find(self, collection: str) -> Release | None:
        """Return the release with this name, or None."""
        return await self._session.get(Release, collection)

    def add(self, release: Release) -> None:
        """Add a new release to the session."""
        self._session.add(release)

    async def remove(self, collection: str) -> None:
        """Remove a release and its manifest; do nothing if it does not exist."""
        await self._session.exec(delete(Release).where(col(Release.collection) == collection))

    async def serve(self, collection: str) -> None:
        """Make a release the serving one: copy its manifest to the sources.

        What the sources held before becomes the manifest of the previous release.
        """
        releases = {release.collection: release for release in await self.all()}
        before = [r for r in releases.values() if r.state == "serving"]
        if before == [releases[collection]]:
            return
        sources = await Sources(self._session).all_live()
        for release in before:
            if release.collection != collection:
                release.state = "kept"
                self._write(release.collection, {s.id: s.to_version() for s in sources})
        manifest = await self.manifest(collection)
        for source in sources:
            if source.id in manifest:
                source.apply_version(manifest[source.id])
            else:  # the next ingestion finds it changed and adds it
                source.digest = None
        await self._session.exec(
            delete(ManifestEntry).where(col(ManifestEntry.collection) == collection)
        )
        releases[collection].state = "serving"

    async def manifest(self, collection: str) -> dict[UUID, SourceVersion]:
        """Return the manifest of a release that does not serve."""
        statement = select(ManifestEntry).where(col(ManifestEntry.collection) == collection)
        return {line.source_id: line.held for line in await self._session.exec(statement)}

    async def visible_manifest(self, reader: Principal, collection: str) -> list[SourceVersion]:
        """Return the part of such a manifest in corpora that the reader may see."""
        statement = (
            select(ManifestEntry)
            .join(Source, col(Source.id) == col(ManifestEntry.source_id))
            .join(Corpus, col(Corpus.name) == col(Source.corpus))
            .where(col(ManifestEntry.collection) == collection, is_visible_to(reader))
        )
        return [line.held for line in await self._session.exec(statement)]

    async def add_entries(self, collection: str, versions: Mapping[UUID, SourceVersion]) -> None:
        """Write versions into a release's manifest; existing entries of the same sources are replaced."""
        await self.remove_entries(versions, collection)
        self._write(collection, versions)

    async def remove_entries(
        self, source_ids: Collection[UUID], collection: str | None = None
    ) -> None:
        """Remove sources from the manifest of one release, or of all releases."""
        ids = list(source_ids)
        for start in range(0, len(ids), _MAX_PARAMETERS):
            some = col(ManifestEntry.source_id).in_(ids[start : start + _MAX_PARAMETERS])
            statement = delete(ManifestEntry).where(some)
            if collection is not None:
                statement = statement.where(col(ManifestEntry.collection) == collection)
            await self._session.exec(statement)

    def _write(self, collection: str, versions: Mapping[UUID, SourceVersion]) -> None:
        self._session.add_all(
            ManifestEntry(collection=collection, source_id=key, version=held.version, held=held)
            for key, held in versions.items()
        )
