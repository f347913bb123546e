"""What is asked of SQL, one class a noun; repositories never commit, services do."""

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
"""In one statement; SQLite and Postgres both take some thirty thousand."""


class Corpora:
    """The corpora that one reader may see; for all others they are not there."""

    def __init__(self, session: AsyncSession, reader: Principal = LOCAL) -> None:
        self._session = session
        self._reader = reader

    async def all(self) -> list[Corpus]:
        """By name."""
        statement = select(Corpus).where(opens_to(self._reader)).order_by(col(Corpus.name))
        return list(await self._session.exec(statement))

    async def editions(self) -> tuple[dict[str, Corpus], list[Edition]]:
        """Corpora by name, and what serves of them; each turn begins with this."""
        if not self._reader.rights:
            return {}, []
        statement = _EDITIONS if self._reader.is_admin else _OPEN_EDITIONS
        asked_for = {"readers": self._reader.readers}
        rows = (await self._session.exec(statement, params=asked_for)).all()
        corpora = {corpus.name: corpus for corpus, _ in rows}
        return corpora, [Edition.of(key) for _, key in rows if key is not None]

    async def is_any_listed(self) -> bool:
        """Whether there is a corpus that not everyone may see."""
        return bool((await self._session.exec(select(is_listed(Corpus)))).one())

    async def get(self, name: str, *, to_write: bool = False) -> Corpus:
        """Raises `NotFound`, naming those that exist. To write, others wait until this is done."""
        corpus = await self.find(name, to_write=to_write)
        if corpus is None:
            raise NotFound("corpus", name, _known([corpus.name for corpus in await self.all()]))
        return corpus

    async def add(self, corpus: Corpus) -> None:
        """Raises `AlreadyExists`, also for one that the reader may not see."""
        if await self._session.get(Corpus, corpus.name) is None:
            self._session.add(corpus)
            with suppress(IntegrityError):  # of another process that made it meanwhile
                await self._session.flush()
                return
        raise AlreadyExists(f"There is a corpus {corpus.name!r} already.")

    async def find(self, name: str, *, to_write: bool = False) -> Corpus | None:
        """None when there is none by that name."""
        statement = select(Corpus).where(col(Corpus.name) == name, opens_to(self._reader))
        statement = statement.with_for_update() if to_write else statement
        return (await self._session.exec(statement)).first()

    async def calibrate(self, name: str, release: str, calibration: Calibration) -> None:
        """Keep what was measured of it in a release, and in others only while they are there."""
        corpus = await self.get(name)
        there = await self._session.exec(select(Release.collection))
        kept = {key: corpus.measured[key] for key in there if key in corpus.measured}
        corpus.calibrations = Calibrations(by_release={**kept, release: calibration})

    async def open_to(self, name: str, readers: Sequence[str] | None) -> Corpus:
        """To these alone (`user:NAME`, `group:NAME`), or with None to everyone who may ask."""
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
        """Who is listed, by the id of the corpus."""
        listed: dict[UUID, list[str]] = {}
        statement = select(CorpusReader).order_by(col(CorpusReader.reader))
        for row in await self._session.exec(statement):
            listed.setdefault(row.corpus_id, []).append(row.reader)
        return listed

    async def remove(self, name: str) -> None:
        """With its sources and their texts; conversations keep what they quoted.

        What it was open to stays known: it decides who is still shown that.
        """
        corpus = await self.get(name, to_write=True)
        gone = DeletedCorpus(id=corpus.id, name=corpus.name, access=corpus.access)
        self._session.add(gone)
        await self._session.delete(corpus)

    async def deletions(self) -> dict[str, datetime]:
        """When a corpus by that name was last deleted."""
        last = func.max(DeletedCorpus.deleted_at)
        statement = select(DeletedCorpus.name, last).group_by(col(DeletedCorpus.name))
        return dict((await self._session.exec(statement)).all())


class Sources:
    """The sources of all corpora, and the texts of their versions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, corpus: str) -> list[Source]:
        """Every source a corpus has ever had, those since removed too."""
        return list(await self._session.exec(select(Source).where(col(Source.corpus) == corpus)))

    async def served(self) -> list[Source]:
        """Everything that serves, in all corpora."""
        return list(await self._session.exec(select(Source).where(_is_live())))

    async def reserve(self, source_ids: Collection[UUID]) -> dict[UUID, int]:
        """A version number for each that no other has had; sources not kept yet are left out."""
        statement = (
            update(Source)
            .where(col(Source.id).in_(source_ids))
            .values(newest=col(Source.newest) + 1)
            .returning(col(Source.id), col(Source.newest))
        )
        found = await self._session.exec(statement)
        return {source_id: newest for source_id, newest in found.all()}  # noqa: C416 - rows

    async def characters(self, corpora: Collection[str]) -> int:
        """Length of all texts of these corpora that serve."""
        statement = select(func.sum(func.length(SourceText.text))).where(
            col(SourceText.source_id) == col(Source.id),
            col(SourceText.version) == col(Source.version),
            col(Source.corpus).in_(corpora),
            _is_live(),
        )
        return (await self._session.exec(statement)).one() or 0

    async def live(self, corpora: Sequence[str], limit: int, offset: int) -> list[Source]:
        """Those that serve, by corpus and location."""
        statement = (
            select(Source)
            .where(col(Source.corpus).in_(corpora), _is_live())
            .order_by(col(Source.corpus), col(Source.location))
        )
        return list(await self._session.exec(statement.limit(limit).offset(offset)))

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Live sources and their passages, by corpus."""
        rows = await self._session.exec(
            select(Source.corpus, func.count(), func.sum(Source.passages))
            .where(_is_live())
            .group_by(col(Source.corpus))
        )
        return {corpus: (sources, int(passages or 0)) for corpus, sources, passages in rows}

    async def turnover(self, corpus: str, since: datetime) -> tuple[int, int]:
        """Passages of a corpus that came or went since then, and all that serve."""
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
        """Raises `NotFound`, also for one of a corpus that the reader may not see."""
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
        """Raises `NotFound`."""
        source = await self._session.get(Source, source_id)
        if source is None:
            raise NotFound("source", source_id)
        return source

    async def save(self, sources: Sequence[Source], texts: Sequence[SourceText] = ()) -> None:
        """Sources read in an earlier session, or new; texts written before are replaced."""
        self._session.add_all(sources)
        await self._session.flush()
        await self.keep_texts(texts)

    async def keep_texts(self, texts: Iterable[SourceText]) -> None:
        """Texts of the same versions, written before, are replaced."""
        if rows := [column_values(text) for text in texts]:
            insert = inserting(self._session, SourceText)
            taken = {name: insert.excluded[name] for name in ("title", "url", "text", "details")}
            key = ["source_id", "version"]
            replace = insert.on_conflict_do_update(index_elements=key, set_=taken)
            await self._session.exec(replace, params=rows)

    async def text(self, source_id: UUID, version: int | None) -> SourceText:
        """The canonical text of a version, by default the live one; raises `NotFound`."""
        source = await self.get(source_id)
        found = await self._session.get(SourceText, (source_id, version or source.version))
        if found is None:
            raise NotFound(
                f"version of source {source_id}",
                version or source.version,
                "A text is kept while its version is live or cited.",
            )
        return found

    async def texts(self, versions: Iterable[tuple[UUID, int]]) -> dict[tuple[UUID, int], str]:
        """Canonical texts of several versions at once; those no longer kept are left out."""
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
        """What serves of each; those that are gone are left out."""
        statement = select(Source.id, Source.version).where(
            col(Source.id).in_(source_ids), _is_live()
        )
        return dict((await self._session.exec(statement)).all())

    async def forget_digests(self) -> None:
        """Make every source look changed: for when the index that held their passages is gone."""
        await self._session.exec(update(Source).values(digest=None, staged=None))

    async def prune_texts(self) -> None:
        """Drop the texts of versions that no release holds, nobody writes and nobody cites."""
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
    """The indexes that were built, and the manifests of those that do not serve."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def all(self) -> list[Release]:
        """Oldest first."""
        return list(await self._session.exec(select(Release).order_by(col(Release.created_at))))

    async def find(self, collection: str) -> Release | None:
        """None when there is none by that name."""
        return await self._session.get(Release, collection)

    def add(self, release: Release) -> None:
        """A new one, saved with the session."""
        self._session.add(release)

    async def remove(self, collection: str) -> None:
        """With its manifest; nothing happens when it is gone."""
        await self._session.exec(delete(Release).where(col(Release.collection) == collection))

    async def serve(self, collection: str) -> None:
        """Its manifest becomes what the sources say; what they said, that of the one before."""
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
            else:  # the next ingestion finds it changed, and brings it in
                source.digest = None
        await self._session.exec(
            delete(ManifestEntry).where(col(ManifestEntry.collection) == collection)
        )
        releases[collection].state = "serving"

    async def holdings(self, collection: str) -> dict[UUID, SourceVersion]:
        """The manifest of a release that does not serve."""
        statement = select(ManifestEntry).where(col(ManifestEntry.collection) == collection)
        return {line.source_id: line.held for line in await self._session.exec(statement)}

    async def holdings_seen_by(self, reader: Principal, collection: str) -> list[SourceVersion]:
        """Of it, the sources of corpora that the reader may see."""
        statement = (
            select(ManifestEntry)
            .join(Source, col(Source.id) == col(ManifestEntry.source_id))
            .join(Corpus, col(Corpus.name) == col(Source.corpus))
            .where(col(ManifestEntry.collection) == collection, opens_to(reader))
        )
        return [line.held for line in await self._session.exec(statement)]

    async def hold(self, collection: str, versions: Mapping[UUID, SourceVersion]) -> None:
        """Write into its manifest; lines about the same sources are replaced."""
        await self.let_go(versions, collection)
        self._write(collection, versions)

    async def let_go(self, source_ids: Collection[UUID], collection: str | None = None) -> None:
        """Strike sources from one manifest, or from all."""
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
    """Corpora with every live key, each found from the one before: a step in an index, no look at all."""
    least = select(func.min(Source.edition).label("key")).where(_is_live()).cte(recursive=True)
    following = select(func.min(Source.edition)).where(
        _is_live(), col(Source.edition) > least.c.key
    )
    there = least.union_all(select(following.scalar_subquery()).where(least.c.key.is_not(None)))
    name = col(Corpus.name)
    its_own = func.substr(there.c.key, 1, func.length(name) + 1) == name.concat("\n")
    return select(Corpus, there.c.key).outerjoin(there, its_own).order_by(name)


# What every turn asks is put together once.
_EDITIONS = _editions()
_OPEN_EDITIONS = _EDITIONS.where(is_open_to_any(bindparam("readers", expanding=True)))


def _known(names: Sequence[str]) -> str:
    if not names:
        return "Nothing has been ingested yet: run `ibid ingest PATH`."
    return f"There are: {', '.join(names)}."
