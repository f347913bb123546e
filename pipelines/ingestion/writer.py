"""Writes changed sources to one index: splits, embeds and stages them, then publishes them atomically."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any
from uuid import UUID

from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.schema import Document

from pipelines.ingestion.diff import SourceChange, SourceFailure, batches, read_ahead
from pipelines.ingestion.transformations import EmbedNew, SectionSplitter
from storage.concurrency import BackgroundWriter
from storage.index.passages import EmbeddingInput, PassageIndex
from storage.sql.database import Database
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Corpus

Calibrate = Callable[[str, PassageIndex], Awaitable[None]]
"""Measures a corpus in an index after a change, to decide later which questions it can answer."""


async def write_changes(
    database: Database,
    writer: "PassageWriter",
    corpus: Corpus,
    changes: Sequence[SourceChange],
    publish: Callable[[Corpus, Sequence[SourceChange], "PassageWriter"], Coroutine[Any, Any, None]],
) -> AsyncGenerator[tuple[list[SourceChange], list[SourceFailure]]]:
    """Yield each batch of changes after it is embedded, and its failures.

    While the engine's process publishes a batch, the next one is embedded and a third one is read.
    """
    async with BackgroundWriter() as publishing, aclosing(read_ahead(batches(changes))) as reading:
        async for batch, failed in reading:
            readable = [change for change in batch if change.document]
            await _assign_versions(database, readable)
            await writer.embed(corpus, readable)
            await publishing.start(partial(publish, corpus, readable, writer))
            yield batch, failed


async def _assign_versions(database: Database, changes: Sequence[SourceChange]) -> None:
    """Give each change the next version number of its source; a new source begins with 1."""
    async with database.transaction() as session:
        numbers = await Sources(session).reserve([change.source.id for change in changes])
    for change in changes:
        change.version = numbers.get(change.source.id, change.version)


class PassageWriter:
    """Writes to an index and reuses the vectors that exist in it or in one of the `others`."""

    def __init__(self, index: PassageIndex, *others: PassageIndex) -> None:
        self.index = index
        self._vector_indexes = [
            known
            for known in (*others, index)
            if known.fingerprint.shares_vectors(index.fingerprint)
        ]
        self._pipeline = IngestionPipeline(
            transformations=[SectionSplitter(), EmbedNew(embedding=index.embedding)],
            disable_cache=True,
        )

    async def embed(self, corpus: Corpus, changes: Sequence[SourceChange]) -> None:
        """Split and embed the changes; a passage whose section and text already have a vector reuses it."""
        known: dict[EmbeddingInput, list[float]] = {}
        for change in changes:
            if not change.is_new or change.source.staged:
                known |= await self._known_vectors(change.source.id)
        by_source = {str(change.source.id): change for change in changes}
        readings = {key: change.document for key, change in by_source.items()}
        documents = [Document(id_=key, text=change.text) for key, change in by_source.items()]
        nodes = await self._pipeline.arun(documents=documents, readings=readings, known=known)
        for node in nodes:
            by_source[node.ref_doc_id or ""].add_passage(node, corpus)

    async def write(self, corpus: Corpus, changes: Sequence[SourceChange]) -> None:
        """Publish the changes, which replace the earlier versions of their sources; free their texts."""
        passages = [passage for change in changes for passage in change.passages]
        vectors = [vector for change in changes for vector in change.vectors]
        await self.index.stage(passages, vectors, corpus.language)
        await self.index.publish((change.source.id, change.version) for change in changes)
        for change in changes:
            change.document, change.vectors = None, []

    async def _known_vectors(self, source_id: UUID) -> dict[EmbeddingInput, list[float]]:
        known: dict[EmbeddingInput, list[float]] = {}
        for index in self._vector_indexes:
            known |= await index.vectors(source_id)
        return known
