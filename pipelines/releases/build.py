"""Build a release while another one serves: read files again, or copy passages and embed them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from uuid import UUID

from pipelines.ingestion.diff import SourceChange, changes_to_reread
from pipelines.ingestion.transformations import text_to_embed
from pipelines.ingestion.writer import PassageWriter, write_changes
from pipelines.uploads.upload_job import fetch_originals
from storage.blobs import Blobs
from storage.domain import Fingerprint, Passage, SourceVersion
from storage.index.passages import PassageIndex
from storage.index.releases import Indexes
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.releases import Releases
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Corpus, Source, SourceText

Origin = Literal["sources", "passages"]
"""What a release is built from: the files, which are read again, or the passages of the serving release."""
Progress = Callable[[int, int], None]

_BATCH = 256
"""Number of passages that are copied in one batch."""


class ReleaseBuilder:
    """Builds releases with the configured settings, and synchronizes them with the one that serves."""

    def __init__(
        self, database: Database, indexes: Indexes, configured: Fingerprint, blobs: Blobs
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._configured = configured
        self._blobs = blobs

    async def build(
        self, serving: PassageIndex, origin: Origin | None, progress: Progress | None
    ) -> PassageIndex:
        """Build a release, or resume an earlier build.

        By default read the files again only if the reader or the splitter has changed.
        """
        target = await self._resume_or_create()
        if (origin or self._origin(serving)) == "sources":
            await self._reread_sources(target, serving, progress)
        await self.synchronize(target, serving, progress)
        await self._indexes.engine.optimize(target.collection)
        return target

    async def synchronize(
        self, target: PassageIndex, serving: PassageIndex, progress: Progress | None = None
    ) -> None:
        """Copy served sources that the release lacks or has in another version; remove deleted ones."""
        await self._remove_deleted(target)
        done, total = 0, len(await self._missing_sources(target))
        for corpus, sources in await self._missing_by_corpus(target):
            for batch in _batch_sources(sources):
                await self._copy(corpus, batch, target, serving)
                done += len(batch)
                if progress:
                    progress(done, total)

    async def _resume_or_create(self) -> PassageIndex:
        """Return the unfinished release of an earlier run, or create a new one.

        Drop unfinished releases that have other settings or no collection.
        """
        collections = await self._indexes.engine.collections()
        target: PassageIndex | None = None
        async with self._database.read_transaction() as session:
            releases = await Releases(session).all()
        for release in releases:
            if release.state != "building":
                continue
            if release.fingerprint == self._configured and release.collection in collections:
                target = self._indexes.index_of(release)
            else:
                await self._indexes.drop(release.collection)
        return target or await self._indexes.create(self._configured)

    def _origin(self, serving: PassageIndex) -> Origin:
        changed = serving.fingerprint.differences(self._configured)
        return "sources" if {"reader", "splitter"} & {*changed} else "passages"

    async def _reread_sources(
        self, target: PassageIndex, serving: PassageIndex, progress: Progress | None
    ) -> None:
        """Read the sources whose files are unchanged again; the others are copied afterwards.

        Fetch uploaded files to a temporary folder, one corpus at a time.
        """
        done, total = 0, len(await self._missing_sources(target))
        writer = PassageWriter(target, serving)
        for corpus, sources in await self._missing_by_corpus(target):
            with TemporaryDirectory(prefix="ibid-") as folder:
                copies = await fetch_originals(sources, self._blobs, Path(folder))
                changes = await asyncio.to_thread(changes_to_reread, sources, corpus, copies)
                writing = write_changes(self._database, writer, corpus, changes, self._write)
                async with aclosing(writing) as built:
                    async for batch, _ in built:
                        done += len(batch)
                        if progress:
                            progress(done, total)

    async def _write(
        self, corpus: Corpus, changes: Sequence[SourceChange], writer: PassageWriter
    ) -> None:
        versions = {change.source.id: change.to_version(corpus) for change in changes}
        texts = [change.source_text(corpus) for change in changes]
        await writer.write(corpus, changes)
        await self._record_versions(writer.index, versions, texts)

    async def _copy(
        self,
        corpus: Corpus,
        sources: Sequence[Source],
        target: PassageIndex,
        serving: PassageIndex,
    ) -> None:
        copied = await serving.passages([source.id for source in sources])
        passages = [passage for passage, _ in copied]
        vectors = [vector for _, vector in copied]
        if not target.fingerprint.shares_vectors(serving.fingerprint):
            vectors = await _embed_or_reuse(passages, target)
        versions = {p.source_id: p.version for p in passages}
        manifest = {
            s.id: _manifest_version(s, versions.get(s.id, s.version), passages) for s in sources
        }
        await target.stage(passages, vectors, corpus.language)
        await target.publish((key, version.version) for key, version in manifest.items())
        await self._record_versions(target, manifest)

    async def _remove_deleted(self, target: PassageIndex) -> None:
        async with self._database.read_transaction() as session:
            served = {source.id for source in await Sources(session).all_live()}
            deleted = (await Releases(session).manifest(target.collection)).keys() - served
        if deleted:
            await target.remove(deleted)
            async with self._database.transaction() as session:
                await Releases(session).remove_entries(deleted, target.collection)

    async def _record_versions(
        self,
        index: PassageIndex,
        versions: dict[UUID, SourceVersion],
        texts: Sequence[SourceText] = (),
    ) -> None:
        async with self._database.transaction() as session:
            await Releases(session).add_entries(index.collection, versions)
            await Sources(session).save_texts(texts)

    async def _missing_sources(self, target: PassageIndex) -> list[Source]:
        """Return the served sources that the release lacks or has with another digest."""
        async with self._database.read_transaction() as session:
            manifest = await Releases(session).manifest(target.collection)
            served = await Sources(session).all_live()
        return [
            s
            for s in served
            if s.id not in manifest or manifest[s.id].digest != s.to_version().digest
        ]

    async def _missing_by_corpus(self, target: PassageIndex) -> list[tuple[Corpus, list[Source]]]:
        async with self._database.read_transaction() as session:
            corpora = {corpus.name: corpus for corpus in await Corpora(session).all()}
        missing = sorted(await self._missing_sources(target), key=lambda s: (s.corpus, s.location))
        grouped = groupby(missing, key=lambda source: source.corpus)
        return [(corpora[name], list(sources)) for name, sources in grouped if name in corpora]


async def _embed_or_reuse(passages: Sequence[Passage], target: PassageIndex) -> list[list[float]]:
    """Embed the passages, but reuse the vectors that an earlier run has already written."""
    written = await target.passages({passage.source_id for passage in passages}, staged=True)
    known = {(passage.section, passage.text): vector for passage, vector in written}
    new = [passage for passage in passages if (passage.section, passage.text) not in known]
    texts = [text_to_embed(passage.section, passage.text) for passage in new]
    vectors = await target.embedding.aget_text_embedding_batch(texts)
    known |= {(p.section, p.text): vector for p, vector in zip(new, vectors, strict=True)}
    return [known[passage.section, passage.text] for passage in passages]


def _manifest_version(source: Source, version: int, passages: Sequence[Passage]) -> SourceVersion:
    count = sum(passage.source_id == source.id for passage in passages)
    return source.to_version().model_copy(update={"version": version, "passages": count})


def _batch_sources(sources: Sequence[Source]) -> Iterator[list[Source]]:
    batch: list[Source] = []
    for source in sources:
        batch.append(source)
        if sum(member.passages for member in batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
