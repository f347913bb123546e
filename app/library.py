"""What there is to be read: corpora, sources, their texts, and passages in their context."""

from collections.abc import Sequence
from uuid import UUID

from pipelines.corpora import lock_of, new_corpus
from pipelines.uploads.ingesting import is_upload, original
from storage.blobs import Blobs
from storage.database import Database
from storage.domain import Passage, Value
from storage.errors import CorpusBusy, NotFound
from storage.indexes import Indexes
from storage.locks import Locks
from storage.repositories import Corpora, Sources
from storage.tables import Corpus, Source, SourceText

_CONTEXT = 600
"""Characters shown on either side of a passage."""


class PassageInContext(Value):
    """A passage with what stands before and after it in the canonical text."""

    passage: Passage
    before: str
    after: str


class Shelf(Value):
    """A corpus and how much is in it."""

    name: str
    base_url: str | None
    language: str
    access: str
    sources: int
    passages: int


class Library:
    """Reads what was ingested; makes and removes corpora."""

    def __init__(self, database: Database, indexes: Indexes, blobs: Blobs, locks: Locks) -> None:
        self._database = database
        self._indexes = indexes
        self._blobs = blobs
        self._locks = locks

    async def corpora(self) -> list[Shelf]:
        """By name."""
        async with self._database.reading() as session:
            counts = await Sources(session).counts()
            return [_shelf(corpus, counts) for corpus in await Corpora(session).all()]

    async def create(self, name: str, base_url: str | None, language: str) -> Shelf:
        """An empty corpus; raises `AlreadyExists` or `InvalidInput`."""
        corpus = new_corpus(name, base_url, language)
        async with self._database.transaction() as session:
            await Corpora(session).add(corpus)
        return _shelf(corpus, {})

    async def delete(self, name: str) -> None:
        """With everything in it; raises `NotFound`. The index goes first: nothing found, all known.

        It waits for no ingestion: that fails, and what it wrote in between goes, too.
        """
        async with self._database.reading() as session:
            await Corpora(session).get(name)
            uploads = [s for s in await Sources(session).of(name) if is_upload(s)]
        await self._indexes.remove_corpus(name)
        async with self._database.transaction() as session:
            await Corpora(session).remove(name)
        await self._indexes.remove_corpus(name)
        for source in uploads:
            await self._blobs.remove(original(source.id))

    async def sources(
        self, corpora: Sequence[str] = (), limit: int = 100, offset: int = 0
    ) -> list[Source]:
        """Those that serve, by corpus and location; raises `NotFound` for an unknown corpus."""
        async with self._database.reading() as session:
            repository = Corpora(session)
            names = [(await repository.get(name)).name for name in corpora]
            names = names or [corpus.name for corpus in await repository.all()]
            return await Sources(session).live(names, limit, offset)

    async def source(self, source_id: UUID) -> Source:
        """Raises `NotFound`."""
        async with self._database.reading() as session:
            return await Sources(session).get(source_id)

    async def delete_source(self, source_id: UUID) -> None:
        """From the index, and what was sent of it; its row and what is cited of it stay.

        Raises `NotFound`, or `CorpusBusy` while its corpus is being ingested into.
        """
        corpus = (await self.source(source_id)).corpus
        async with self._locks.tried(lock_of(corpus)) as is_free:
            if not is_free:
                raise CorpusBusy(
                    f"The corpus {corpus!r} is being ingested into just now; try again afterwards."
                )
            await self._indexes.remove([source_id])
            async with self._database.transaction() as session:
                repository = Sources(session)
                (await repository.get(source_id)).remove()
                await repository.prune_texts()
            await self._blobs.remove(original(source_id))

    async def original(self, source_id: UUID) -> tuple[Source, bytes]:
        """The bytes that were sent; raises `NotFound`, also for what was read where it lies."""
        source = await self.source(source_id)
        if not is_upload(source):
            raise NotFound("original", source_id, "Only files that were uploaded are kept.")
        return source, await self._blobs.read(original(source_id))

    async def text(self, source_id: UUID, version: int | None = None) -> SourceText:
        """Canonical text of a version, by default the live one; raises `NotFound`."""
        async with self._database.reading() as session:
            return await Sources(session).text(source_id, version)

    async def passage(self, passage_id: UUID) -> PassageInContext:
        """Raises `NotFound` when it is not, or no longer, in the index."""
        passage = await (await self._indexes.serving()).passage(passage_id)
        text = (await self.text(passage.source_id, passage.version)).text
        return PassageInContext(
            passage=passage,
            before=text[max(0, passage.start - _CONTEXT) : passage.start],
            after=text[passage.end : passage.end + _CONTEXT],
        )


def _shelf(corpus: Corpus, counts: dict[str, tuple[int, int]]) -> Shelf:
    sources, passages = counts.get(corpus.name, (0, 0))
    return Shelf(
        name=corpus.name,
        base_url=corpus.base_url,
        language=corpus.language,
        access=corpus.access,
        sources=sources,
        passages=passages,
    )
