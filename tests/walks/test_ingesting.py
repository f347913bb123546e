"""Ingestion as its users live it: only what changed is done, and nothing is lost on the way."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding

from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from storage.embeddings.local import LocalEmbedding
from storage.errors import InvalidInput, StorageFull
from storage.index.embedded.client import EngineClient
from storage.index.passages import PassageIndex
from tests.library import PAGES, write_docs

QUESTION = "How much paraffin does the lamp burn?"


async def search_texts(services: Services, query: str = QUESTION) -> list[str]:
    return [passage.text for passage in await services.search.passages(query)]


def record_embedded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are embedded from now on."""
    embedded: list[str] = []
    original = LocalEmbedding._aget_text_embeddings

    async def count(embedding: BaseEmbedding, texts: list[str]) -> Sequence[list[float]]:
        embedded.extend(texts)
        return await original(embedding, texts)

    monkeypatch.setattr(LocalEmbedding, "_aget_text_embeddings", count)
    return embedded


async def test_every_kind_of_page_is_found(services: Services, docs: Path) -> None:
    report = await services.ingestion.run([docs])
    assert (report.added, report.failed) == (len(PAGES), ())
    for query, words in {
        "paraffin an hour": "2.4 litres",
        "when does the foghorn sound": "two nautical miles",
        "how are wrong entries mended": "struck through once",
        "high water each day": "fifty minutes later",
    }.items():
        assert words in (await search_texts(services, query))[0]


async def test_every_passage_is_a_span_of_the_canonical_text(
    services: Services, docs: Path
) -> None:
    await services.ingestion.run([docs])
    passages = await services.search.passages(
        SearchRequest("the lamp, the foghorn, the logbook", limit=100)
    )
    assert len(passages) > len(PAGES)
    for passage in passages:
        text = (await services.library.text(passage.source_id, passage.version)).text
        assert text[passage.start : passage.end] == passage.text


async def test_what_is_unchanged_costs_nothing(
    services: Services, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await services.ingestion.run([docs])
    embedded = record_embedded(monkeypatch)
    report = await services.ingestion.run([docs])
    assert (report.unchanged, report.added, report.changed) == (len(PAGES), 0, 0)
    assert embedded == []


async def test_a_change_embeds_only_the_passages_that_changed(
    services: Services, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await services.ingestion.run([docs])
    embedded = record_embedded(monkeypatch)
    page = docs / "lamp/lighting.md"
    page.write_text(page.read_text().replace("2.4 litres", "3.1 litres"))
    report = await services.ingestion.run([docs])
    assert (report.changed, report.unchanged) == (1, len(PAGES) - 1)
    assert len(embedded) == 1
    texts = await search_texts(services)
    assert any("3.1 litres" in text for text in texts)
    assert not any("2.4 litres" in text for text in texts)


async def test_a_source_is_found_at_every_moment_of_its_replacement(
    services: Services, docs: Path
) -> None:
    await services.ingestion.run([docs])
    page = docs / "lamp/lighting.md"
    misses = 0
    done = asyncio.Event()

    async def look() -> int:
        looks = 0
        nonlocal misses
        while not done.is_set():
            misses += not any("litres of paraffin" in text for text in await search_texts(services))
            looks += 1
        return looks

    looking = asyncio.create_task(look())
    for litres in range(20):
        page.write_text(page.read_text() + f"\nOn day {litres} it burnt {litres} litres.\n")
        await services.ingestion.run([docs])
    done.set()
    assert await looking > 20
    assert misses == 0


async def test_what_has_gone_from_the_folder_goes(services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    (docs / "lamp/lighting.md").unlink()
    report = await services.ingestion.run([docs])
    assert report.removed == 1
    assert not any("paraffin" in text for text in await search_texts(services))


async def test_what_comes_back_is_found_again(services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    page = docs / "lamp/lighting.md"
    text = page.read_text()
    page.unlink()
    await services.ingestion.run([docs])
    page.write_text(text)
    report = await services.ingestion.run([docs])
    assert (report.added, report.changed) == (1, 0)
    assert any("2.4 litres" in text for text in await search_texts(services))


async def test_another_folder_is_left_alone(services: Services, docs: Path, tmp_path: Path) -> None:
    await services.ingestion.run([docs])
    other = tmp_path / "other"
    other.mkdir()
    (other / "boats.md").write_text("# Boats\n\nThe supply boat comes on Thursdays.\n")
    report = await services.ingestion.run([other])
    assert (report.added, report.removed) == (1, 0)
    assert any("2.4 litres" in text for text in await search_texts(services))


async def test_a_single_file_never_prunes(services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    report = await services.ingestion.run([docs / "tides.txt"])
    assert (report.unchanged, report.removed) == (1, 0)


async def test_a_page_keeps_its_link_when_it_is_ingested_by_itself(
    services: Services, docs: Path
) -> None:
    await services.ingestion.run([docs], base_url="https://skerry.example/manual/")
    page = docs / "lamp/lighting.md"
    page.write_text(page.read_text() + "\nMore.\n")
    await services.ingestion.run([page])
    passages = await services.search.passages(QUESTION)
    assert {passage.url for passage in passages if passage.section[-1] == "Fuel"} == {
        "https://skerry.example/manual/lamp/lighting#fuel"
    }


async def test_an_empty_or_missing_folder_removes_nothing(services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    kept = docs.rename(docs.with_name("moved"))
    with pytest.raises(InvalidInput, match="There is no file or folder"):
        await services.ingestion.run([docs])
    docs.mkdir()
    with pytest.raises(InvalidInput, match="nothing to read"):
        await services.ingestion.run([docs])
    assert await search_texts(services)
    report = await services.ingestion.run([docs], prune_empty=True)
    assert report.removed == len(PAGES)
    assert await search_texts(services) == []
    assert kept.is_dir()


async def test_a_file_that_cannot_be_read_costs_only_itself(services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    (docs / "lamp/lighting.md").write_bytes(b"\x00\x01\x02\xff" * 100)
    (docs / "new.md").write_text("# New\n\nThe new page speaks of seagulls.\n")
    report = await services.ingestion.run([docs])
    assert [failure.path for failure in report.failed] == [str(docs / "lamp/lighting.md")]
    assert (report.added, report.removed) == (1, 0)
    assert any("2.4 litres" in text for text in await search_texts(services)), (
        "the last good one serves"
    )


async def test_a_name_that_is_no_text_costs_only_its_file(services: Services, docs: Path) -> None:
    (docs / os.fsdecode(b"caf\xe9.md")).write_text("# Coffee\n\nIt is served at eight.\n")
    report = await services.ingestion.run([docs])
    assert [failure.reason for failure in report.failed] == [
        "Its name is not valid Unicode. Rename it."
    ]
    assert report.added == len(PAGES)
    report.model_dump_json()


async def test_a_new_base_url_moves_the_links_and_embeds_nothing(
    services: Services, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await services.ingestion.run([docs])
    embedded = record_embedded(monkeypatch)
    report = await services.ingestion.run([docs], base_url="https://skerry.example")
    assert report.changed == len(PAGES)
    assert embedded == []
    assert all(
        passage.url.startswith("https://skerry.example/")
        for passage in await services.search.passages(QUESTION)
    )


@pytest.mark.parametrize("step", ["stage", "publish"])
async def test_a_run_that_breaks_off_is_finished_by_the_next(
    settings: Settings, docs: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        page = docs / "lamp/lighting.md"
        page.write_text(page.read_text().replace("2.4 litres", "3.1 litres"))
        original = getattr(PassageIndex, step)

        async def break_off(*arguments: object) -> None:
            await original(*arguments)
            raise asyncio.CancelledError

        with monkeypatch.context() as patch:
            patch.setattr(PassageIndex, step, break_off)
            with pytest.raises(asyncio.CancelledError):
                await services.ingestion.run([docs])
        texts = await search_texts(services)
        assert sum("litres of paraffin" in text for text in texts) == 1, "one whole version serves"
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        texts = await search_texts(services)
        assert next(text for text in texts if "litres of" in text).count("3.1 litres") == 1
        assert not any("2.4 litres" in text for text in texts)


async def test_a_lost_index_is_filled_again_from_the_files(settings: Settings, docs: Path) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
    settings.index_folder.rename(settings.index_folder.with_name("damaged"))
    async with open_services(settings) as services:
        report = await services.ingestion.run([docs])
        assert report.unchanged == 0
        assert any("2.4 litres" in text for text in await search_texts(services))


async def test_a_collection_that_was_moved_away_is_filled_again(
    settings: Settings, docs: Path
) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        index = await services.indexes.serving()
        await index.engine.drop(index.collection)
        report = await services.ingestion.run([docs])
        assert report.unchanged == 0
        assert any("2.4 litres" in text for text in await search_texts(services))


async def test_equal_texts_in_two_places_are_two_sources(
    services: Services, tmp_path: Path
) -> None:
    docs = write_docs(tmp_path / "docs")
    (docs / "copy.txt").write_text(PAGES["tides.txt"])
    await services.ingestion.run([docs])
    (docs / "tides.txt").unlink()
    report = await services.ingestion.run([docs])
    assert report.removed == 1
    assert any("fifty minutes" in text for text in await search_texts(services, "high water"))


async def test_documents_that_are_not_read_are_named_with_what_to_do(
    services: Services, docs: Path
) -> None:
    for name in ("old.doc", "more.zip", "picture.png"):
        (docs / name).write_bytes(b"\xd0\xcf\x11\xe0")
    report = await services.ingestion.run([docs])
    assert report.added == len(PAGES)
    reasons = {Path(failure.path).name: failure.reason for failure in report.failed}
    assert reasons.keys() == {"old.doc", "more.zip"}
    assert "save it as .docx" in reasons["old.doc"]
    assert "Unpack it" in reasons["more.zip"]


@pytest.mark.parametrize("room", [True, False], ids=["room", "no room"])
async def test_what_became_slow_is_optimised_at_the_end_and_searched_either_way(
    services: Services, docs: Path, monkeypatch: pytest.MonkeyPatch, room: bool
) -> None:
    async def is_slow(_: EngineClient, __: str) -> bool:
        return True

    async def no_room(_: EngineClient, __: str) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(EngineClient, "is_slow", is_slow)
    if not room:
        monkeypatch.setattr(EngineClient, "optimize", no_room)
    phases: list[str] = []
    report = await services.ingestion.run([docs], on_phase=phases.append)
    assert phases == ["optimizing"]
    assert report.added == len(PAGES)
    assert len(await search_texts(services)) > 0


async def test_corpora_that_come_first_together_are_in_one_index(
    services: Services, docs: Path
) -> None:
    names = ("lamps", "foghorns", "boats")
    await asyncio.gather(*(services.ingestion.run([docs], name) for name in names))
    shelves = await services.library.corpora()
    assert {shelf.sources for shelf in shelves} == {len(PAGES)}
    index = await services.indexes.serving()
    assert await index.count() == sum(shelf.passages for shelf in shelves)
    for name in names:
        assert len(await services.search.passages(SearchRequest(QUESTION, corpora=[name]))) > 0
    assert len(await services.reindexing.releases()) == 1
