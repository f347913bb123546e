"""Releases as their users live them: built beside, level with what serves, and back again."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.evaluation.golden_generation import generate_golden, write_golden
from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from pipelines.releases.service import ReleaseService
from storage.domain import Fingerprint, Passage
from storage.errors import IndexDamaged, NotFound, ReleaseRefused
from storage.index.engine import Delete
from storage.index.passages import PassageIndex
from tests.library import PAGES
from tests.walks.test_ingesting import record_embedded

QUESTION = "How much paraffin does the lamp burn?"


@pytest.fixture(params=[None, ":memory:"], ids=["embedded", "server"])
async def manual(
    request: pytest.FixtureRequest, tmp_path: Path, docs: Path
) -> AsyncIterator[Services]:
    """The manual ingested, on either engine."""
    settings = Settings(ibid_home=tmp_path / "home", qdrant_url=request.param)
    async with open_services(settings) as services:
        await services.ingestion.run([docs], base_url="https://skerry.example")
        yield services


async def texts(services: Services, query: str = QUESTION) -> list[str]:
    return [
        passage.text for passage in await services.search.passages(SearchRequest(query, limit=50))
    ]


async def everything(services: Services) -> dict[str, Passage]:
    """All that serves, but for versions and scores."""
    found = await services.search.passages(
        SearchRequest("the lamp foghorn logbook tides", limit=100)
    )
    blank = {"score": None, "similarity": None, "bm25": None}
    return {str(passage.id): passage.model_copy(update=blank) for passage in found}


def reindexing(services: Services, **changed: object) -> ReleaseService:
    """As it would be after a setting was changed, or Ibid upgraded."""
    own = services.reindexing
    configured = own._configured.model_copy(update=changed)
    return ReleaseService(
        services.database, services.indexes, configured, services.locks, services.blobs, kept=2
    )


# Building


async def test_a_copy_of_the_passages_answers_alike_and_costs_no_embedding(
    manual: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await everything(manual)
    embedded = record_embedded(monkeypatch)
    built = await reindexing(manual, quantized=True).reindex()
    assert (built.before, built.release) == ("ibid-1", "ibid-2")
    assert embedded == []
    assert await everything(manual) == before
    assert await manual.search.serving_release() == "ibid-2"


async def test_another_embedding_embeds_everything_once(
    manual: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = len(await everything(manual))
    embedded = record_embedded(monkeypatch)
    await _as_another_embedding(manual).reindex()
    assert len(embedded) == passages
    assert any("2.4 litres" in text for text in await texts(manual))


def _as_another_embedding(services: Services) -> ReleaseService:
    """The local one under another name: a stand-in for a model with vectors of its own."""
    build = services.indexes._embeddings

    def built(made: Fingerprint) -> object:
        return build(made.model_copy(update={"embedding": "wordllama/l2_supercat_256"}))

    services.indexes._embeddings = built  # type: ignore[assignment]
    return reindexing(services, embedding="another")


async def test_files_are_read_again_when_they_would_be_read_otherwise(
    manual: Services, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = await everything(manual)
    (docs / "foghorn.mdx").unlink()
    (docs / "tides.txt").write_text("Something else, not ingested yet.")
    embedded = record_embedded(monkeypatch)
    await reindexing(manual, reader="next").reindex()
    found = await everything(manual)
    assert embedded == [], "the same section and text keep their vectors"
    assert sorted(p.text for p in found.values()) == sorted(p.text for p in passages.values())
    kept = {p.url for p in found.values() if p.version == 1}
    assert {url.rpartition("/")[2].partition("#")[0] for url in kept} == {"foghorn", "tides.txt"}
    for passage in found.values():
        text = (await manual.library.text(passage.source_id, passage.version)).text
        assert text[passage.start : passage.end] == passage.text


async def test_an_upgrade_or_a_setting_alone_builds_nothing(
    manual: Services, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = record_embedded(monkeypatch)
    proposal = await reindexing(manual, reader="next", embedding="another").proposal()
    assert proposal is not None
    assert proposal.changed == ("reader", "embedding")
    assert (proposal.sources, proposal.calls) == (len(PAGES), 1)
    assert proposal.tokens > 100
    report = await manual.ingestion.run([docs])
    assert (report.unchanged, embedded) == (len(PAGES), [])
    assert await manual.reindexing.proposal() is None
    assert await manual.search.serving_release() == "ibid-1"


async def test_an_answers_quotes_stay_where_they_were(manual: Services) -> None:
    conversation = await manual.chat.start()
    answer = await manual.chat.answer(conversation.id, QUESTION)
    await reindexing(manual, reader="next").reindex()
    await reindexing(manual, reader="after next").reindex()
    for citation in answer.citations:
        source = await manual.library.text(citation.source_id, citation.source_version)
        assert source.text[citation.start : citation.end] == citation.quote


async def test_the_last_few_are_kept(manual: Services) -> None:
    for number in range(3):
        await reindexing(manual, reader=f"next {number}").reindex()
    standing = await manual.reindexing.releases()
    assert [(one.name, one.state) for one in standing] == [
        ("ibid-4", "serving"),
        ("ibid-3", "kept"),
    ]
    assert standing[0].passages == standing[1].passages == len(await everything(manual))
    assert await manual.indexes.engine.collections() == ["ibid-3", "ibid-4"]


# What happens meanwhile


async def test_searches_meanwhile_neither_fail_nor_miss(manual: Services) -> None:
    done = asyncio.Event()

    async def look() -> tuple[int, int]:
        looks = misses = 0
        while not done.is_set():
            misses += not any("2.4 litres" in text for text in await texts(manual))
            looks += 1
            await asyncio.sleep(0)  # an engine in memory never waits for anything
        return looks, misses

    looking = [asyncio.create_task(look()) for _ in range(4)]
    await _as_another_embedding(manual).reindex()
    await manual.reindexing.rollback()
    await manual.reindexing.rollback()
    done.set()
    found = await asyncio.gather(*looking)
    assert all(looks > 3 and misses == 0 for looks, misses in found), found


async def test_what_is_ingested_during_a_build_is_in_both(manual: Services, docs: Path) -> None:
    async def change(_: PassageIndex, __: PassageIndex) -> None:
        (docs / "lamp/lighting.md").write_text("# The lamp\n\nIt burns 3.1 litres of paraffin.\n")
        (docs / "tides.txt").unlink()
        (docs / "boats.md").write_text("# Boats\n\nThe cutter brings paraffin on Thursdays.\n")
        await manual.ingestion.run([docs])

    built = reindexing(manual, reader="next")
    built._gate = change
    await built.reindex()
    for _ in range(2):
        found = await texts(manual, "paraffin tides high water")
        assert any("3.1 litres" in text for text in found)
        assert any("Thursdays" in text for text in found)
        assert not any("2.4 litres" in text or "fifty minutes" in text for text in found)
        await manual.reindexing.rollback()


async def test_a_rollback_makes_up_for_what_changed_since(manual: Services, docs: Path) -> None:
    await _as_another_embedding(manual).reindex()
    (docs / "lamp/lighting.md").write_text("# The lamp\n\nIt burns 3.1 litres of paraffin.\n")
    (docs / "tides.txt").unlink()
    await manual.ingestion.run([docs])
    back = await manual.reindexing.rollback()
    assert (back.before, back.release) == ("ibid-2", "ibid-1")
    found = await texts(manual, "paraffin tides high water")
    assert any("3.1 litres" in text for text in found)
    assert not any("2.4 litres" in text or "fifty minutes" in text for text in found)
    report = await manual.ingestion.run([docs])
    assert report.unchanged == len(PAGES) - 1


async def test_what_is_removed_is_purged_from_every_release(manual: Services, docs: Path) -> None:
    await reindexing(manual, reader="next").reindex()
    (docs / "tides.txt").unlink()
    await manual.ingestion.run([docs])
    for collection in await manual.indexes.engine.collections():
        records = await manual.indexes.engine.scan(collection, {})
        assert records
        assert not any("fifty minutes" in str(record.payload["text"]) for record in records)
    await manual.library.delete("default")
    for collection in await manual.indexes.engine.collections():
        assert await manual.indexes.engine.scan(collection, {}) == []


# What goes wrong


async def test_a_release_that_the_gate_refuses_does_not_serve(manual: Services) -> None:
    async def refuse(_: PassageIndex, __: PassageIndex) -> None:
        raise ReleaseRefused("It finds 3 of 10 where 9 were found.")

    refused = reindexing(manual, reader="next")
    refused._gate = refuse
    with pytest.raises(ReleaseRefused):
        await refused.reindex()
    assert await manual.search.serving_release() == "ibid-1"
    states = [(one.name, one.state) for one in await manual.reindexing.releases()]
    assert states == [("ibid-2", "building"), ("ibid-1", "serving")]
    refused._gate = None
    assert (await refused.reindex()).release == "ibid-2", "it is not built twice"


async def test_a_build_that_was_cut_off_goes_on_where_it_was(
    manual: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = len(await everything(manual))
    another = _as_another_embedding(manual)
    monkeypatch.setattr("pipelines.releases.build._BATCH", 1)
    original, calls = PassageIndex.publish, 0

    async def break_off(index: PassageIndex, versions: object) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise asyncio.CancelledError
        await original(index, versions)  # type: ignore[arg-type]

    embedded = record_embedded(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr(PassageIndex, "publish", break_off)
        with pytest.raises(asyncio.CancelledError):
            await another.reindex()
    assert any("2.4 litres" in text for text in await texts(manual))
    assert 0 < len(embedded) < passages
    await another.reindex()
    assert len(embedded) == passages
    assert len(await everything(manual)) == passages


async def test_a_flip_that_was_cut_off_is_finished(manual: Services) -> None:
    await reindexing(manual, reader="next").reindex()
    await manual.indexes.engine.set_alias("ibid", "ibid-1")
    standing = await manual.reindexing.releases()
    assert [(one.name, one.state) for one in standing] == [
        ("ibid-2", "kept"),
        ("ibid-1", "serving"),
    ]
    assert {passage.version for passage in (await everything(manual)).values()} == {1}


async def test_a_release_that_lost_passages_is_not_let_serve(manual: Services) -> None:
    await reindexing(manual, reader="next").reindex()
    records = await manual.indexes.engine.scan("ibid-1", {})
    gone = Delete({"source_id": [str(records[0].payload["source_id"])]})
    await manual.indexes.engine.apply("ibid-1", [gone])
    with pytest.raises(IndexDamaged, match="so it was not published"):
        await manual.reindexing.rollback()
    assert await manual.search.serving_release() == "ibid-2"


async def test_there_must_be_something_to_go_back_to(manual: Services) -> None:
    with pytest.raises(NotFound, match="There is no earlier release"):
        await manual.reindexing.rollback()
    await reindexing(manual, reader="next").reindex()
    with pytest.raises(NotFound, match="These releases are kept: ibid-1"):
        await manual.reindexing.rollback("ibid-7")


async def test_an_index_of_another_database_is_left_alone(tmp_path: Path, docs: Path) -> None:
    settings = Settings(ibid_home=tmp_path / "home")
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
    (settings.ibid_home / "ibid.db").rename(settings.ibid_home / "lost.db")
    async with open_services(settings) as services:
        report = await services.ingestion.run([docs])
        assert report.added == len(PAGES)
        found = await texts(services)
        assert sum("2.4 litres" in text for text in found) == 1
        assert await services.indexes.engine.collections() == ["ibid-1", "ibid-2"]


async def test_the_gate_holds_a_release_to_the_golden_set(
    manual: Services, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = await generate_golden(manual.search, manual.indexes, "default")
    write_golden(golden, settings.golden_folder / "default")
    assert (await manual.reindexing.reindex()).release == "ibid-2"

    original = PassageIndex.search

    async def search(index: PassageIndex, query: str, *arguments: Any) -> list[Passage]:
        """The next release finds half of what it has."""
        found = await original(index, query, *arguments)
        return found if index.collection == "ibid-2" else found[: len(query) % 2]

    monkeypatch.setattr(PassageIndex, "search", search)
    with pytest.raises(ReleaseRefused, match=r"ibid-2 has 100\.0% and stays active"):
        await manual.reindexing.reindex()
    assert await manual.search.serving_release() == "ibid-2"
