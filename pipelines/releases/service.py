"""Reindexing: builds releases, switches to them, and lists them."""

import time
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from datetime import datetime

from pipelines.ingestion.writer import Calibrate
from pipelines.releases.build import Origin, Progress, ReleaseBuilder
from pipelines.releases.publish import ReindexResult, ReleasePublisher
from pipelines.releases.rollback import find_kept
from storage.blobs import Blobs
from storage.domain import LOCAL, Fingerprint, Principal, SourceVersion, Value
from storage.errors import NotFound
from storage.index.passages import PassageIndex
from storage.index.releases import Indexes
from storage.locks import Locks
from storage.sql.database import Database, Session
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.releases import Releases
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Release, Source

Gate = Callable[[PassageIndex, PassageIndex], Awaitable[None]]
"""A check that compares the new release with the serving one and may raise `ReleaseRefused`."""

_LOCK = "releases"
"""The lock for building a release or switching to one: only one process may do so at a time."""
_TEXTS_PER_CALL, _CHARACTERS_PER_TOKEN = 96, 4
"""Number of texts in one call to Cohere, and of characters per token (about four in English prose)."""


class ReleaseSummary(Value):
    """A release and the number of sources and passages in it."""

    name: str
    state: str
    fingerprint: Fingerprint
    sources: int
    passages: int
    created_at: datetime


class Proposal(Value):
    """The settings that differ from those of the serving release, and the maximum cost of a reindex."""

    changed: tuple[str, ...]
    sources: int
    passages: int
    calls: int
    tokens: int


class ReleaseService:
    """Builds releases and switches to them; the latest ones are kept for a rollback."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        configured: Fingerprint,
        locks: Locks,
        blobs: Blobs,
        *,
        kept: int,
        gate: Gate | None = None,
        calibrate: Calibrate | None = None,
        principal: Principal = LOCAL,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._configured = configured
        self._locks = locks
        self._gate = gate
        self._principal = principal
        self._builder = ReleaseBuilder(database, indexes, configured, blobs)
        self._publisher = ReleasePublisher(
            database, indexes, locks, self._builder, kept=kept, calibrate=calibrate
        )

    def acting_for(self, principal: Principal) -> "ReleaseService":
        """Return a copy for another principal, which counts only what that principal may see."""
        other = copy(self)
        other._principal = principal  # noqa: SLF001 - it is one of us
        return other

    async def releases(self) -> list[ReleaseSummary]:
        """Return all releases, newest first; count only sources of corpora that the principal may see."""
        await self._indexes.sync_with_alias()
        async with self._database.read_transaction() as session:
            releases, served = Releases(session), await self._served_sources(session)
            return [
                _summarize(
                    release,
                    [source.to_version() for source in served]
                    if release.state == "serving"
                    else await releases.visible_manifest(self._principal, release.collection),
                )
                for release in reversed(await releases.all())
            ]

    async def proposal(self) -> Proposal | None:
        """Return what a reindex would change and cost, or None if the serving release is up to date.

        Count only sources of corpora that the principal may see.
        """
        serving = await self._indexes.find()
        if serving is None or serving.fingerprint == self._configured:
            return None
        async with self._database.read_transaction() as session:
            served = await self._served_sources(session)
            characters = await Sources(session).characters({source.corpus for source in served})
        passages = sum(source.passages for source in served)
        return Proposal(
            changed=tuple(serving.fingerprint.differences(self._configured)),
            sources=len(served),
            passages=passages,
            calls=-(-passages // _TEXTS_PER_CALL),
            tokens=characters // _CHARACTERS_PER_TOKEN,
        )

    async def reindex(
        self, origin: Origin | None = None, progress: Progress | None = None
    ) -> ReindexResult:
        """Build a release with the configured settings, or resume an earlier build, and switch to it.

        Raise `ReleaseRefused` if the gate rejects it and `IndexDamaged` if the number of passages is
        wrong; the old release then continues to serve.
        """
        self._principal.require("admin")
        started = time.perf_counter()
        async with self._locks.hold(_LOCK):
            serving = await self._require_serving_index()
            target = await self._builder.build(serving, origin, progress)
            if self._gate:
                await self._gate(target, serving)
            return await self._publisher.publish(target, serving, started)

    async def rollback(self, name: str | None = None) -> ReindexResult:
        """Switch to a kept release, by default the latest, after synchronizing it with the serving one."""
        self._principal.require("admin")
        started = time.perf_counter()
        async with self._locks.hold(_LOCK):
            serving = await self._require_serving_index()
            target = await find_kept(self._database, self._indexes, name)
            return await self._publisher.publish(target, serving, started)

    async def _served_sources(self, session: Session) -> list[Source]:
        """Return the served sources of the corpora that the principal may see."""
        seen = {corpus.name for corpus in await Corpora(session, self._principal).all()}
        return [source for source in await Sources(session).all_live() if source.corpus in seen]

    async def _require_serving_index(self) -> PassageIndex:
        await self._indexes.sync_with_alias()
        index = await self._indexes.find()
        if index is None:
            raise NotFound("index", "ibid", "Run `ibid ingest` to create one.")
        return index


def _summarize(release: Release, versions: Sequence[SourceVersion]) -> ReleaseSummary:
    return ReleaseSummary(
        name=release.collection,
        state=release.state,
        fingerprint=release.fingerprint,
        sources=len(versions),
        passages=sum(version.passages for version in versions),
        created_at=release.created_at,
    )
