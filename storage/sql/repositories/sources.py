"""Queries about sources and the texts of their versions."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import and_, case, col, delete, exists, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.domain import Principal
from storage.errors import NotFound
from storage.sql.repositories.access import is_visible_to
from storage.sql.tables import CitedVersion, Corpus, ManifestEntry, Source, SourceText
from storage.sql.upsert import build_insert, column_values


class Sources:
    """The sources of all corpora, and the texts of their versions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of_corpus(self, corpus: str) -> list[Source]:
        """Return every source that a corpus has ever had, including removed sources."""
        return list(await self._session.exec(select(Source).where(col(Source.corpus) == corpus)))

    async def all_live(self) -> list[Source]:
        """Return the live sources of all corpora."""
        return list(await self._session.exec(select(Source).where(is_live())))

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
            is_live(),
        )
        return (await self._session.exec(statement)).one() or 0

    async def live_page(self, corpora: Sequence[str], limit: int, offset: int) -> list[Source]:
        """Return a page of the live sources, sorted by corpus and location."""
        statement = (
            select(Source)
            .where(col(Source.corpus).in_(corpora), is_live())
            .order_by(col(Source.corpus), col(Source.location))
        )
        return list(await self._session.exec(statement.limit(limit).offset(offset)))

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Return the numbers of live sources and of their passages, by corpus."""
        rows = await self._session.exec(
            select(Source.corpus, func.count(), func.sum(Source.passages))
            .where(is_live())
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
                func.sum(case((is_live(), passages), else_=0)),
            ).where(col(Source.corpus) == corpus)
        )
        changed, live = rows.one()
        return int(changed or 0), int(live or 0)

    async def get_visible(self, reader: Principal, source_id: UUID) -> Source:
        """Return a source; raises `NotFound`, also if the reader may not see its corpus."""
        statement = (
            select(Source)
            .join(Corpus, col(Corpus.name) == col(Source.corpus))
            .where(col(Source.id) == source_id, is_visible_to(reader))
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
        await self.save_texts(texts)

    async def save_texts(self, texts: Iterable[SourceText]) -> None:
        """Save texts; existing texts of the same versions are replaced."""
        if rows := [column_values(text) for text in texts]:
            insert = build_insert(self._session, SourceText)
            columns = {name: insert.excluded[name] for name in ("title", "url", "text", "details")}
            key = ["source_id", "version"]
            replace = insert.on_conflict_do_update(index_elements=key, set_=columns)
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
        conditions = [
            and_(col(SourceText.source_id) == source_id, col(SourceText.version) == version)
            for source_id, version in set(versions)
        ]
        if not conditions:
            return {}
        statement = select(SourceText.source_id, SourceText.version, SourceText.text)
        rows = await self._session.exec(statement.where(or_(*conditions)))
        return {(source_id, version): text for source_id, version, text in rows}

    async def live_versions(self, source_ids: Collection[UUID]) -> dict[UUID, int]:
        """Return the live version of each source; removed sources are left out."""
        statement = select(Source.id, Source.version).where(
            col(Source.id).in_(source_ids), is_live()
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
                and_(is_live(), col(Source.version) == col(SourceText.version)),
                col(Source.staged).is_not(None),
            ),
        )
        await self._session.exec(delete(SourceText).where(~cited, ~held, ~needed))


def is_live() -> ColumnElement[bool]:
    """Return the condition that a search can find the source."""
    return and_(col(Source.version) > 0, col(Source.removed_at).is_(None))
