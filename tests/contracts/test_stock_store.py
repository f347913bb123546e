"""LlamaIndex's stock `QdrantVectorStore` reads what Ibid writes: a server directly, any engine read-only."""

import asyncio
import os
from uuid import uuid4

import pytest
from llama_index.core.vector_stores import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import AsyncQdrantClient

from app.retrieval.retriever import to_text_node
from pipelines.ingestion.fingerprint import build_fingerprint
from storage.domain import Passage
from storage.embeddings.local import DIMENSION, LocalEmbedding
from storage.index.engine import Filter, IndexEngine
from storage.index.passages import PassageIndex, Selection, search_filter
from storage.index.server.engine import ServerEngine
from storage.index.vector_store import FilteredIndex, build_vector_store
from tests.contracts.conftest import Make

TEXTS = ("The lens turns every ten seconds.", "Paraffin is delivered on Thursdays.")
LOCATIONS = [":memory:", *([url] if (url := os.environ.get("QDRANT_URL")) else [])]


@pytest.mark.parametrize("location", LOCATIONS, ids=["memory", "server"][: len(LOCATIONS)])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_stock_store_finds_passages_with_their_text(location: str) -> None:
    client = AsyncQdrantClient(location, check_compatibility=False)
    engine = ServerEngine(client, location, in_memory=location == ":memory:")
    embedding = LocalEmbedding()
    made = build_fingerprint(
        "local", embedding.model_name, DIMENSION, on_disk=False, quantized=False
    )
    index = PassageIndex(engine, f"test-{uuid4().hex}", made, lambda _: embedding)
    await index.create()
    source = uuid4()
    try:
        passages = [passage(source, ordinal, text) for ordinal, text in enumerate(TEXTS)]
        await index.stage(passages, embedding.get_text_embedding_batch(list(TEXTS)), "en")
        await index.publish([(source, 1)])
        store = QdrantVectorStore(index.collection, aclient=client)
        found = await store.aquery(
            VectorStoreQuery(
                query_embedding=embedding.get_query_embedding("When does paraffin come?"),
                similarity_top_k=1,
                filters=MetadataFilters(filters=[MetadataFilter(key="state", value="live")]),
            )
        )
    finally:
        await engine.drop(index.collection)
        await engine.close()
    assert found.nodes is not None
    assert [node.get_content() for node in found.nodes] == [TEXTS[1]]
    assert found.nodes[0].metadata["title"] == "The lamp"


async def test_the_read_only_store_finds_them_on_every_engine(
    engine: IndexEngine, make: Make
) -> None:
    embedding = LocalEmbedding()
    made = build_fingerprint(
        "local", embedding.model_name, DIMENSION, on_disk=False, quantized=False
    )
    index = PassageIndex(engine, await make(DIMENSION), made, lambda _: embedding)
    source = uuid4()
    passages = [passage(source, ordinal, text) for ordinal, text in enumerate(TEXTS)]
    await index.stage(passages, embedding.get_text_embedding_batch(list(TEXTS)), "en")
    await index.publish([(source, 1)])
    unpublished = passage(uuid4(), 0, TEXTS[1])
    await index.stage([unpublished], embedding.get_text_embedding_batch([TEXTS[1]]), "en")

    async def select(where: Filter) -> FilteredIndex:
        return FilteredIndex(
            index, {**search_filter(Selection(("manual",), frozenset({"en"}))), **where}
        )

    store = build_vector_store(select, to_text_node, asyncio.run, ["en"])
    for mode in VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.SPARSE:
        found = await store.aquery(
            VectorStoreQuery(
                query_embedding=embedding.get_query_embedding("When does paraffin come?"),
                query_str="When does paraffin come?",
                similarity_top_k=2,
                mode=mode,
            )
        )
        assert found.nodes is not None
        assert found.nodes[0].get_content() == TEXTS[1]
        assert str(unpublished.id) not in (found.ids or [])
    wanted = MetadataFilters(filters=[MetadataFilter(key="source_id", value=str(source))])
    assert {node.node_id for node in await store.aget_nodes(filters=wanted)} == {
        str(one.id) for one in passages
    }
    named = [str(passages[0].id), str(unpublished.id)]
    assert [node.node_id for node in await store.aget_nodes(named)] == named[:1]


def passage(source: object, ordinal: int, text: str) -> Passage:
    return Passage.model_validate(
        {
            "id": Passage.make_id(source, 1, ordinal),  # type: ignore[arg-type]
            "source_id": source,
            "corpus": "manual",
            "version": 1,
            "ordinal": ordinal,
            "title": "The lamp",
            "section": ("The lamp",),
            "url": "https://skerry.example/lamp",
            "text": text,
            "start": 0,
            "end": len(text),
        }
    )
