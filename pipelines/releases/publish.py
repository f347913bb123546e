"""Switch to a release: synchronize it while all corpora are locked, count its passages, and activate it."""

import logging
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from pipelines.corpora import corpus_lock_name
from pipelines.ingestion.writer import Calibrate
from pipelines.releases.build import ReleaseBuilder
from storage.domain import SourceVersion, Value
from storage.errors import IndexDamaged
from storage.index.passages import PassageIndex
from storage.index.releases import Indexes
from storage.locks import Locks
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.releases import Releases
from storage.sql.repositories.sources import Sources

_log = logging.getLogger("ibid.releases")


class ReindexResult(Value):
    """The result of a switch: the release that serves now and the one that served before."""

    release: str
    before: str
    sources: int
    passages: int
    seconds: float


class ReleasePublisher:
    """Switches from one release to another and drops the oldest of those that are kept."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        locks: Locks,
        builder: ReleaseBuilder,
        *,
        kept: int,
        calibrate: Calibrate | None = None,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._locks = locks
        self._builder = builder
        self._kept = kept
        self._calibrate = calibrate

    async def publish(
        self, target: PassageIndex, serving: PassageIndex, started: float
    ) -> ReindexResult:
        """Synchronize the release while no corpus can change, and switch to it.

        `started` is the time at which the work began, by `time.perf_counter`. Raise `IndexDamaged` if
        the number of passages is wrong.
        """
        async with AsyncExitStack() as corpus_locks:
            locked: set[str] = set()
            while unlocked := [name for name in await self._corpora() if name not in locked]:
                for name in unlocked:
                    await corpus_locks.enter_async_context(self._locks.hold(corpus_lock_name(name)))
                locked.update(unlocked)
                await self._builder.synchronize(target, serving)
                await self._measure(unlocked, target)
            versions = await self._verify(target)
            await self._indexes.switch_to(target)
        await self._drop_oldest()
        passages = sum(version.passages for version in versions)
        built = ReindexResult(
            release=target.collection,
            before=serving.collection,
            sources=len(versions),
            passages=passages,
            seconds=round(time.perf_counter() - started, 3),
        )
        _log.info("release_built", extra=dict(built))
        return built

    async def _measure(self, corpora: Sequence[str], target: PassageIndex) -> None:
        if self._calibrate:
            for name in corpora:
                await self._calibrate(name, target)

    async def _verify(self, target: PassageIndex) -> list[SourceVersion]:
        """Return the manifest of the release.

        Raise `IndexDamaged` if the number of passages in the index differs from the manifest.
        """
        async with self._database.read_transaction() as session:
            versions = [*(await Releases(session).manifest(target.collection)).values()]
        written, found = sum(version.passages for version in versions), await target.count()
        if found != written:
            raise IndexDamaged(
                f"The release {target.collection} has {found} passages where {written} were "
                "written, so it was not published. Run `ibid reindex` to build another release."
            )
        return versions

    async def _corpora(self) -> list[str]:
        async with self._database.read_transaction() as session:
            return [corpus.name for corpus in await Corpora(session).all()]

    async def _drop_oldest(self) -> None:
        async with self._database.read_transaction() as session:
            kept = await Releases(session).kept()
        for release in kept[: max(len(kept) - self._kept + 1, 0)]:
            await self._indexes.drop(release.collection)
        async with self._database.transaction() as session:
            await Sources(session).prune_texts()
