"""Queries about corpora, sources and releases."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.exc import IntegrityError
from sqlmodel import and_, case, col, delete, exists, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from storage.domain import (
    LOCAL,
    Calibration,
    Calibrations,
    Edition,
    Principal,
    SourceVersion,
)
from storage.errors import AlreadyExists, NotFound
from storage.sql.repositories.access import is_listed, is_open_to_any, opens_to
from storage.sql.tables import (
    CitedVersion,
    Corpus,
    CorpusReader,
    DeletedCorpus,
    ManifestEntry,
    Release,
    Source,
    SourceText,
)
from storage.sql.upsert import column_values, inserting

_PARAMETERS = 10_000
"""The maximum in one statement; SQLite and Postgres both accept about thirty thousand."""


class Corpora:
    """The corpora that one reader may see; the others look as if they did not exist."""

    def __init__(self, session: AsyncSession, reader: Principal = LOCAL) -> None:
        self._session = session
        self._reader = reader

    async def all(self) -> list[Corpus]:
        """Return the corpora, sorted by name."""
        statement = select(Corpus).where(opens_to(self._reader)).order_by(col(Corpus.name))
        return list(await self._session.exec(statement))

    async def editions(self) -> tuple[dict[str, Corpus], list[Edition]]:
        """Return the corpora by name, and their live editions; every question begins with this query."""
        if not self._reader.rights:
            return {}, []
        statement = _EDITIONS if self._reader.is_admin else _OPEN_EDITIONS
        asked_for = {"readers": self._reader.readers}
        rows = (await self._session.exec(statement, params=asked_for)).all()
        corpora = {corpus.name: corpus for corpus, _ in rows}
        return corpora, [Edition.of(key) for _, key in rows if key is not None]

    async def is_any_listed(self) -> bool:
        """Return whether there is a corpus that not everyone may see."""
        return bool((await self._session.exec(select(is_listed(Corpus)))).one())

    async def get(self, name: str, *, to_write: bool = False) -> Corpus:
        """Return a corpus; raises `NotFound`, which names the existing corpora.

        With `to_write`, the row is locked: other writers wait for the end of the transaction.
        """
        corpus = await self.find(name, to_write=to_write)
        if corpus is None:
            raise NotFound("corpus", name, _known([corpus.name for corpus in await self.all()]))
        return corpus

    async def add(self, corpus: Corpus) -> None:
        """Add a corpus; raises `AlreadyExists`, also if the reader may not see the existing corpus."""
        if await self._session.get(Corpus, corpus.name) is None:
            self._session.add(corpus)
            with suppress(IntegrityError):  # another process has created it in the meantime
                await self._session.flush()
                return
        raise AlreadyExists(f"The corpus {corpus.name!r} already exists.")

    async def find(self, name: str, *, to_write: bool = False) -> Corpus | None:
        """Return the corpus with this name, or None; `to_write` locks its row."""
        statement = select(Corpus).where(col(Corpus.name) == name, opens_to(self._reader))
        statement = statement.with_for_update() if to_write else statement
        return (await self._session.exec(statement)).first()

    async def calibrate(self, name: str, release: str, calibration: Calibration) -> None:
        """Save the calibration for a release, and delete those of releases that no longer exist."""
        corpus = await self.get(name)
        there = await self._session.exec(select(Release.collection))
        kept = {key: corpus.measured[key] for key in there if key in corpus.measured}
        corpus.calibrations = Calibrations(by_release={**kept, release: calibration})

    async def open_to(self, name: str, readers: Sequence[str] | None) -> Corpus:
        """Restrict a corpus to these readers (`user:NAME`, `group:NAME`); None makes it public."""
        corpus = await self.get(name, to_write=True)
        corpus.access = "public" if readers is None else "listed"
        of_corpus = col(CorpusReader.corpus_id) == corpus.id
        await self._session.exec(delete(CorpusReader).where(of_corpus))
        self._session.add_all(
            CorpusReader(corpus_id=corpus.id, reader=reader)
            for reader in sorted(set(readers or ()))
        )
        return corpus

    async def readers(self) -> dict[UUID, list[str]]:
        """Return the listed readers, by the corpus's id."""
        listed: dict[UUID, list[str]] = {}
        statement = select(CorpusReader).order_by(col(CorpusReader.reader))
        for row in await self._session.exec(statement):
            listed.setdefault(row.corpus_id, []).append(row.reader)
        return listed

    async def remove(self, name: str) -> None:
        """Remove a corpus with its sources and their texts; conversations keep their quotes.

        Its access rule is saved, because it decides who may still see these quotes.
        """
        corpus = await self.get(name, to_write=True)
        gone = DeletedCorpus(id=corpus.id, name=corpus.name, access=corpus.access)
        self._session.add(gone)
        await self._session.delete(corpus)

    async def deletions(self) -> dict[str, datetime]:
        """Return the time of the last deletion, by the corpus's name."""
        last = func.max(DeletedCorpus.deleted_at)
        statement = select(DeletedCorpus.name, last).group_by(col(DeletedCorpus.name))
        return dict((await self._session.exec(statement)).all())


class Sources:
    """The sources of all corpora, and the texts of their versions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, corpus: str) -> list[Source]:
        """Return every source that a corpus has ever had, including removed sources."""
        return list(await self._session.exec(select(Source).where(col(Source.corpus) == corpus)))

    async def served(self) -> list[Source]:
        """Return the live sources of all corpora."""
        return list(await self._session.exec(select(Source).where(_is_live())))

    async def reserve(self, source_ids: Collection[UUID]) -> dict[UUID, int]:
        """Reserve a new version number for each source; sources that are not stored yet are left out."""
        statement = (
            update(Source)
            .where(col(Source.id).in_(source_ids))
            .values(newest=col(Source.newest) + 1)
            .returning(col(Source.id), col(Source.newest))
        )
        found = await self._session.exec(statement)
        return {source_id: newest for source_id, newest in found.all()}  # noqa: C416 - rows

    async def characters(self, corpora: Collection[str]) -> int:
        """Return the total length of the live texts of these corpora, in characters."""
        statement = select(func.sum(func.length(SourceText.text))).where(
            col(SourceText.source_id) == col(Source.id),
            col(SourceText.version) == col(Source.version),
            col(Source.corpus).in_(corpora),
            _is_live(),
        )
        return (await self._session.exec(statement)).one() or 0

    async def live(self, corpora: Sequence[str], limit: int, offset: int) -> list[Source]:
        """Return a page of the live sources, sorted by corpus and location."""
        statement = (
            select(Source)
            .where(col(Source.corpus).in_(corpora), _is_live())
            .order_by(col(Source.corpus), col(Source.location))
        )
        return list(await self._session.exec(statement.limit(limit).offset(offset)))

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Return the numbers of live sources and of their passages, by corpus."""
        rows = await self._session.exec(
            select(Source.corpus, func.count(), func.sum(Source.passages))
            .where(_is_live())
            .group_by(col(Source.corpus))
        )
        return {corpus: (sources, int(passages or 0)) for corpus, sources, passages in rows}

    async def turnover(self, corpus: str, since: datetime) -> tuple[int, int]:
        """Return how many passages of a corpus were added or removed since a time, and how many are live."""
        moved = or_(col(Source.ingested_at) > since, col(Source.removed_at) > since)
        passages = col(Source.passages)
        rows = await self._session.exec(
            select(
                func.sum(case((moved, passages), else_=0)),
                func.sum(case((_is_live(), passages), else_=0)),
            ).where(col(Source.corpus) == corpus)
        )
        changed, there = rows.one()
        return int(changed or 0), int(there or 0)

    async def seen_by(self, reader: Principal, source_id: UUID) -> Source:
        """Return a source; raises `NotFound`, also if the reader may not see its corpus."""
        statement = (
            select(Source)
            .join(Corpus, col(Corpus.name) == col(Source.corpus))
            .where(col(Source.id) == source_id, opens_to(reader))
        )
        source = (await self._session.exec(statement)).first()
        if source is None:
            raise NotFound("source", source_id)
        return source

    async def get(self, source_id: UUID) -> Source:
        """Return a source; raises `NotFound`."""
        source = await self._session.get(Source, source_id)
        if source is None:
            raise NotFound("source", source_id)
        return source

    async def save(self, sources: Sequence[Source], texts: Sequence[SourceText] = ()) -> None:
        """Save sources, new or read in an earlier session, and texts; existing texts are replaced."""
        self._session.add_all(sources)
        await self._session.flush()
        await self.keep_texts(texts)

    async def keep_texts(self, texts: Iterable[SourceText]) -> None:
        """Save texts; existing texts of the same versions are replaced."""
        if rows := [column_values(text) for text in texts]:
            insert = inserting(self._session, SourceText)
            taken = {name: insert.excluded[name] for name in ("title", "url", "text", "details")}
            key = ["source_id", "version"]
            replace = insert.on_conflict_do_update(index_elements=key, set_=taken)
            await self._session.exec(replace, params=rows)

    async def text(self, source_id: UUID, version: int | None) -> SourceText:
        """Return the canonical text of a version, by default of the live one; raises `NotFound`."""
        source = await self.get(source_id)
        found = await self._session.get(SourceText, (source_id, version or source.version))
        if found is None:
            raise NotFound(
                f"version of source {source_id}",
                version or source.version,
                "A text is kept only while its version is live or cited.",
            )
        return found

    async def texts(self, versions: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], str]:
        """Return the canonical texts of several versions; texts that are no longer stored are left out."""
        wanted = [
            and_(col(SourceText.source_id) == source_id, col(SourceText.version) == version)
            for source_id, version in set(versions)
        ]
        if not wanted:
            return {}
        statement = select(SourceText.source_id, SourceText.version, SourceText.text)
        rows = await self._session.exec(statement.where(or_(*wanted)))
        return {(source_id, version): text for source_id, version, text in rows}

    async def live_versions(self, source_ids: Collection[UUID]) -> dict[UUID, int]:
        """Return the live version of each source; removed sources are left out."""
        statement = select(Source.id, Source.version).where(
            col(Source.id).in_(source_ids), _is_live()
        )
        return dict((await self._session.exec(statement)).all())

    async def forget_digests(self) -> None:
        """Make every source look changed, for the case that the index with their passages is lost."""
        await self._session.exec(update(Source).values(digest=None, staged=None))

    async def prune_texts(self) -> None:
        """Delete the texts of versions that no release holds, no ingestion writes and no message cites."""
        cited = exists().where(
            col(CitedVersion.source_id) == col(SourceText.source_id),
            col(CitedVersion.version) == col(SourceText.version),
        )
        held = exists().where(
            col(ManifestEntry.source_id) == col(SourceText.source_id),
            col(ManifestEntry.version) == col(SourceText.version),
        )
        needed = exists().where(
            col(Source.id) == col(SourceText.source_id),
            or_(
                and_(_is_live(), col(Source.version) == col(SourceText.version)),
                col(Source.staged).is_not(None),
            ),
        )
        await self._session.exec(delete(SourceText).where(~cited, ~held, ~needed))


class Releases:
    """The built indexes, and the manifests of releases that do not serve."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> list[Release]:
        """Return all releases, oldest first."""
        return list(await self._session.exec(select(Release).order_by(col(Release.created_at))))

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
        sources = await Sources(self._session).served()
        for release in before:
            if release.collection != collection:
                release.state = "kept"
                self._write(release.collection, {s.id: s.held() for s in sources})
        held = await self.holdings(collection)
        for source in sources:
            if source.id in held:
                source.serve(held[source.id])
            else:  # the next ingestion finds it changed and adds it
                source.digest = None
        await self._session.exec(
            delete(ManifestEntry).where(col(ManifestEntry.collection) == collection)
        )
        releases[collection].state = "serving"

    async def holdings(self, collection: str) -> dict[UUID, SourceVersion]:
        """Return the manifest of a release that does not serve."""
        statement = select(ManifestEntry).where(col(ManifestEntry.collection) == collection)
        return {line.source_id: line.held for line in await self._session.exec(statement)}

    async def holdings_seen_by(self, reader: Principal, collection: str) -> list[SourceVersion]:
        """Return the part of such a manifest in corpora that the reader may see."""
        statement = (
            select(ManifestEntry)
            .join(Source, col(Source.id) == col(ManifestEntry.source_id))
            .join(Corpus, col(Corpus.name) == col(Source.corpus))
            .where(col(ManifestEntry.collection) == collection, opens_to(reader))
        )
        return [line.held for line in await self._session.exec(statement)]

    async def hold(self, collection: str, versions: Mapping[UUID, SourceVersion]) -> None:
        """Write versions into a release's manifest; existing entries of the same sources are replaced."""
        await self.let_go(versions, collection)
        self._write(collection, versions)

    async def let_go(self, source_ids: Collection[UUID], collection: str | None = None) -> None:
        """Remove sources from the manifest of one release, or of all releases."""
        ids = list(source_ids)
        for start in range(0, len(ids), _PARAMETERS):
            some = col(ManifestEntry.source_id).in_(ids[start : start + _PARAMETERS])
            statement = delete(ManifestEntry).where(some)
            if collection is not None:
                statement = statement.where(col(ManifestEntry.collection) == collection)
            await self._session.exec(statement)

    def _write(self, collection: str, versions: Mapping[UUID, SourceVersion]) -> None:
        self._session.add_all(
            ManifestEntry(collection=collection, source_id=key, version=held.version, held=held)
            for key, held in versions.items()
        )


def _is_live() -> ColumnElement[bool]:
    return and_(col(Source.version) > 0, col(Source.removed_at).is_(None))


def _editions() -> Select[Corpus, Any]:
    """Select the corpora with every live edition key.

    Each key is found from the previous one by a step in the index, so no rows are scanned.
    """
    least = select(func.min(Source.edition).label("key")).where(_is_live()).cte(recursive=True)
    following = select(func.min(Source.edition)).where(
        _is_live(), col(Source.edition) > least.c.key
    )
    there = least.union_all(select(following.scalar_subquery()).where(least.c.key.is_not(None)))
    name = col(Corpus.name)
    its_own = func.substr(there.c.key, 1, func.length(name) + 1) == name.concat("\n")
    return select(Corpus, there.c.key).outerjoin(there, its_own).order_by(name)


# Built once, because every question runs it.
_EDITIONS = _editions()
_OPEN_EDITIONS = _EDITIONS.where(is_open_to_any(bindparam("readers", expanding=True)))


def _known(names: Sequence[str]) -> str:
    if not names:
        return "Nothing has been ingested yet: run `ibid ingest PATH`."
    return f"There are: {', '.join(names)}."
