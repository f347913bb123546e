"""Docs that say the same on several pages: versions side by side, shared paragraphs."""

from pathlib import Path

import pytest

from app.retrieval.request import SearchRequest
from app.retrieval.search import Search
from app.wiring import Services
from storage.domain import Passage
from tests.app.retrieval.test_search import Reversed

BEARING = """# The bearing

The bearing of the lens is greased with whale oil on the first day of every month. Stop the clockwork,
lift the lens by its four hooks, wipe the old oil off with a linen cloth and pour half a pint into the
groove. Turn the lens by hand three times before the clockwork is started again.
"""
WHEEL = BEARING.replace("# The bearing", "# The wheel").replace("half a pint", "a pint")
QUESTION = "How is the bearing of the lens greased?"


@pytest.fixture
async def manual(services: Services, tmp_path: Path) -> Services:
    """Three versions of a page of which two are the same, another page, and two short notes."""
    for name, text in {
        "1.0/bearing.md": BEARING.replace("half a pint", "two pints"),
        "1.1/bearing.md": BEARING,
        "1.2/bearing.md": BEARING,
        "1.2/wheel.md": WHEEL,
        "1.2/lens.md": "# The lens\n\n## Oil\n\nNone.\n",
        "1.2/lamp.md": "# The lamp\n\n## Oil\n\nNone.\n",
    }.items():
        path = tmp_path / "manual" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    await services.ingestion.run([tmp_path / "manual"])
    return services


def texts(passages: list[Passage]) -> list[str]:
    scores = [passage.score or 0 for passage in passages]
    assert scores == sorted(scores, reverse=True)
    return [passage.text for passage in passages]


async def test_what_a_better_passage_says_word_for_word_leaves_its_place_to_others(
    manual: Services,
) -> None:
    found = texts(await manual.search.passages(SearchRequest(QUESTION, limit=3)))
    assert len({*found}) == 3
    assert any("two pints" in text for text in found), "a number makes it another text"
    assert any("The wheel" in text for text in found)


async def test_as_many_are_found_as_were_asked_for(manual: Services) -> None:
    every = texts(await manual.search.passages(SearchRequest(QUESTION, limit=10)))
    assert (len(every), len({*every})) == (6, 4)
    assert texts(await manual.search.passages(SearchRequest(QUESTION, limit=1))) == every[:1]


async def test_short_texts_say_the_same_only_under_the_same_headings(manual: Services) -> None:
    found = await manual.search.passages(SearchRequest("Which parts need oil? None.", limit=5))
    assert {passage.title for passage in found} >= {"The lens", "The lamp"}


async def test_of_two_copies_the_one_that_a_reranker_prefers_is_kept(manual: Services) -> None:
    every = await manual.search.passages(SearchRequest(QUESTION, limit=100))
    better, worse = [passage.id for passage in every if "half a pint" in passage.text]
    search = Search(manual.database, manual.indexes, Reversed())
    found = [passage.id for passage in await search.passages(SearchRequest(QUESTION, limit=4))]
    assert worse in found
    assert better not in found
