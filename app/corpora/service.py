"""Reads and manages corpora, sources, their texts, and passages in their context."""

import re
from collections.abc import Sequence
from uuid import UUID

from app.path_redaction import passage_without_path, source_without_path, text_without_path
from pipelines.corpora import corpus_lock_name, new_corpus
from pipelines.uploads.upload_job import is_upload, original_blob
from storage.blobs import Blobs
from storage.domain import LOCAL, Passage, Principal, Value
from storage.errors import CorpusBusy, InvalidInput, NotFound
from storage.index.releases import Indexes
from storage.locks import Locks
from storage.sql.database import Database, retry_on_lost_connection
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Corpus, Source, SourceText

_CONTEXT_LENGTH = 600
"""Characters shown on either side of a passage."""


class PassageInContext(Value):
    """A passage with the canonical text before and after it."""

    passage: Passage
    before: str
    after: str


class CorpusSummary(Value):
    """A corpus and how much it contains."""

    name: str
    base_url: str | None
    language: str
    access: str
    peer_review_weight: float
    """How much a peer-reviewed source gains in a ranking, in [0, 1]; 0 if the corpus does not prefer them."""
    readers: tuple[str, ...]
    """The users and groups who may read the corpus if `access` is `listed`; empty unless an admin asks."""
    sources: int
    passages: int


class CorpusService:
    """A service that reads ingested sources, and creates and deletes corpora."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        blobs: Blobs,
        locks: Locks,
        principal: Principal = LOCAL,
    ) -> None:
        self._database = database
        self._indexes = indexes
        self._blobs = blobs
        self._locks = locks
        self._principal = principal

    def acting_for(self, principal: Principal) -> "CorpusService":
        """Return a library that acts for another principal and shows only what that principal may see."""
        return CorpusService(self._database, self._indexes, self._blobs, self._locks, principal)

    @retry_on_lost_connection
    async def corpora(self) -> list[CorpusSummary]:
        """Return the corpora that the principal may see, sorted by name."""
        async with self._database.read_transaction() as session:
            counts = await Sources(session).counts()
            corpora = Corpora(session, self._principal)
            readers = await corpora.readers() if self._principal.is_admin else {}
            return [
                _summarize(corpus, counts, readers.get(corpus.id, ()))
                for corpus in await corpora.all()
            ]

    async def create(self, name: str, base_url: str | None, language: str) -> CorpusSummary:
        """Create an empty corpus; raise `AlreadyExists` or `InvalidInput`."""
        self._principal.require("ingest")
        corpus = new_corpus(name, base_url, language)
        async with self._database.transaction() as session:
            await Corpora(session).add(corpus)
        return _summarize(corpus, {})

    async def check_visible(self, name: str) -> None:
        """Raise `NotFound` if the corpus exists but the principal may not see it."""
        async with self._database.read_transaction() as session:
            if await Corpora(session).find(name) is not None:
                await Corpora(session, self._principal).get(name)

    async def delete(self, name: str) -> None:
        """Delete a corpus and everything in it; raise `NotFound`.

        The index is deleted first, so that no search finds a passage whose source is already deleted. A
        running ingestion is not waited for: it fails, and what it wrote in the meantime is deleted, too.
        """
        self._principal.require("ingest")
        async with self._database.read_transaction() as session:
            await Corpora(session, self._principal).get(name)
            uploads = [s for s in await Sources(session).of_corpus(name) if is_upload(s)]
        await self._indexes.remove_corpus(name)
        async with self._database.transaction() as session:
            await Corpora(session).remove(name)
        await self._indexes.remove_corpus(name)
        for source in uploads:
            await self._blobs.remove(original_blob(source.id))

    async def set_readers(self, name: str, readers: Sequence[str] | None) -> CorpusSummary:
        """Allow only these readers (`user:NAME`, `group:NAME`), or with None everyone who may ask questions.

        Raises `InvalidInput` for a malformed reader, and `NotFound`.
        """
        self._principal.require("admin")
        for reader in readers or ():
            if not re.fullmatch(r"(?:user|group):.+", reader):
                raise InvalidInput(f"A reader is user:NAME or group:NAME, not {reader[:80]!r}.")
        async with self._database.transaction() as session:
            corpus = await Corpora(session).set_readers(name, readers)
            counts = await Sources(session).counts()
        return _summarize(corpus, counts, sorted(set(readers or ())))

    async def set_peer_review_weight(self, name: str, weight: float) -> CorpusSummary:
        """Set how much peer-reviewed sources gain in rankings: a weight in [0, 1], where 0 is no preference.

        With a preference, answers tell which claims rest on other sources. Raises `InvalidInput` or
        `NotFound`.
        """
        self._principal.require("ingest")
        if not 0 <= weight <= 1:
            raise InvalidInput(f"A weight must be between 0 and 1, not {weight}.")
        async with self._database.transaction() as session:
            corpus = await Corpora(session, self._principal).get(name)
            corpus.peer_review_weight = weight
            counts = await Sources(session).counts()
        return _summarize(corpus, counts)

    @retry_on_lost_connection
    async def sources(
        self, corpora: Sequence[str] = (), limit: int = 100, offset: int = 0
    ) -> list[Source]:
        """Return live sources, sorted by corpus and location; raise `NotFound` for an unknown corpus."""
        async with self._database.read_transaction() as session:
            repository = Corpora(session, self._principal)
            names = [(await repository.get(name)).name for name in corpora]
            names = names or [corpus.name for corpus in await repository.all()]
            live = await Sources(session).live_page(names, limit, offset)
        return [self._hide_path(source) for source in live]

    @retry_on_lost_connection
    async def source(self, source_id: UUID) -> Source:
        """Return a source; raise `NotFound`."""
        async with self._database.read_transaction() as session:
            source = await Sources(session).get_visible(self._principal, source_id)
        return self._hide_path(source)

    async def delete_source(self, source_id: UUID) -> None:
        """Delete a source from the index, and its uploaded original; its row and its cited texts are kept.

        Raises `NotFound`, or `CorpusBusy` while its corpus is being ingested into.
        """
        self._principal.require("ingest")
        corpus = (await self.source(source_id)).corpus
        async with self._locks.try_hold(corpus_lock_name(corpus)) as is_free:
            if not is_free:
                raise CorpusBusy(
                    f"The corpus {corpus!r} is being changed by an ingestion. Try again afterwards."
                )
            await self._indexes.remove([source_id])
            async with self._database.transaction() as session:
                repository = Sources(session)
                (await repository.get(source_id)).remove()
                await repository.prune_texts()
            await self._blobs.remove(original_blob(source_id))

    async def original(self, source_id: UUID) -> tuple[Source, bytes]:
        """Return a source and the bytes that were uploaded; raise `NotFound`, also if it was not uploaded."""
        source = await self.source(source_id)
        if not is_upload(source):
            raise NotFound("original", source_id, "Only uploaded files are kept.")
        return source, await self._blobs.read(original_blob(source_id))

    @retry_on_lost_connection
    async def text(self, source_id: UUID, version: int | None = None) -> SourceText:
        """Return the canonical text of a version, by default the live one; raise `NotFound`."""
        async with self._database.read_transaction() as session:
            sources = Sources(session)
            await sources.get_visible(self._principal, source_id)
            text = await sources.text(source_id, version)
        return text if self._principal.is_admin else text_without_path(text)

    async def passage(self, passage_id: UUID) -> PassageInContext:
        """Return a passage; raise `NotFound` if it is not in the index or the principal may not see it."""
        try:
            passage = await (await self._indexes.serving()).passage(passage_id)
            text = (await self.text(passage.source_id, passage.version)).text
        except NotFound as error:
            raise NotFound(
                "passage", passage_id, "It may have been replaced by a newer version."
            ) from error
        return PassageInContext(
            passage=passage if self._principal.is_admin else passage_without_path(passage),
            before=text[max(0, passage.start - _CONTEXT_LENGTH) : passage.start],
            after=text[passage.end : passage.end + _CONTEXT_LENGTH],
        )

    def _hide_path(self, source: Source) -> Source:
        return source if self._principal.is_admin else source_without_path(source)


def _summarize(
    corpus: Corpus, counts: dict[str, tuple[int, int]], readers: Sequence[str] = ()
) -> CorpusSummary:
    sources, passages = counts.get(corpus.name, (0, 0))
    return CorpusSummary(
        name=corpus.name,
        base_url=corpus.base_url,
        language=corpus.language,
        access=corpus.access,
        peer_review_weight=corpus.peer_review_weight,
        readers=tuple(readers),
        sources=sources,
        passages=passages,
    )
