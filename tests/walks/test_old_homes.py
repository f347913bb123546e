"""A home that an earlier version of Ibid left behind works in this one, with all that is in it."""

import sqlite3
import tarfile
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from storage.domain import Answer
from storage.sql.database import HEAD
from tests.homes.documents import DELIVERY, EDITED, HEAT, HOURS, OPENING, PAGES, UPLOAD
from tests.homes.make_home import BASE_URL, CORPUS, FOLDER

HOMES = sorted(Path(__file__).parents[1].glob("homes/*.tar.xz"))
SAID = [
    HEAT,
    "“Rye bread is baked at 230 degrees. The oven door stays shut for the first twenty minutes.” [1]",
    DELIVERY,
    "“Rye flour comes from the mill on Tuesdays. A sack weighs 25 kilograms.” [1]",
    OPENING,
    "“The shop opens at six in the morning and closes when the bread is sold.” [1]",
]
BRICKS = "Who replaces broken fire bricks?"


@pytest.fixture(params=HOMES, ids=lambda home: home.name.partition(".")[0])
def docs(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The documents of an old home, which is unpacked beside them and knows them at this place."""
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    with closing(sqlite3.connect(tmp_path / "home/ibid.db")) as database, database:
        for column in ("sources.location", "sources.root", "holdings.held"):
            table, name = column.split(".")
            moved = f"update {table} set {name} = replace({name}, ?, ?)"  # noqa: S608
            database.execute(moved, (str(FOLDER), str(tmp_path / "docs")))
    return tmp_path / "docs"


@pytest.fixture
async def bakery(docs: Path) -> AsyncIterator[Services]:
    """The home as this version opens it."""
    async with open_services(Settings(ibid_home=docs.with_name("home"))) as services:
        yield services


async def assert_exact(services: Services, answer: Answer) -> None:
    """Each citation opens the words that it quotes."""
    assert answer.citations
    for citation in answer.citations:
        source = await services.library.text(citation.source_id, citation.source_version)
        assert source.text[citation.start : citation.end] == citation.quote


async def found(services: Services, query: str) -> str:
    """The text of the best passage."""
    return (await services.search.passages(SearchRequest(query, limit=1)))[0].text


async def test_all_that_was_kept_can_be_read(bakery: Services) -> None:
    assert await bakery.database.revision() == HEAD
    assert await bakery.database.check() == ""
    (corpus,) = await bakery.library.corpora()
    assert (corpus.name, corpus.base_url, corpus.sources) == (CORPUS, BASE_URL, 4)
    sources = {source.title: source for source in await bakery.library.sources()}
    assert {title: source.version for title, source in sources.items()} == {
        "Cleaning": 1,
        "Flour": 1,
        "Opening hours": 1,
        "Ovens": 2,
    }
    states = {one.name: one.state for one in await bakery.reindexing.releases()}
    assert states == {"ibid-1": "kept", "ibid-2": "serving"}
    ((key, user),) = await bakery.people.keys()
    assert (user.name, key.rights, key.is_valid) == ("key:shop", ["ask"], True)
    (job,) = await bakery.jobs.recent()
    assert (job.kind, job.status, job.corpus) == ("upload", "done", CORPUS)
    assert job.report is not None
    assert job.report["added"] == 1


async def test_the_old_conversation_is_as_it_was_and_goes_on(bakery: Services) -> None:
    (conversation,) = await bakery.history.recent(10)
    thread = await bakery.history.view(conversation.id)
    assert [message.text for message in thread.messages] == SAID
    answers = [message for message in thread.messages if message.answer]
    for message in answers:
        assert message.answer is not None
        await assert_exact(bakery, message.answer)
    assert [(one.rating, one.reason) for one in answers[0].feedback] == [
        ("up", "The baker agrees.")
    ]
    assert [[*one.moved_on.values()] for one in answers] == [["changed"], [], []]
    answer = await bakery.chat.answer(conversation.id, BRICKS)
    assert "Broken fire bricks are replaced by the mason in Mill Lane." in answer.text
    await assert_exact(bakery, answer)
    thread = await bakery.history.view(conversation.id)
    assert [message.text for message in thread.messages] == [*SAID, BRICKS, answer.text]


async def test_only_what_was_edited_is_ingested_again(bakery: Services, docs: Path) -> None:
    assert (docs / "ovens.md").read_text() == EDITED
    assert "240 degrees" in await found(bakery, HEAT)
    report = await bakery.ingestion.run([docs], CORPUS)
    assert (report.unchanged, report.changed, report.added) == (len(PAGES), 0, 0)
    (docs / "ovens.md").write_text(EDITED.replace("240 degrees", "250 degrees"))
    (docs / "cleaning.txt").unlink()
    report = await bakery.ingestion.run([docs], CORPUS)
    assert (report.unchanged, report.changed, report.removed) == (1, 1, 1)
    conversation = await bakery.chat.start()
    answer = await bakery.chat.answer(conversation.id, HEAT)
    assert "250 degrees" in answer.text
    assert answer.citations[0].source_version == 3
    assert answer.citations[0].url.startswith(f"{BASE_URL}/ovens#temperature")
    await assert_exact(bakery, answer)


async def test_the_release_that_was_kept_can_serve_again(bakery: Services) -> None:
    back = await bakery.reindexing.rollback()
    assert (back.before, back.release) == ("ibid-2", "ibid-1")
    assert "240 degrees" in await found(bakery, HEAT)
    assert await found(bakery, OPENING) in HOURS


async def test_a_new_release_is_built_from_the_files(bakery: Services, docs: Path) -> None:
    """The files and the upload are read again, and not merely copied from the old release."""
    before = {source.title: source.id for source in await bakery.library.sources()}
    built = await bakery.reindexing.reindex("sources")
    assert (built.before, built.release, built.sources) == ("ibid-2", "ibid-3", 4)
    after = await bakery.library.sources()
    assert {source.title: source.id for source in after} == before
    assert {source.title: source.version for source in after} == {
        "Cleaning": 2,
        "Flour": 2,
        "Opening hours": 2,
        "Ovens": 3,
    }
    assert "240 degrees" in await found(bakery, HEAT)
    back = await bakery.reindexing.rollback()
    assert (back.before, back.release) == ("ibid-3", "ibid-2")
    (conversation,) = await bakery.history.recent(10)
    first = (await bakery.history.view(conversation.id)).messages[1].answer
    assert first is not None
    await assert_exact(bakery, first)
    report = await bakery.ingestion.run([docs], CORPUS)
    assert report.unchanged == len(PAGES)
    assert UPLOAD in {Path(s.location).name for s in await bakery.library.sources()}
