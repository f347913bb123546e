"""Reindexing: build a release while another one serves, synchronize it, check it, then switch to it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from copy import copy
from datetime import datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from uuid import UUID

from pipelines.corpora import lock_of
from pipelines.ingestion.diff import SourceChange, as_before
from pipelines.ingestion.transformations import embedded_text
from pipelines.ingestion.writer import Calibrate, Writer, written
from pipelines.uploads.upload_job import copies_of
from storage.blobs import Blobs
from storage.domain import LOCAL, Fingerprint, Passage, Principal, SourceVersion, Value
from storage.errors import IndexDamaged, NotFound
from storage.index.passages import PassageIndex
from storage.index.releases import Indexes
from storage.locks import Locks
from storage.sql.database import Database, Session
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.releases import Releases
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Corpus, Release, Source, SourceText

_log = logging.getLogger("ibid.releases")

Origin = Literal["sources", "passages"]
"""What a release is built from: the files, which are read again, or the passages of the serving release."""
Progress = Callable[[int, int], None]
Gate = Callable[[PassageIndex, PassageIndex], Awaitable[None]]
"""A check that compares the new release with the serving one and may raise `ReleaseRefused`."""

_BATCH = 256
"""Number of passages that are copied in one batch."""
_LOCK = "releases"
"""The lock for building a release or switching to one: only one process may do so at a time."""
_CALL, _CHARACTERS_A_TOKEN = 96, 4
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


class Built(Value):
    """The result of a switch: the release that serves now and the one that served before."""

    release: str
    before: str
    sources: int
    passages: int
    seconds: float


class Reindexing:
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
        self._blobs = blobs
        self._kept = kept
        self._calibrate = calibrate
        self._gate = gate
        self._principal = principal

    def acting_for(self, principal: Principal) -> "Reindexing":
        """Return a copy for another principal, which counts only what that principal may see."""
        other = copy(self)
        other._principal = principal  # noqa: SLF001 - it is one of us
        return other

    async def releases(self) -> list[ReleaseSummary]:
        """Return all releases, newest first; count only sources of corpora that the principal may see."""
        await self._indexes.follow()
        async with self._database.reading() as session:
            releases, served = Releases(session), await self._served(session)
            return [
                _standing(
                    release,
                    [source.held() for source in served]
                    if release.state == "serving"
                    else await releases.holdings_seen_by(self._principal, release.collection),
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
        async with self._database.reading() as session:
            served = await self._served(session)
            characters = await Sources(session).characters({source.corpus for source in served})
        passages = sum(source.passages for source in served)
        return Proposal(
            changed=tuple(serving.fingerprint.differences(self._configured)),
            sources=len(served),
            passages=passages,
            calls=-(-passages // _CALL),
            tokens=characters // _CHARACTERS_A_TOKEN,
        )

    async def run(self, origin: Origin | None = None, progress: Progress | None = None) -> Built:
        """Build a release with the configured settings, or resume an earlier build, and switch to it.

        Raise `ReleaseRefused` if the gate rejects it and `IndexDamaged` if the number of passages is
        wrong; the old release then continues to serve.
        """
        self._principal.require("admin")
        started = time.perf_counter()
        async with self._locks.held(_LOCK):
            serving = await self._serving()
            target = await self._begun()
            if (origin or self._origin(serving)) == "sources":
                await self._read_again(target, serving, progress)
            await self._bring_level(target, serving, progress)
            await self._indexes.engine.optimize(target.collection)
            if self._gate:
                await self._gate(target, serving)
            return await self._let_serve(target, serving, started)

    async def rollback(self, name: str | None = None) -> Built:
        """Switch to a kept release, by default the latest, after synchronizing it with the serving one."""
        self._principal.require("admin")
        started = time.perf_counter()
        async with self._locks.held(_LOCK):
            serving = await self._serving()
            return await self._let_serve(await self._kept_one(name), serving, started)

    async def _served(self, session: Session) -> list[Source]:
        """Return the served sources of the corpora that the principal may see."""
        seen = {corpus.name for corpus in await Corpora(session, self._principal).all()}
        return [source for source in await Sources(session).served() if source.corpus in seen]

    async def _serving(self) -> PassageIndex:
        await self._indexes.follow()
        index = await self._indexes.find()
        if index is None:
            raise NotFound("index", "ibid", "Run `ibid ingest` to make one.")
        return index

    async def _begun(self) -> PassageIndex:
        """Return the unfinished release of an earlier run, or create a new one.

        Drop unfinished releases that have other settings or no collection.
        """
        there = await self._indexes.engine.collections()
        target: PassageIndex | None = None
        for release in await self._all():
            if release.state != "building":
                continue
            if release.fingerprint == self._configured and release.collection in there:
                target = self._indexes.at(release)
            else:
                await self._indexes.drop(release.collection)
        return target or await self._indexes.create(self._configured)

    async def _kept_one(self, name: str | None) -> PassageIndex:
        kept = [release for release in await self._all() if release.state == "kept"]
        chosen = [release for release in kept if name in (None, release.collection)]
        if not chosen:
            names = ", ".join(release.collection for release in kept) or "none"
            raise NotFound("kept release", name or "to go back to", f"Kept are: {names}.")
        return self._indexes.at(chosen[-1])

    def _origin(self, serving: PassageIndex) -> Origin:
        changed = serving.fingerprint.differences(self._configured)
        return "sources" if {"reader", "splitter"} & {*changed} else "passages"

    async def _read_again(
        self, target: PassageIndex, serving: PassageIndex, progress: Progress | None
    ) -> None:
        """Read the sources whose files are unchanged again; the others are copied afterwards.

        Fetch uploaded files to a temporary folder, one corpus at a time.
        """
        done, total = 0, len(await self._outstanding(target))
        writer = Writer(target, serving)
        for corpus, sources in await self._by_corpus(target):
            with TemporaryDirectory(prefix="ibid-") as folder:
                copies = await copies_of(sources, self._blobs, Path(folder))
                changes = await asyncio.to_thread(as_before, sources, corpus, copies)
                writing = written(self._database, writer, corpus, changes, self._write)
                async with aclosing(writing) as built:
                    async for batch, _ in built:
                        done += len(batch)
                        if progress:
                            progress(done, total)

    async def _write(self, corpus: Corpus, changes: Sequence[SourceChange], writer: Writer) -> None:
        held = {change.source.id: change.held(corpus) for change in changes}
        texts = [change.source_text(corpus) for change in changes]
        await writer.write(corpus, changes)
        await self._hold(writer.index, held, texts)

    async def _bring_level(
        self, target: PassageIndex, serving: PassageIndex, progress: Progress | None = None
    ) -> None:
        """Copy served sources that the release lacks or has in another version; remove deleted ones."""
        await self._take_away(target)
        done, total = 0, len(await self._outstanding(target))
        for corpus, sources in await self._by_corpus(target):
            for batch in _cut(sources):
                await self._copy(corpus, batch, target, serving)
                done += len(batch)
                if progress:
                    progress(done, total)

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
            vectors = await _vectors(passages, target)
        versions = {p.source_id: p.version for p in passages}
        held = {s.id: _held(s, versions.get(s.id, s.version), passages) for s in sources}
        await target.stage(passages, vectors, corpus.language)
        await target.publish((key, version.version) for key, version in held.items())
        await self._hold(target, held)

    async def _take_away(self, target: PassageIndex) -> None:
        async with self._database.reading() as session:
            served = {source.id for source in await Sources(session).served()}
            gone = (await Releases(session).holdings(target.collection)).keys() - served
        if gone:
            await target.remove(gone)
            async with self._database.transaction() as session:
                await Releases(session).let_go(gone, target.collection)

    async def _let_serve(
        self, target: PassageIndex, serving: PassageIndex, started: float
    ) -> Built:
        async with AsyncExitStack() as quiet:
            locked: set[str] = set()
            while some := [name for name in await self._corpora() if name not in locked]:
                for name in some:
                    await quiet.enter_async_context(self._locks.held(lock_of(name)))
                locked.update(some)
                await self._bring_level(target, serving)
                await self._measure(some, target)
            held = await self._verified(target)
            await self._indexes.flip(target)
        await self._drop_oldest()
        passages = sum(line.passages for line in held)
        built = Built(
            release=target.collection,
            before=serving.collection,
            sources=len(held),
            passages=passages,
            seconds=round(time.perf_counter() - started, 3),
        )
        _log.info("release_built", extra=dict(built))
        return built

    async def _measure(self, corpora: Sequence[str], target: PassageIndex) -> None:
        if self._calibrate:
            for name in corpora:
                await self._calibrate(name, target)

    async def _verified(self, target: PassageIndex) -> list[SourceVersion]:
        """Return the manifest of the release.

        Raise `IndexDamaged` if the number of passages in the index differs from the manifest.
        """
        async with self._database.reading() as session:
            held = [*(await Releases(session).holdings(target.collection)).values()]
        written, found = sum(line.passages for line in held), await target.count()
        if found != written:
            raise IndexDamaged(
                f"The release {target.collection} has {found} passages where {written} were "
                "written, and was not let serve. Run `ibid reindex` to build another."
            )
        return held

    async def _corpora(self) -> list[str]:
        async with self._database.reading() as session:
            return [corpus.name for corpus in await Corpora(session).all()]

    async def _drop_oldest(self) -> None:
        kept = [release for release in await self._all() if release.state == "kept"]
        for release in kept[: max(len(kept) - self._kept + 1, 0)]:
            await self._indexes.drop(release.collection)
        async with self._database.transaction() as session:
            await Sources(session).prune_texts()

    async def _hold(
        self,
        index: PassageIndex,
        held: dict[UUID, SourceVersion],
        texts: Sequence[SourceText] = (),
    ) -> None:
        async with self._database.transaction() as session:
            await Releases(session).hold(index.collection, held)
            await Sources(session).keep_texts(texts)

    async def _all(self) -> list[Release]:
        async with self._database.reading() as session:
            return await Releases(session).all()

    async def _outstanding(self, target: PassageIndex) -> list[Source]:
        """Return the served sources that the release lacks or has with another digest."""
        async with self._database.reading() as session:
            held = await Releases(session).holdings(target.collection)
            served = await Sources(session).served()
        return [s for s in served if s.id not in held or held[s.id].digest != s.held().digest]

    async def _by_corpus(self, target: PassageIndex) -> list[tuple[Corpus, list[Source]]]:
        async with self._database.reading() as session:
            corpora = {corpus.name: corpus for corpus in await Corpora(session).all()}
        outstanding = sorted(await self._outstanding(target), key=lambda s: (s.corpus, s.location))
        grouped = groupby(outstanding, key=lambda source: source.corpus)
        return [(corpora[name], list(sources)) for name, sources in grouped if name in corpora]


async def _vectors(passages: Sequence[Passage], target: PassageIndex) -> list[list[float]]:
    """Embed the passages, but reuse the vectors that an earlier run has already written."""
    written = await target.passages({passage.source_id for passage in passages}, staged=True)
    known = {(passage.section, passage.text): vector for passage, vector in written}
    new = [passage for passage in passages if (passage.section, passage.text) not in known]
    texts = [embedded_text(passage.section, passage.text) for passage in new]
    made = await target.embedding.aget_text_embedding_batch(texts)
    known |= {(p.section, p.text): vector for p, vector in zip(new, made, strict=True)}
    return [known[passage.section, passage.text] for passage in passages]


def _held(source: Source, version: int, passages: Sequence[Passage]) -> SourceVersion:
    count = sum(passage.source_id == source.id for passage in passages)
    return source.held().model_copy(update={"version": version, "passages": count})


def _cut(sources: Sequence[Source]) -> Iterator[list[Source]]:
    batch: list[Source] = []
    for source in sources:
        batch.append(source)
        if sum(one.passages for one in batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _standing(release: Release, held: Sequence[SourceVersion]) -> ReleaseSummary:
    return ReleaseSummary(
        name=release.collection,
        state=release.state,
        fingerprint=release.fingerprint,
        sources=len(held),
        passages=sum(line.passages for line in held),
        created_at=release.created_at,
    )
