"""Versions and languages of one documentation do not mix, on either engine."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.chat.request import AnswerRequest
from app.retrieval.filters import newest
from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from storage.errors import InvalidInput

QUESTION = "How much paraffin does the lamp burn?"
ASKED = "Wie viel Paraffin verbraucht die Lampe?"
PLUGIN = "docusaurus-plugin-content-docs"
PAGES = {
    "docs/lamp.md": "The lamp burns 9 litres of paraffin an hour.",
    "docs/draft.md": "---\ndraft: true\n---\nThe lamp burns 7 litres of paraffin an hour.",
    "versioned_docs/version-10.0/lamp.md": "The lamp burns 3 litres of paraffin an hour.",
    "versioned_docs/version-9.0/lamp.md": "The lamp burns 2 litres of paraffin an hour.",
    f"i18n/de/{PLUGIN}/version-10.0/lamp.md": "Die Lampe verbraucht 3 Liter Paraffin die Stunde.",
    f"i18n/de/{PLUGIN}/version-9.0/lamp.md": "Die Lampe verbraucht 2 Liter Paraffin die Stunde.",
    "blog/lamp.md": "News from the rocks of Skerry Point.",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    for name, text in PAGES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "versions.json").write_text('["10.0", "9.0"]')
    (root / "docusaurus.config.js").write_text("module.exports = {};")
    return root


@pytest.fixture(params=[None, ":memory:"], ids=["embedded", "server"])
async def ingested(
    request: pytest.FixtureRequest, tmp_path: Path, site: Path
) -> AsyncIterator[Services]:
    settings = Settings(ibid_home=tmp_path / "home", qdrant_url=request.param)
    async with open_services(settings) as services:
        await services.ingestion.run([site], base_url="https://skerry.example")
        yield services


async def urls(services: Services, query: str = QUESTION, **only: str) -> set[str]:
    found = await services.search.passages(SearchRequest(query, limit=50, filter=only))
    return {passage.url.removeprefix("https://skerry.example/") for passage in found}


async def test_the_newest_version_in_the_language_of_the_corpus(ingested: Services) -> None:
    assert await urls(ingested) == {"docs/lamp", "blog/lamp"}


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ({"version": "9.0"}, {"docs/9.0/lamp"}),
        ({"version": "next"}, {"docs/next/lamp"}),
        ({"locale": "de"}, {"de/docs/lamp"}),
        ({"locale": "de", "version": "9.0"}, {"de/docs/9.0/lamp"}),
        ({"locale": "de", "version": "next"}, set()),
    ],
)
async def test_a_filter_names_another(
    ingested: Services, only: dict[str, str], expected: set[str]
) -> None:
    if expected:
        assert await urls(ingested, **only) == expected
    else:
        with pytest.raises(InvalidInput, match="No page has"):
            await urls(ingested, **only)


@pytest.mark.parametrize(
    ("only", "told"),
    [
        ({"colour": "red"}, "'version' or 'locale', not 'colour'"),
        ({"version": "8.0"}, r"No page has the version '8.0'\. There are: 10.0, 9.0, next"),
        ({"locale": "fr"}, r"There are: de, en"),
    ],
)
async def test_what_there_is_not_is_named(
    ingested: Services, only: dict[str, str], told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        await urls(ingested, **only)


async def test_an_answer_rests_on_one_version(ingested: Services) -> None:
    conversation = await ingested.chat.start()
    for only, quantity, route in (
        ({}, "3 litres", "docs/lamp"),
        ({"version": "9.0"}, "2 litres", "docs/9.0/lamp"),
    ):
        answer = await ingested.chat.answer(conversation.id, AnswerRequest(QUESTION, filter=only))
        quotes = {citation.url.partition(":~:")[0]: citation.quote for citation in answer.citations}
        assert quantity in quotes[f"https://skerry.example/{route}#"]
        assert set(quotes) <= {f"https://skerry.example/{at}#" for at in (route, "blog/lamp")}


async def test_passages_and_sources_say_their_edition(ingested: Services) -> None:
    (passage,) = await ingested.search.passages(SearchRequest(ASKED, filter={"locale": "de"}))
    assert (passage.docs_version, passage.locale) == ("10.0", "de")
    assert passage.metadata == {"version": "10.0", "locale": "de"}
    source = await ingested.library.source(passage.source_id)
    assert (source.docs_version, source.locale) == ("10.0", "de")


async def test_a_page_that_becomes_a_draft_goes(ingested: Services, site: Path) -> None:
    page = site / "versioned_docs/version-10.0/lamp.md"
    page.write_text(f"---\ndraft: true\n---\n{page.read_text()}")
    report = await ingested.ingestion.run([site])
    assert (report.removed, report.failed) == (1, ())
    assert "docs/lamp" not in await urls(ingested)


@pytest.mark.parametrize(
    ("versions", "latest"),
    [
        (["1.9", "1.10", "1.2"], "1.10"),
        (["v2", "v10", "v9"], "v10"),
        (["2.x", "1.x"], "2.x"),
        (["3.0.0-beta.2", "3.0.0-rc.1", "2.9"], "3.0.0-rc.1"),
        (["3.0.0-beta.2", "3.0.0"], "3.0.0"),
        (["next", "1.0"], "1.0"),
        (["next"], "next"),
        (["jellyfish", "kilimanjaro"], "kilimanjaro"),
    ],
)
def test_the_newest_is_told_by_its_numbers(versions: list[str], latest: str) -> None:
    assert newest(versions) == newest(versions[::-1]) == latest
