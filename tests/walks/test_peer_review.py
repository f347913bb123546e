"""A corpus that asks for peer-reviewed sources: found before their equals, and missed where absent."""

from pathlib import Path

import pytest

from app.chat.request import AnswerRequest
from app.flag_notes import NOT_PEER_REVIEWED, list_notes
from app.retrieval.request import SearchRequest
from app.wiring import Services
from storage.errors import InvalidInput, NotFound

QUESTION = "How often is the lens of the lamp polished?"
POLISHING = "# Care of the lamp\n\nThe lens of the lamp is polished {} with a soft leather.\n"
REVIEWED = "---\npeer_reviewed: true\n---\n\n"


@pytest.fixture
async def docs(services: Services, tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "leaflet.md").write_text(POLISHING.format("every day and every day again"))
    (folder / "journal.md").write_text(REVIEWED + POLISHING.format("every second day"))
    (folder / "boats.md").write_text("# Boats\n\nThe boat is tarred every spring.\n")
    await services.ingestion.run([folder], "lights")
    return folder


async def titles(services: Services) -> list[str]:
    found = await services.search.passages(SearchRequest(QUESTION, corpora=["lights"]))
    assert [p.score for p in found] == sorted((p.score or 0 for p in found), reverse=True)
    assert all(0 <= (p.score or 0) <= 1 for p in found)
    return [Path(p.url.partition("#")[0]).stem for p in found]


@pytest.mark.usefixtures("docs")
async def test_it_is_preferred_among_equals_and_not_over_what_answers(services: Services) -> None:
    before = await titles(services)
    assert set(before[:2]) == {"leaflet", "journal"}
    await services.library.set_peer_review_weight("lights", 0.3)
    assert (await titles(services))[:2] == ["journal", "leaflet"]
    only = await services.search.passages(
        SearchRequest("When is the boat tarred?", corpora=["lights"])
    )
    assert "tarred" in only[0].text
    await services.library.set_peer_review_weight("lights", 0)
    assert await titles(services) == before


@pytest.mark.usefixtures("docs")
async def test_an_answer_says_what_rests_on_other_sources(services: Services) -> None:
    thread = await services.chat.start()
    plain = await services.chat.answer(
        thread.id, AnswerRequest("When is the boat tarred?", corpora=["lights"])
    )
    assert list_notes(plain) == []
    await services.library.set_peer_review_weight("lights", 0.1)
    told = await services.chat.answer(
        thread.id, AnswerRequest("When is the boat tarred?", corpora=["lights"])
    )
    assert [claim.flags for claim in told.claims if claim.citations] == [(NOT_PEER_REVIEWED,)]
    assert list_notes(told) == [
        "One claim has only sources that are not known to be peer-reviewed."
    ]
    kept = (await services.history.messages(thread.id))[1][-1]
    assert kept.answer == told
    reviewed = await services.chat.answer(thread.id, AnswerRequest(QUESTION, corpora=["lights"]))
    cited = {NOT_PEER_REVIEWED in c.flags: c.citations for c in reviewed.claims if c.citations}
    assert cited[False][0].metadata == {"peer_reviewed": True}


@pytest.mark.usefixtures("docs")
async def test_a_weight_must_be_a_share_and_a_corpus_one_that_is_there(services: Services) -> None:
    with pytest.raises(InvalidInput, match="between 0 and 1"):
        await services.library.set_peer_review_weight("lights", 2)
    with pytest.raises(NotFound, match="There are: lights"):
        await services.library.set_peer_review_weight("boats", 0.1)
    (shelf,) = await services.library.corpora()
    assert shelf.peer_review_weight == 0
