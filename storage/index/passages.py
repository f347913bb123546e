"""Passages in the vector store: hybrid search, and replacement without a moment of absence."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from llama_index.core.base.embeddings.base import BaseEmbedding

from storage.concurrency import BackgroundWriter, prefetch
from storage.domain import Fingerprint, Passage
from storage.embeddings.local import SUPPORTED_LANGUAGES
from storage.errors import IndexMismatch, NotFound
from storage.index.bm25.encoder import encode_document, encode_query
from storage.index.bm25.tokenizer import is_latin
from storage.index.engine import (
    Delete,
    IndexEngine,
    Payload,
    Point,
    Query,
    Scalar,
    Schema,
    SetPayload,
)

FIELDS = "2"
"""Version of the payload and of a passage's index terms; increment it when either changes."""
_KEYWORDS = ["corpus", "edition", "source_id", "state"]
_INTEGERS = ["version"]
FILTER_FIELDS = (*_KEYWORDS, *_INTEGERS)
"""Payload fields that searches and changes filter by."""
_BATCH = 256
_DENSE_WEIGHT, _FOREIGN_DENSE_WEIGHT = 0.4, 0.15
"""Weight of the dense ranking in a fused score, out of 1 (`storage.index.fusion`); BM25 has the rest."""

EmbeddingInput = tuple[tuple[str, ...], str]
"""The input of a passage's embedding: its section path, which begins with the title, and its text."""


EmbeddingFactory = Callable[[Fingerprint], BaseEmbedding]
"""Builds the embedding that a release was made with; raises `InvalidInput` if its API key is missing."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The passages that a search may find: those of some corpora, in some editions."""

    corpora: tuple[str, ...]
    languages: frozenset[str]
    """The languages of the corpora."""
    editions: tuple[str, ...] = ()
    """Keys of the editions to search; empty when all editions of the corpora are searched."""


class PassageIndex:
    """A collection of passages and the embedding that computes its vectors."""

    def __init__(
        self,
        engine: IndexEngine,
        collection: str,
        fingerprint: Fingerprint,
        embeddings: EmbeddingFactory,
    ) -> None:
        self.engine = engine
        self.collection = collection
        self.fingerprint = fingerprint
        self._embeddings = embeddings

    @cached_property
    def embedding(self) -> BaseEmbedding:
        """The embedding, built on first use, because copying passages does not need it."""
        return self._embeddings(self.fingerprint)

    @property
    def dimension(self) -> int:
        """The number of dimensions of the dense vectors."""
        return self.fingerprint.dimension

    async def create(self) -> None:
        """Create the empty collection; do nothing if it exists."""
        made = self.fingerprint
        schema = Schema(made.dimension, _KEYWORDS, _INTEGERS, made.on_disk, made.quantized)
        await self.engine.create(self.collection, schema)

    async def search(
        self,
        query: str,
        selection: Selection,
        limit: int,
        keywords: Mapping[str, float] | None = None,
    ) -> list[Passage]:
        """Return the best `limit` live passages of the selection, best first, in one call to the engine.

        `keywords` maps texts to their weights for BM25; without it, BM25 searches for the query's own words.
        """
        vector = await self.embedding.aget_query_embedding(query)
        return await self._search_vector(query, vector, keywords or {query: 1.0}, selection, limit)

    async def search_many(
        self, queries: Sequence[str], selection: Selection, limit: int
    ) -> AsyncGenerator[tuple[str, list[Passage]]]:
        """Search for several queries in the same selection, and yield each query with its passages.

        The queries are embedded in one batch, as documents are. The next search already runs while the
        caller handles a result.
        """
        vectors = await self.embedding.aget_text_embedding_batch([*queries])
        pieces = (
            partial(self._search_vector, query, vector, {query: 1.0}, selection, limit)
            for query, vector in zip(queries, vectors, strict=True)
        )
        async with aclosing(prefetch(pieces)) as searches:
            for query in queries:
                yield query, await anext(searches)

    async def passage(self, passage_id: UUID) -> Passage:
        """Return a passage; raise `NotFound` if the index does not contain it, or no longer does."""
        records = await self.engine.retrieve(self.collection, [str(passage_id)])
        if not records:
            raise NotFound("passage", passage_id, "It may have been replaced by a newer version.")
        return to_passage(records[0].id, records[0].payload)

    async def passages(
        self, source_ids: Iterable[UUID], *, staged: bool = False
    ) -> list[tuple[Passage, list[float]]]:
        """Return all passages of the sources with their vectors, in order; with `staged`, staged ones too."""
        where: dict[str, list[Scalar]] = {"source_id": [str(source_id) for source_id in source_ids]}
        where = where if staged else _live_filter(**where)
        records = await self.engine.scan(self.collection, where, vectors=True)
        found = [(to_passage(record.id, record.payload), record.dense or []) for record in records]
        return sorted(found, key=lambda pair: (pair[0].source_id, pair[0].version, pair[0].ordinal))

    async def sample(self, selection: Selection, limit: int) -> list[Passage]:
        """Return up to `limit` passages that a search could find.

        They are those with the lowest ids: effectively a random sample, but always the same one.
        """
        records = await self.engine.scan(self.collection, search_filter(selection), limit=limit)
        return [to_passage(record.id, record.payload) for record in records]

    async def list_passages(self, selection: Selection) -> list[Passage]:
        """Return all passages that a search could find, in the order of their ids."""
        records = await self.engine.scan(self.collection, search_filter(selection))
        return [to_passage(record.id, record.payload) for record in records]

    async def vectors(self, source_id: UUID) -> dict[EmbeddingInput, list[float]]:
        """Return the existing vectors of a source's passages, live or staged, by content."""
        return {
            (passage.section, passage.text): vector
            for passage, vector in await self.passages([source_id], staged=True)
        }

    async def stage(
        self, passages: Sequence[Passage], vectors: Sequence[list[float]], language: str
    ) -> None:
        """Write passages that no search finds until their version is published.

        While the engine writes one batch, the next is encoded.
        """
        async with BackgroundWriter() as writing:
            for start in range(0, len(passages), _BATCH):
                some = slice(start, start + _BATCH)
                points = self._points(passages[some], vectors[some], language)
                await writing.start(partial(self.engine.upsert, self.collection, points))

    async def publish(self, versions: Iterable[tuple[UUID, int]]) -> None:
        """Make these versions live and remove all other versions of their sources, in one call.

        A source's new passages become live before its old ones are removed: no search sees it missing.
        """
        changes: list[SetPayload | Delete] = []
        for source_id, version in versions:
            where: dict[str, list[Scalar]] = {"source_id": [str(source_id)]}
            one: dict[str, list[Scalar]] = {"version": [version]}
            changes.append(SetPayload(where | one, {"state": "live"}))
            changes.append(Delete(where, unless=one))
        await self.engine.apply(self.collection, changes)

    async def discard(self, source_id: UUID, version: int) -> None:
        """Remove the staged passages of a version that will not be published."""
        where: dict[str, list[Scalar]] = {
            "source_id": [str(source_id)],
            "version": [version],
            "state": ["staged"],
        }
        await self.engine.apply(self.collection, [Delete(where)])

    async def remove(self, source_ids: Iterable[UUID]) -> None:
        """Remove all versions of the sources."""
        ids: list[Scalar] = [str(source_id) for source_id in source_ids]
        await self.engine.apply(self.collection, [Delete({"source_id": ids})])

    async def remove_corpus(self, corpus: str) -> None:
        """Remove all passages of a corpus."""
        await self.engine.apply(self.collection, [Delete({"corpus": [corpus]})])

    async def count(self, **where: list[Scalar]) -> int:
        """Return the number of live passages whose payload fields have these values."""
        return await self.engine.count(self.collection, _live_filter(**where))

    async def count_version(self, source_id: UUID, version: int) -> int:
        """Return the number of passages of one version, live or staged."""
        where: dict[str, list[Scalar]] = {"source_id": [str(source_id)], "version": [version]}
        return await self.engine.count(self.collection, where)

    async def _search_vector(
        self,
        query: str,
        vector: list[float],
        keywords: Mapping[str, float],
        selection: Selection,
        limit: int,
    ) -> list[Passage]:
        dense_weight = self._dense_weight(query, selection.languages)
        hits = await self.engine.search(
            self.collection,
            Query(
                where=search_filter(selection),
                limit=limit,
                dense=vector,
                sparse=encode_query(keywords, selection.languages),
                dense_weight=dense_weight,
                sparse_weight=1 - dense_weight,
            ),
        )
        return [
            to_passage(h.id, h.payload, score=h.score, similarity=h.similarity, bm25=h.bm25)
            for h in hits
        ]

    def _points(
        self, passages: Sequence[Passage], vectors: Sequence[list[float]], language: str
    ) -> list[Point]:
        return [
            Point(
                id=str(passage.id),
                dense=self._check_dimension(vector),
                sparse=encode_document(_keyword_text(passage), language),
                payload=_to_payload(passage),
            )
            for passage, vector in zip(passages, vectors, strict=True)
        ]

    def _dense_weight(self, query: str, languages: frozenset[str]) -> float:
        """Return a low weight if the embedding was not trained on the query's language."""
        if not self.fingerprint.is_local:
            return _DENSE_WEIGHT
        known = not SUPPORTED_LANGUAGES.isdisjoint(languages) and is_latin(query)
        return _DENSE_WEIGHT if known else _FOREIGN_DENSE_WEIGHT

    def _check_dimension(self, vector: list[float]) -> list[float]:
        if len(vector) != self.dimension:
            raise IndexMismatch(
                f"The embedding has {len(vector)} dimensions, but the index has {self.dimension}."
            )
        return vector


def search_filter(selection: Selection) -> dict[str, list[Scalar]]:
    """Filter by edition only if editions are given: older indexes do not have that field."""
    editions: list[Scalar] = [*selection.editions]
    confined = {"edition": editions} if editions else {}
    return _live_filter(corpus=[*selection.corpora], **confined)


def _live_filter(**where: list[Scalar]) -> dict[str, list[Scalar]]:
    return {**where, "state": ["live"]}


def _keyword_text(passage: Passage) -> str:
    """Include the title and the headings: a question often contains only their words."""
    return "\n".join((passage.title, *passage.section[1:], passage.text))


def _to_payload(passage: Passage) -> Payload:
    fields = passage.model_dump(mode="json", exclude={"id", "score", "similarity", "bm25"})
    return {**fields, "edition": passage.edition.key, "state": "staged"}


def to_passage(point_id: str, payload: Payload, **scores: float | None) -> Passage:
    """Convert a stored point to a passage with these scores."""
    fields: dict[str, Any] = {**payload, **scores, "id": point_id}
    del fields["state"]
    fields.pop("edition", None)
    passage = Passage.model_validate(fields)
    passage.model_fields_set.clear()  # the set of field names is never read, and takes 2 kB
    return passage
