"""LlamaIndex's own vector store over Ibid's passages, on either engine, without a server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from llama_index.core import VectorStoreIndex
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import TextNode
from llama_index.core.vector_stores import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)
from pydantic import SecretStr

from app.settings import Settings
from app.wiring import Services, open_services
from storage.domain import RIGHTS, Principal
from storage.errors import Forbidden, IndexMismatch, InvalidInput, NotFound
from tests.doubles.services import Doubles
from tests.library import write_docs

FUEL = "How much paraffin does the lamp burn?"
SITE = "https://skerry.example"
EVE = Principal(name="eve", rights=RIGHTS["reader"])


pytestmark = pytest.mark.usefixtures("llamaindex_transformations")


@pytest.fixture(params=[None, ":memory:"], ids=["embedded", "server"])
async def manual(
    request: pytest.FixtureRequest, tmp_path: Path, docs: Path
) -> AsyncIterator[Services]:
    settings = Settings(ibid_home=tmp_path / "home", qdrant_url=request.param)
    async with open_services(settings) as services:
        await services.ingestion.run([docs], base_url=SITE)
        yield services


async def open_retriever(services: Services, **options: object) -> BaseRetriever:
    store = await services.open_vector_store()
    index = VectorStoreIndex.from_vector_store(
        store, embed_model=await services.serving_embedding()
    )
    return index.as_retriever(**options)


def only(**values: str | list[str]) -> MetadataFilters:
    operators = {str: FilterOperator.EQ, list: FilterOperator.IN}
    return MetadataFilters(
        filters=[
            MetadataFilter(key=key, value=value, operator=operators[type(value)])
            for key, value in values.items()
        ]
    )


async def test_the_stock_retriever_returns_passages_and_where_they_stand(manual: Services) -> None:
    nodes = await (await open_retriever(manual, similarity_top_k=3)).aretrieve(FUEL)
    assert "2.4 litres of paraffin" in nodes[0].text
    assert nodes[0].metadata["section"] == "Lighting the lamp > Fuel"
    assert nodes[0].metadata["url"] == f"{SITE}/lamp/lighting#fuel"
    assert nodes[0].metadata["corpus"] == "default"
    assert [node.score for node in nodes] == sorted([n.score or 0 for n in nodes], reverse=True)
    for node in nodes:
        text = await manual.library.text(UUID(node.metadata["source_id"]))
        assert node.text == text.text[node.metadata["start"] : node.metadata["end"]]
        assert node.node.ref_doc_id == node.metadata["source_id"]
    (passage,) = [
        passage
        for passage in await manual.search.passages(FUEL)
        if str(passage.id) == nodes[0].node_id
    ]
    assert nodes[0].score == pytest.approx(passage.similarity)


async def test_a_hybrid_query_also_searches_for_the_words(manual: Services) -> None:
    for mode in ("hybrid", "sparse"):
        retriever = await open_retriever(manual, similarity_top_k=2, vector_store_query_mode=mode)
        assert "paraffin" in (await retriever.aretrieve("paraffin"))[0].text
    assert await retriever.aretrieve("zzyzx") == []


async def test_code_that_is_not_async_may_use_it_in_a_thread(manual: Services) -> None:
    retriever = await open_retriever(manual)
    nodes = await asyncio.to_thread(retriever.retrieve, FUEL)
    assert [node.node_id for node in nodes] == [n.node_id for n in await retriever.aretrieve(FUEL)]
    with pytest.raises(RuntimeError, match="await the async method"):
        retriever.retrieve(FUEL)


async def test_nodes_are_read_by_id_and_by_source(manual: Services) -> None:
    store = await manual.open_vector_store()
    (found, *_) = await manual.search.passages(FUEL)
    (node,) = await store.aget_nodes([str(found.id)])
    assert node.get_content() == found.text
    whole = await store.aget_nodes(filters=only(source_id=str(found.source_id)))
    assert str(found.id) in {node.node_id for node in whole}
    assert {node.ref_doc_id for node in whole} == {str(found.source_id)}
    assert all(node.embedding for node in whole)
    assert len(await store.aget_nodes(limit=2)) == 2


async def test_it_is_read_only(manual: Services) -> None:
    store = await manual.open_vector_store()
    node = TextNode(text="Anything.", embedding=[0.0])
    for change in (
        lambda: store.async_add([node]),
        lambda: store.adelete("a document"),
        lambda: store.adelete_nodes(["a node"]),
        store.aclear,
    ):
        with pytest.raises(InvalidInput, match=r"read-only.*`ibid ingest`"):
            await change()
    for change in (
        lambda: store.add([node]),
        lambda: store.delete("a document"),
        lambda: store.delete_nodes(["a node"]),
        store.clear,
    ):
        with pytest.raises(InvalidInput, match=r"read-only.*`ibid ingest`"):
            change()
    assert await manual.search.passages(FUEL)


REFUSED = [
    (only(title="The foghorn"), "names 'version', 'locale', .* not 'title'"),
    (only(version="9.0"), "No page in these corpora has a version"),
    (only(version=["9.0", "10.0"]), "'version' has one value"),
    (only(corpus=[]), "'corpus' accepts no value"),
    (MetadataFilters(filters=[MetadataFilter(key="corpus", value=0.5)]), "are supported"),
    (
        MetadataFilters(filters=only(corpus="a").filters * 2, condition=FilterCondition.OR),
        "Use the operator IN",
    ),
]


async def test_what_it_cannot_do_is_refused(manual: Services) -> None:
    for filters, message in REFUSED:
        retriever = await open_retriever(manual, filters=filters)
        with pytest.raises(InvalidInput, match=message):
            await retriever.aretrieve(FUEL)
    options = {"search_params": {"exact": True}}
    retriever = await open_retriever(manual, vector_store_kwargs=options)
    with pytest.raises(InvalidInput, match="takes neither search parameters"):
        await retriever.aretrieve(FUEL)


async def test_a_reader_gets_the_corpora_that_are_open_to_them(
    manual: Services, tmp_path: Path
) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/pump.md").write_text("# The pump\n\nThe pump burns paraffin, too.\n")
    await manual.ingestion.run([tmp_path / "hidden"], "hidden")
    eve = await open_retriever(manual.acting_for(EVE), similarity_top_k=50)
    assert {node.metadata["corpus"] for node in await eve.aretrieve(FUEL)} == {"default", "hidden"}
    assert not any("file:" in node.metadata["url"] for node in await eve.aretrieve(FUEL))
    (pump,) = [n for n in await eve.aretrieve(FUEL) if n.metadata["corpus"] == "hidden"]
    store = await manual.acting_for(EVE).open_vector_store()

    await manual.library.set_readers("hidden", ["user:ada"])
    assert {node.metadata["corpus"] for node in await eve.aretrieve(FUEL)} == {"default"}
    assert await store.aget_nodes([pump.node_id]) == []
    assert not [n for n in await store.aget_nodes() if n.metadata["corpus"] == "hidden"]
    mine = await open_retriever(manual.acting_for(EVE), filters=only(corpus="hidden"))
    with pytest.raises(NotFound, match="no corpus 'hidden'"):
        await mine.aretrieve(FUEL)
    with pytest.raises(NotFound, match="no corpus 'hidden'"):
        await manual.acting_for(EVE).open_vector_store(["hidden"])
    with pytest.raises(Forbidden):
        await manual.acting_for(Principal(name="")).open_vector_store()
    ours = await open_retriever(manual, filters=only(corpus=["hidden"]))
    assert [node.node_id for node in await ours.aretrieve(FUEL)] == [pump.node_id]


async def test_a_store_of_one_corpus_has_no_other(manual: Services, tmp_path: Path) -> None:
    await manual.ingestion.run([write_docs(tmp_path / "copy")], "copy")
    store = await manual.open_vector_store(["copy"])
    assert {node.metadata["corpus"] for node in await store.aget_nodes()} == {"copy"}
    with pytest.raises(NotFound, match="This store has: copy"):
        await store.aget_nodes(filters=only(corpus="default"))


async def test_filters_choose_a_version_and_a_language_as_elsewhere(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for version, litres in (("10.0", 3), ("9.0", 2)):
        page = site / f"versioned_docs/version-{version}/lamp.md"
        page.parent.mkdir(parents=True)
        page.write_text(f"The lamp burns {litres} litres of paraffin an hour.")
    (site / "versions.json").write_text('["10.0", "9.0"]')
    (site / "docusaurus.config.js").write_text("module.exports = {};")
    async with open_services(Settings(ibid_home=tmp_path / "home")) as services:
        await services.ingestion.run([site], base_url=SITE)

        async def found(**options: object) -> list[str]:
            nodes = await (await open_retriever(services, **options)).aretrieve(FUEL)
            return [node.metadata["docs_version"] for node in nodes]

        assert await found() == ["10.0"]
        assert await found(filters=only(version="9.0")) == ["9.0"]
        older = await services.open_vector_store(filters={"version": "9.0"})
        (node,) = await older.aget_nodes()
        assert "2 litres" in node.get_content()


async def test_it_follows_the_serving_release(manual: Services, docs: Path) -> None:
    retriever = await open_retriever(manual)
    (docs / "lamp/lighting.md").write_text("# The lamp\n\nThe lamp burns rape oil, not paraffin.\n")
    await manual.ingestion.run([docs], base_url=SITE)
    await manual.reindexing.reindex()
    await manual.reindexing.reindex()
    (best, *_) = await retriever.aretrieve(FUEL)
    assert "rape oil" in best.text


async def test_a_release_of_another_embedding_needs_a_new_store(
    settings: Settings, docs: Path, doubles: Doubles
) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        retriever = await open_retriever(services)
        changes = {
            "embedding": "cohere",
            "cohere_api_key": SecretStr("sk-secret-0451"),
            "cohere_base_url": doubles.cohere,
        }
        hosted = settings.model_copy(update=changes)
        async with open_services(hosted) as other:
            await other.reindexing.reindex()
            with pytest.raises(IndexMismatch, match=r"was opened for .*Open the store"):
                await retriever.aretrieve(FUEL)
            assert await (await open_retriever(other)).aretrieve(FUEL)


async def test_nothing_is_opened_before_anything_was_ingested(services: Services) -> None:
    with pytest.raises(NotFound, match="ibid ingest"):
        await services.open_vector_store()
