"""Files in, live passages out: only what changed is read, embedded and replaced."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import Document

from pipelines.changes import Change, Comparison, Failure, batches, compare, read_all
from pipelines.corpora import checked_base_url, new_corpus
from pipelines.discovery import Found, Selection, Upload, place, select
from pipelines.nodes import EmbedNew, SectionSplitter
from pipelines.reading.workers import ReaderPool
from storage.database import Database
from storage.domain import Value
from storage.errors import NotFound
from storage.index.passages import Content, PassageIndex
from storage.repositories import Corpora, Releases, Sources
from storage.tables import Corpus, Release, Source, SourceText

_log = logging.getLogger("ibid.ingestion")

Progress = Callable[[int, int], None]
"""Called with how many sources are done, of how many."""


class Report(Value):
    """What an ingestion did, in sources; `passages` counts those written."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    failed: tuple[Failure, ...] = ()
    passages: int = 0
    seconds: float = 0.0


class Ingestion:
    """Keeps a corpus like the folders it is made from.

    A changed source's new version is staged unseen, made live while the old one goes, and only then
    recorded: whenever this stops, a search finds a whole version, and the next run goes on.
    """

    def __init__(self, database: Database, index: PassageIndex) -> None:
        self._database = database
        self._index = index
        self._pipeline = IngestionPipeline(
            transformations=[SectionSplitter(), EmbedNew(embedding=index.embedding)],
            disable_cache=True,
        )

    async def run(
        self,
        paths: Sequence[Path | Upload],
        corpus_name: str = "default",
        *,
        base_url: str | None = None,
        prune_empty: bool = False,
        progress: Progress | None = None,
    ) -> Report:
        """Ingest files and folders; raises `InvalidInput` before anything is changed.

        What has gone from a folder goes from the corpus, if it came from that same folder.
        """
        started = time.perf_counter()
        selections = await asyncio.to_thread(select, paths, allow_empty=prune_empty)
        corpus = await self._corpus(corpus_name, base_url)
        await self._prepare_index()
        known = await self._recovered(corpus)
        found = place(selections, {s.root for s in known.values() if s.root})
        comparison = await asyncio.to_thread(compare, found, known, corpus)
        found = [file for file in found if file.location not in comparison.drafts]
        await self._replace(corpus, comparison, progress)
        removed = await self._prune(selections, found, known)
        report = _report(comparison, removed, time.perf_counter() - started)
        _log.info("ingested corpus=%s %s", corpus.name, _counts(report))
        return report

    async def _corpus(self, name: str, base_url: str | None) -> Corpus:
        """Made when it is not there; a base URL given anew is taken over."""
        async with self._database.transaction() as session:
            corpora = Corpora(session)
            corpus = await corpora.find(name)
            if corpus is None:
                corpus = new_corpus(name, base_url)
                await corpora.add(corpus)
            elif base_url is not None:
                corpus.base_url = checked_base_url(base_url)
            return corpus

    async def _prepare_index(self) -> None:
        """There is an index to write to; one that was lost is filled again from the files.

        Raises `IndexDamaged`, also when there is nothing to write: better now than at a search.
        """
        with suppress(NotFound):
            await self._index.count()
            return
        collection = await self._index.create()
        async with self._database.transaction() as session:
            await Releases(session).save(
                Release(
                    collection=collection,
                    embedding=self._index.embedding.model_name,
                    dimension=self._index.dimension,
                )
            )
            await Sources(session).forget_digests()

    async def _recovered(self, corpus: Corpus) -> dict[str, Source]:
        """All sources by location, after finishing or undoing what an earlier run left half-done."""
        async with self._database.reading() as session:
            sources = {source.location: source for source in await Sources(session).of(corpus.name)}
        half_done = [source for source in sources.values() if source.staged is not None]
        for source in half_done:
            staged = source.staged
            assert staged is not None
            if await self._index.count(source_id=[str(source.id)], version=[staged.version]):
                await self._index.publish([(source.id, staged.version)])
                source.publish(staged)
            else:
                await self._index.discard(source.id, staged.version)
                source.staged = None
        if half_done:
            await self._record(half_done)
        return sources

    async def _replace(
        self, corpus: Corpus, comparison: Comparison, progress: Progress | None
    ) -> None:
        """While the engine's process writes one batch, the next is read and embedded."""
        done, total = 0, len(comparison.changes)
        writing: asyncio.Task[None] | None = None
        try:
            with ReaderPool() as readers:
                for batch in batches(comparison.changes):
                    comparison.failed += await asyncio.to_thread(read_all, batch, readers)
                    readable = [change for change in batch if change.reading]
                    await self._embed(corpus, readable)
                    if writing:
                        await writing
                    writing = asyncio.create_task(self._publish(corpus, readable))
                    done += len(batch)
                    if progress:
                        progress(done, total)
            if writing:
                await writing
        finally:
            if writing and not writing.done():
                writing.cancel()
                await asyncio.wait([writing])

    async def _embed(self, corpus: Corpus, changes: Sequence[Change]) -> None:
        """Split and embed; a passage that an earlier version has keeps its vector."""
        known: dict[Content, list[float]] = {}
        for change in changes:
            if not change.is_new:
                known |= await self._index.vectors(change.source.id)
        by_source = {str(change.source.id): change for change in changes}
        readings = {key: change.reading for key, change in by_source.items()}
        documents = [Document(id_=key, text=change.text) for key, change in by_source.items()]
        nodes = await self._pipeline.arun(documents=documents, readings=readings, known=known)
        for node in nodes:
            by_source[node.ref_doc_id or ""].take(node, corpus)

    async def _publish(self, corpus: Corpus, changes: Sequence[Change]) -> None:
        """Announce in SQL, stage unseen, go live in one operation, record in SQL."""
        for change in changes:
            change.source.staged = change.staged(corpus)
        await self._record([c.source for c in changes], [c.source_text() for c in changes])
        passages = [passage for change in changes for passage in change.passages]
        vectors = [vector for change in changes for vector in change.vectors]
        await self._index.stage(passages, vectors, corpus.language)
        await self._index.publish(
            (c.source.id, c.source.staged.version) for c in changes if c.source.staged
        )
        for change in changes:
            if change.source.staged:
                change.source.publish(change.source.staged)
            change.reading, change.vectors = None, []
        await self._record([change.source for change in changes])

    async def _record(self, sources: Sequence[Source], texts: Sequence[SourceText] = ()) -> None:
        async with self._database.transaction() as session:
            await Sources(session).save(sources, texts)

    async def _prune(
        self, selections: Sequence[Selection], found: Sequence[Found], known: dict[str, Source]
    ) -> int:
        """Remove what was ingested from one of these folders and is no longer there."""
        roots = {selection.root.as_posix() for selection in selections if selection.root}
        there = {file.location for file in found}
        gone = [
            source
            for source in known.values()
            if source.is_live and source.root in roots and source.location not in there
        ]
        if gone:
            await self._index.remove(source.id for source in gone)
            for source in gone:
                source.remove()
            await self._record(gone)
        async with self._database.transaction() as session:
            await Sources(session).prune_texts()
        return len(gone)


def _report(comparison: Comparison, removed: int, seconds: float) -> Report:
    done = [change for change in comparison.changes if change.source.digest == change.digest]
    return Report(
        added=sum(change.is_new for change in done),
        changed=sum(not change.is_new for change in done),
        unchanged=comparison.unchanged,
        removed=removed,
        failed=tuple(comparison.failed),
        passages=sum(len(change.passages) for change in done),
        seconds=round(seconds, 3),
    )


def _counts(report: Report) -> str:
    counts = report.model_dump(exclude={"failed"}) | {"failed": len(report.failed)}
    return " ".join(f"{name}={value}" for name, value in counts.items())
