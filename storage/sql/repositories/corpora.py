"""Queries about corpora: who may see them, their editions and their calibrations."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from storage.domain import LOCAL, Calibration, Calibrations, Edition, Principal
from storage.errors import AlreadyExists, NotFound
from storage.sql.repositories.access import is_listed, is_open_to_any, is_visible_to
from storage.sql.repositories.sources import is_live
from storage.sql.tables import Corpus, CorpusReader, DeletedCorpus, Release, Source


class Corpora:
    """The corpora that one reader may see; the others look as if they did not exist."""

    def __init__(self, session: AsyncSession, reader: Principal = LOCAL) -> None:
        self._session = session
        self._reader = reader

    async def all(self) -> list[Corpus]:
        """Return the corpora, sorted by name."""
        statement = select(Corpus).where(is_visible_to(self._reader)).order_by(col(Corpus.name))
        return list(await self._session.exec(statement))

    async def editions(self) -> tuple[dict[str, Corpus], list[Edition]]:
        """Return the corpora by name, and their live editions; every question begins with this query."""
        if not self._reader.rights:
            return {}, []
        statement = _EDITIONS if self._reader.is_admin else _OPEN_EDITIONS
        parameters = {"readers": self._reader.readers}
        rows = (await self._session.exec(statement, params=parameters)).all()
        corpora = {corpus.name: corpus for corpus, _ in rows}
        return corpora, [Edition.from_key(key) for _, key in rows if key is not None]

    async def is_any_listed(self) -> bool:
        """Return whether there is a corpus that not everyone may see."""
        return bool((await self._session.exec(select(is_listed(Corpus)))).one())

    async def get(self, name: str, *, for_update: bool = False) -> Corpus:
        """Return a corpus; raises `NotFound`, which names the existing corpora.

        With `for_update`, the row is locked: other writers wait for the end of the transaction.
        """
        corpus = await self.find(name, for_update=for_update)
        if corpus is None:
            raise NotFound(
                "corpus", name, _describe_names([corpus.name for corpus in await self.all()])
            )
        return corpus

    async def add(self, corpus: Corpus) -> None:
        """Add a corpus; raises `AlreadyExists`, also if the reader may not see the existing corpus."""
        if await self._session.get(Corpus, corpus.name) is None:
            self._session.add(corpus)
            with suppress(IntegrityError):  # another process has created it in the meantime
                await self._session.flush()
                return
        raise AlreadyExists(f"The corpus {corpus.name!r} already exists.")

    async def find(self, name: str, *, for_update: bool = False) -> Corpus | None:
        """Return the corpus with this name, or None; `for_update` locks its row."""
        statement = select(Corpus).where(col(Corpus.name) == name, is_visible_to(self._reader))
        statement = statement.with_for_update() if for_update else statement
        return (await self._session.exec(statement)).first()

    async def calibrate(self, name: str, release: str, calibration: Calibration) -> None:
        """Save the calibration for a release, and delete those of releases that no longer exist."""
        corpus = await self.get(name)
        existing = await self._session.exec(select(Release.collection))
        kept = {
            key: corpus.calibrations_by_release[key]
            for key in existing
            if key in corpus.calibrations_by_release
        }
        corpus.calibrations = Calibrations(by_release={**kept, release: calibration})

    async def set_readers(self, name: str, readers: Sequence[str] | None) -> Corpus:
        """Restrict a corpus to these readers (`user:NAME`, `group:NAME`); None makes it public."""
        corpus = await self.get(name, for_update=True)
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
        corpus = await self.get(name, for_update=True)
        gone = DeletedCorpus(id=corpus.id, name=corpus.name, access=corpus.access)
        self._session.add(gone)
        await self._session.delete(corpus)

    async def deletions(self) -> dict[str, datetime]:
        """Return the time of the last deletion, by the corpus's name."""
        last = func.max(DeletedCorpus.deleted_at)
        statement = select(DeletedCorpus.name, last).group_by(col(DeletedCorpus.name))
        return dict((await self._session.exec(statement)).all())


def _editions() -> Select[Corpus, Any]:
    """Select the corpora with every live edition key.

    Each key is found from the previous one by a step in the index, so no rows are scanned.
    """
    least = select(func.min(Source.edition).label("key")).where(is_live()).cte(recursive=True)
    following = select(func.min(Source.edition)).where(is_live(), col(Source.edition) > least.c.key)
    edition_keys = least.union_all(
        select(following.scalar_subquery()).where(least.c.key.is_not(None))
    )
    name = col(Corpus.name)
    its_own = func.substr(edition_keys.c.key, 1, func.length(name) + 1) == name.concat("\n")
    return select(Corpus, edition_keys.c.key).outerjoin(edition_keys, its_own).order_by(name)


# Built once, because every question runs it.
_EDITIONS = _editions()
_OPEN_EDITIONS = _EDITIONS.where(is_open_to_any(bindparam("readers", expanding=True)))


def _describe_names(names: Sequence[str]) -> str:
    if not names:
        return "Nothing has been ingested yet: run `ibid ingest PATH`."
    return f"There are: {', '.join(names)}."
