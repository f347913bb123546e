"""Passages in the vector store: found by a hybrid search, replaced without ever being missing."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from llama_index.core.base.embeddings.base import BaseEmbedding

from storage.domain import Passage
from storage.errors import IndexMismatch, NotFound
from storage.index.engine import Delete, Engine, Payload, Point, Query, Scalar, Schema, SetPayload
from storage.index.sparse import encode_document, encode_query

ALIAS = "ibid"
"""What every search goes to; which collection that is can change under it."""

_KEYWORDS = ["corpus", "edition", "source_id", "state"]
_INTEGERS = ["version"]
FILTERED = (*_KEYWORDS, *_INTEGERS)
"""Fields of the payload that searches and changes filter by."""
_BATCH = 256

Content = tuple[tuple[str, ...], str]
"""What a passage's vector is made from: section path, which begins with the title, and text."""


class PassageIndex:
    """A collection of passages and the embedding that gives its vectors meaning."""

    def __init__(
        self,
        engine: Engine,
        embedding: BaseEmbedding,
        *,
        dimension: int,
        on_disk: bool = False,
        quantized: bool = False,
    ) -> None:
        self.engine = engine
        self.embedding = embedding
        self._schema = Schema(dimension, _KEYWORDS, _INTEGERS, on_disk, quantized)

    @property
    def dimension(self) -> int:
        """Length of the dense vectors."""
        return self._schema.dimension

    async def release(self) -> str | None:
        """The collection that serves; None before anything was ingested."""
        return (await self.engine.aliases()).get(ALIAS)

    async def create(self) -> str:
        """An empty collection that serves from now on; returns its name."""
        taken = await self.engine.collections()
        number = max((int(name.rpartition("-")[2]) for name in taken if _is_ours(name)), default=0)
        collection = f"{ALIAS}-{number + 1}"
        await self.engine.create(collection, self._schema)
        await self.engine.point(ALIAS, collection)
        return collection

    async def search(
        self,
        query: str,
        corpora: Sequence[str],
        languages: Iterable[str],
        limit: int,
        editions: Sequence[str] = (),
    ) -> list[Passage]:
        """Live passages of these corpora, best first, in one round trip to the engine.

        `editions` are keys, and none means all: then no field is asked for that an index built
        before there were editions does not have.
        """
        where: dict[str, list[Scalar]] = {"corpus": list(corpora)}
        if editions:
            where["edition"] = list(editions)
        hits = await self.engine.search(
            ALIAS,
            Query(
                where=_live(**where),
                limit=limit,
                dense=await self.embedding.aget_query_embedding(query),
                sparse=encode_query(query, frozenset(languages)),
            ),
        )
        return [
            _passage(hit.id, hit.payload).model_copy(
                update={"score": hit.score, "similarity": hit.similarity, "bm25": hit.bm25}
            )
            for hit in hits
        ]

    async def passage(self, passage_id: UUID) -> Passage:
        """Raises `NotFound` when it is not, or no longer, in the index."""
        records = await self.engine.retrieve(ALIAS, [str(passage_id)])
        if not records:
            raise NotFound("passage", passage_id, "It may have been replaced by a newer version.")
        return _passage(records[0].id, records[0].payload)

    async def vectors(self, source_id: UUID) -> dict[Content, list[float]]:
        """The vectors a source's passages already have, so that unchanged ones need no embedding."""
        where: dict[str, list[Scalar]] = {"source_id": [str(source_id)]}
        records = await self.engine.scan(ALIAS, where, vectors=True)
        passages = [(_passage(record.id, record.payload), record.dense) for record in records]
        return {
            (passage.section, passage.text): dense
            for passage, dense in passages
            if dense is not None
        }

    async def stage(
        self, passages: Sequence[Passage], vectors: Sequence[list[float]], language: str
    ) -> None:
        """Write passages that no search sees until their version is published."""
        points = [
            Point(
                id=str(passage.id),
                dense=self._checked(vector),
                sparse=encode_document(_keywords(passage), language),
                payload=_payload(passage),
            )
            for passage, vector in zip(passages, vectors, strict=True)
        ]
        for start in range(0, len(points), _BATCH):
            await self.engine.upsert(ALIAS, points[start : start + _BATCH])

    async def publish(self, versions: Iterable[tuple[UUID, int]]) -> None:
        """Make these versions live and every other version of their sources gone, in one call.

        Each source's new passages go live before its old ones go: no search sees it missing.
        """
        changes: list[SetPayload | Delete] = []
        for source_id, version in versions:
            where: dict[str, list[Scalar]] = {"source_id": [str(source_id)]}
            one: dict[str, list[Scalar]] = {"version": [version]}
            changes.append(SetPayload(where | one, {"state": "live"}))
            changes.append(Delete(where, unless=one))
        await self.engine.apply(ALIAS, changes)

    async def discard(self, source_id: UUID, version: int) -> None:
        """Remove what was staged of a version that will not be published."""
        where: dict[str, list[Scalar]] = {
            "source_id": [str(source_id)],
            "version": [version],
            "state": ["staged"],
        }
        await self.engine.apply(ALIAS, [Delete(where)])

    async def remove(self, source_ids: Iterable[UUID]) -> None:
        """Remove sources, in every version."""
        ids: list[Scalar] = [str(source_id) for source_id in source_ids]
        await self.engine.apply(ALIAS, [Delete({"source_id": ids})])

    async def remove_corpus(self, corpus: str) -> None:
        """Remove everything of a corpus."""
        if await self.release() is not None:
            await self.engine.apply(ALIAS, [Delete({"corpus": [corpus]})])

    async def count(self, **where: list[Scalar]) -> int:
        """Live passages whose payload fields have these values."""
        return await self.engine.count(ALIAS, _live(**where))

    def _checked(self, vector: list[float]) -> list[float]:
        if len(vector) != self.dimension:
            raise IndexMismatch(
                f"The embedding gave {len(vector)} dimensions, the index has {self.dimension}."
            )
        return vector


def _is_ours(name: str) -> bool:
    prefix, _, number = name.rpartition("-")
    return prefix == ALIAS and number.isdecimal()


def _live(**where: list[Scalar]) -> dict[str, list[Scalar]]:
    return {**where, "state": ["live"]}


def _keywords(passage: Passage) -> str:
    """Title and headings count as words of the passage: a question often names only them."""
    return "\n".join((passage.title, *passage.section[1:], passage.text))


def _payload(passage: Passage) -> Payload:
    fields = passage.model_dump(mode="json", exclude={"id", "score", "similarity", "bm25"})
    return {**fields, "edition": passage.edition.key, "state": "staged"}


def _passage(point_id: str, payload: Payload) -> Passage:
    fields: dict[str, Any] = {**payload, "id": point_id}
    del fields["state"]
    fields.pop("edition", None)
    return Passage.model_validate(fields)
