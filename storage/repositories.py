"""What is asked of SQL, one class a noun; repositories never commit, services do."""

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy import ColumnElement, false, true
from sqlalchemy.exc import IntegrityError
from sqlmodel import and_, col, delete, exists, func, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.domain import LOCAL, Edition, Principal
from storage.errors import AlreadyExists, NotFound
from storage.tables import (
    CitedVersion,
    Corpus,
    CorpusReader,
    Release,
    Source,
    SourceText,
)


class Corpora:
    """The corpora that one reader may see; for all others they are not there."""

    def __init__(self, session: AsyncSession, reader: Principal = LOCAL) -> None:
        self._session = session
        self._reader = reader

    async def all(self) -> list[Corpus]:
        """By name."""
        statement = select(Corpus).where(_opens_to(self._reader)).order_by(col(Corpus.name))
        return list(await self._session.exec(statement))

    async def get(self, name: str) -> Corpus:
        """Raises `NotFound`, naming those that exist."""
        corpus = await self.find(name)
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

    async def find(self, name: str) -> Corpus | None:
        """None when there is none by that name."""
        statement = select(Corpus).where(col(Corpus.name) == name, _opens_to(self._reader))
        return (await self._session.exec(statement)).first()

    async def open_to(self, name: str, readers: Sequence[str] | None) -> Corpus:
        """To these alone (`user:NAME`, `group:NAME`), or with None to everyone who may ask."""
        corpus = await self.get(name)
        corpus.access = "public" if readers is None else "listed"
        await self._session.exec(delete(CorpusReader).where(col(CorpusReader.corpus) == name))
        self._session.add_all(
            CorpusReader(corpus=name, reader=reader) for reader in sorted(set(readers or ()))
        )
        return corpus

    async def readers(self) -> dict[str, list[str]]:
        """Who is listed, by corpus."""
        listed: dict[str, list[str]] = {}
        statement = select(CorpusReader).order_by(col(CorpusReader.reader))
        for row in await self._session.exec(statement):
            listed.setdefault(row.corpus, []).append(row.reader)
        return listed

    async def remove(self, name: str) -> None:
        """With its sources and their texts; conversations keep what they quoted."""
        await self._session.delete(await self.get(name))


class Sources:
    """The sources of all corpora, and the texts of their versions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def of(self, corpus: str) -> list[Source]:
        """Every source a corpus has ever had, those since removed too."""
        return list(await self._session.exec(select(Source).where(col(Source.corpus) == corpus)))

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

    async def editions(self, corpora: Sequence[str]) -> list[Edition]:
        """The versions and languages that serve, each once."""
        statement = (
            select(Source.corpus, Source.docs_version, Source.locale)
            .where(col(Source.corpus).in_(corpora), _is_live())
            .distinct()
        )
        rows = await self._session.exec(statement)
        return [Edition(corpus=name, version=version, locale=at) for name, version, at in rows]

    async def hidden(self, source_ids: Collection[UUID], reader: Principal) -> set[UUID]:
        """Those of a corpus that the reader may not see."""
        if not source_ids or reader == LOCAL:
            return set()
        statement = (
            select(Source.id)
            .join(Corpus, col(Corpus.name) == col(Source.corpus))
            .where(col(Source.id).in_(source_ids), ~_opens_to(reader))
        )
        return set(await self._session.exec(statement))

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
        for text in texts:
            await self._session.merge(text)

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

    async def forget_digests(self) -> None:
        """Make every source look changed: for when the index that held their passages is gone."""
        await self._session.exec(update(Source).values(digest=None, staged=None))

    async def prune_texts(self) -> None:
        """Drop the texts of versions that are neither live, nor being written, nor cited."""
        cited = exists().where(
            col(CitedVersion.source_id) == col(SourceText.source_id),
            col(CitedVersion.version) == col(SourceText.version),
        )
        needed = exists().where(
            col(Source.id) == col(SourceText.source_id),
            or_(
                and_(_is_live(), col(Source.version) == col(SourceText.version)),
                col(Source.staged).is_not(None),
            ),
        )
        await self._session.exec(delete(SourceText).where(~cited, ~needed))


class Releases:
    """The indexes that were built."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find(self, collection: str) -> Release | None:
        """None when there is none by that name."""
        return await self._session.get(Release, collection)

    async def save(self, release: Release) -> None:
        """Adds it, or takes over what it says."""
        await self._session.merge(release)


def _opens_to(reader: Principal) -> ColumnElement[bool]:
    """Of a corpus: that the reader may see it."""
    if "admin" in reader.rights:
        return true()
    if not reader.rights:
        return false()
    listed = exists().where(
        col(CorpusReader.corpus) == col(Corpus.name),
        col(CorpusReader.reader).in_(reader.readers),
    )
    return or_(col(Corpus.access) == "public", listed)


def _is_live() -> ColumnElement[bool]:
    return and_(col(Source.version) > 0, col(Source.removed_at).is_(None))


def _known(names: Sequence[str]) -> str:
    if not names:
        return "Nothing has been ingested yet: run `ibid ingest PATH`."
    return f"There are: {', '.join(names)}."
