"""The ingestion of files into live passages. Only changed files are read, embedded and replaced."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pipelines.corpora import corpus_lock_name, new_corpus, validate_base_url
from pipelines.ingestion.diff import (
    SourceChange,
    SourceComparison,
    SourceFailure,
    compare,
    unsupported_failures,
)
from pipelines.ingestion.discovery import (
    DiscoveredFile,
    Selection,
    UploadedFile,
    assign_roots,
    find_files,
)
from pipelines.ingestion.writer import Calibrate, PassageWriter, write_changes
from storage.domain import Fingerprint, Value
from storage.errors import IbidError, NotFound, Vanished
from storage.index.passages import PassageIndex
from storage.index.releases import ALIAS, Indexes
from storage.locks import Locks
from storage.logs import log_failure
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Corpus, Source, SourceText

_log = logging.getLogger("ibid.ingestion")

Progress = Callable[[int, int], None]
"""Called with the number of finished sources and the total."""

AdmissionCheck = Callable[[Sequence[SourceChange]], Awaitable[list[SourceFailure]]]
"""Called with the changes before they are written; returns the unreadable ones, or raises to refuse all."""

_CREATE_INDEX_LOCK = "making the index"
"""The lock for creating the first index."""

Phase = Literal["waiting", "optimizing"]
"""A step other than ingesting: waiting for another ingestion, or optimizing the index for searches."""


class IngestionReport(Value):
    """The result of an ingestion in numbers of sources; `passages` is the number of passages written."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[SourceFailure, ...] = ()
    passages: int = 0
    seconds: float = 0.0


class Ingestion:
    """Synchronizes a corpus with its folders.

    The new version of a source is first staged, where searches do not see it. Then it replaces the live
    version in one operation, and then it is recorded. So searches find a complete version even if the
    process stops at any point, and the next run continues.
    """

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        configured: Fingerprint,
        locks: Locks,
        calibrate: Calibrate | None = None,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._locks = locks
        self._calibrate = calibrate
        self._configured = configured
        """The fingerprint of the first release; only `ReleaseService` builds later ones."""

    async def run(
        self,
        paths: Sequence[Path | UploadedFile],
        corpus_name: str = "default",
        *,
        base_url: str | None = None,
        prune_empty: bool = False,
        progress: Progress | None = None,
        on_phase: Callable[[Phase], None] | None = None,
        admit: AdmissionCheck | None = None,
    ) -> IngestionReport:
        """Ingest files and folders; raise `InvalidInput` before anything is changed.

        Remove sources that were ingested from one of the folders and are no longer in it.
        Ingestions of one corpus run one at a time, also across processes. `on_phase` is called when this
        one has to wait, and when it optimizes the index after a large write. `admit` may refuse the
        changes before any of them is written. Raise `Vanished` if the corpus is deleted meanwhile.
        """
        started = time.perf_counter()
        selections = await asyncio.to_thread(find_files, paths, allow_empty=prune_empty)
        on_phase = on_phase or _ignore_phase
        async with self._locks.hold(corpus_lock_name(corpus_name), partial(on_phase, "waiting")):
            corpus = await self._get_or_create_corpus(corpus_name, base_url)
            try:
                comparison, removed = await self._ingest(selections, corpus, progress, admit)
                await self._require_corpus(corpus_name)
            except Vanished as error:
                # Passages written after the deletion would reappear in a new corpus of the same name.
                await self._indexes.remove_corpus(corpus_name)
                raise Vanished(
                    f"The corpus {corpus_name!r} was deleted during the ingestion. "
                    "Nothing was kept."
                ) from error
        await self._optimize(on_phase)
        report = _build_report(comparison, removed, time.perf_counter() - started)
        _log.info("ingested", extra={"corpus": corpus.name, **_counts(report)})
        return report

    async def _ingest(
        self,
        selections: Sequence[Selection],
        corpus: Corpus,
        progress: Progress | None,
        admit: AdmissionCheck | None,
    ) -> tuple[SourceComparison, int]:
        writer = PassageWriter(await self._get_or_create_index())
        known = await self._recover_sources(corpus, writer.index)
        found = assign_roots(selections, {s.root for s in known.values() if s.root})
        comparison = await asyncio.to_thread(compare, found, known, corpus)
        comparison.failed += unsupported_failures(
            path for selection in selections for path in selection.unread
        )
        if admit:
            comparison.move_to_failed(await admit(comparison.changes))
        changing = {change.source.id for change in comparison.changes}
        await self._discard_staged(
            [s for s in known.values() if s.id not in changing], writer.index
        )
        await self._replace(corpus, comparison, writer, progress)
        await self._discard_staged([change.source for change in comparison.drafts], writer.index)
        drafts = {change.file.location for change in comparison.drafts}
        found = [file for file in found if file.location not in drafts]
        removed = await self._prune(selections, found, known)
        if self._calibrate:
            await self._calibrate(corpus.name, writer.index)
        return comparison, removed

    async def _optimize(self, on_phase: Callable[[Phase], None]) -> None:
        """Optimize the index if it is slow. A failure is only logged: the next run tries again."""
        engine = self._indexes.engine
        try:
            if await engine.is_slow(ALIAS):
                on_phase("optimizing")
                await engine.optimize(ALIAS)
        except IbidError as error:
            log_failure(_log, "not_optimized", error, {})

    async def _get_or_create_corpus(self, name: str, base_url: str | None) -> Corpus:
        """Return the corpus, created if it does not exist; replace its base URL if one is given."""
        async with self._database.transaction() as session:
            corpora = Corpora(session)
            corpus = await corpora.find(name)
            if corpus is None:
                corpus = new_corpus(name, base_url)
                await corpora.add(corpus)
            elif base_url is not None:
                corpus.base_url = validate_base_url(base_url)
            return corpus

    async def _require_corpus(self, name: str) -> None:
        async with self._database.read_transaction() as session:
            if await Corpora(session).find(name) is None:
                raise Vanished(name)

    async def _get_or_create_index(self) -> PassageIndex:
        """Return the serving index, or create one if there is none or its collection is lost.

        The digests of all sources are cleared then, so that they are ingested again. Raise
        `IndexDamaged` even if there is nothing to write, so that the error appears before a search.
        """
        if index := await self._find_serving_index():
            return index
        # Two concurrent first ingestions must not create an index each: one would never be served.
        async with self._locks.hold(_CREATE_INDEX_LOCK):
            return await self._find_serving_index() or await self._create_index()

    async def _find_serving_index(self) -> PassageIndex | None:
        """Return the serving index if its collection exists."""
        index = await self._indexes.find()
        with suppress(NotFound):
            if index is not None:
                await index.count()
                return index
        return None

    async def _create_index(self) -> PassageIndex:
        lost = await self._indexes.find()
        async with self._database.transaction() as session:
            await Sources(session).forget_digests()
        index = await self._indexes.create(self._configured)
        await self._indexes.switch_to(index)
        if lost is not None:
            await self._indexes.drop(lost.collection)
        return index

    async def _recover_sources(self, corpus: Corpus, index: PassageIndex) -> dict[str, Source]:
        """Return all sources by location, after publishing versions that an earlier run staged completely."""
        await self._indexes.sync_with_alias()
        async with self._database.read_transaction() as session:
            sources = {
                source.location: source for source in await Sources(session).of_corpus(corpus.name)
            }
        finished: list[Source] = []
        for source in sources.values():
            staged = source.staged
            if staged and await index.count_version(source.id, staged.version) == staged.passages:
                await index.publish([(source.id, staged.version)])
                source.publish(staged)
                finished.append(source)
        await self._record(finished)
        return sources

    async def _discard_staged(self, sources: Sequence[Source], index: PassageIndex) -> None:
        """Remove the staged versions of sources that have no change.

        Those of changed sources are kept until the change is written, so that their vectors are reused.
        """
        undone = [source for source in sources if source.staged]
        for source in undone:
            if source.staged:
                await index.discard(source.id, source.staged.version)
            source.staged = None
        await self._record(undone)

    async def _replace(
        self,
        corpus: Corpus,
        comparison: SourceComparison,
        writer: PassageWriter,
        progress: Progress | None,
    ) -> None:
        done, changes = 0, comparison.changes
        writing = write_changes(self._database, writer, corpus, changes, self._publish)
        async with aclosing(writing) as replaced:
            async for batch, failed in replaced:
                comparison.failed += failed
                done += len(batch)
                if progress:
                    progress(done, len(changes))

    async def _publish(
        self, corpus: Corpus, changes: Sequence[SourceChange], writer: PassageWriter
    ) -> None:
        """Record the versions as staged, stage and publish their passages, then record them as live."""
        versions = [change.to_version(corpus) for change in changes]
        sources = [change.source for change in changes]
        for source, version in zip(sources, versions, strict=True):
            source.staged = version
        await self._record(sources, [change.source_text(corpus) for change in changes])
        await writer.write(corpus, changes)
        for source, version in zip(sources, versions, strict=True):
            source.publish(version)
        await self._record(sources)

    async def _record(self, sources: Sequence[Source], texts: Sequence[SourceText] = ()) -> None:
        async with self._database.transaction() as session:
            await Sources(session).save(sources, texts)

    async def _prune(
        self,
        selections: Sequence[Selection],
        found: Sequence[DiscoveredFile],
        known: dict[str, Source],
    ) -> int:
        """Remove sources that were ingested from these folders and are no longer in them; return how many."""
        roots = {selection.root.as_posix() for selection in selections if selection.root}
        locations = {file.location for file in found}
        gone = [
            source
            for source in known.values()
            if source.is_live and source.root in roots and source.location not in locations
        ]
        if gone:
            await self._indexes.remove([source.id for source in gone])
            for source in gone:
                source.remove()
            await self._record(gone)
        async with self._database.transaction() as session:
            await Sources(session).prune_texts()
        return len(gone)


def _ignore_phase(_: Phase) -> None:
    pass


def _build_report(comparison: SourceComparison, removed: int, seconds: float) -> IngestionReport:
    done = [change for change in comparison.changes if change.source.digest == change.digest]
    return IngestionReport(
        added=sum(change.is_new for change in done),
        changed=sum(not change.is_new for change in done),
        unchanged=comparison.unchanged,
        removed=removed,
        failed=tuple(comparison.failed),
        passages=sum(len(change.passages) for change in done),
        seconds=round(seconds, 3),
    )


def _counts(report: IngestionReport) -> dict[str, Any]:
    return report.model_dump(exclude={"failed"}) | {"failed": len(report.failed)}
