"""A corpus that is not for everyone: found, cited, listed and remembered by its readers alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.chat.events import Completed
from app.chat.request import AnswerRequest
from app.conversations.redaction import WITHHELD
from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from storage.domain import RIGHTS, Principal
from storage.errors import NotFound
from tests.library import write_docs

SECRET = "Quicksilver"
QUESTION = "How many litres does the pump burn an hour?"
ADA = Principal(name="ada", rights=RIGHTS["reader"])
EVE = Principal(name="eve", rights=RIGHTS["reader"])
STAFF = Principal(name="bob", rights=RIGHTS["reader"], groups=frozenset({"staff"}))


def write_secret(folder: Path) -> Path:
    folder.mkdir()
    (folder / f"{SECRET.lower()}.md").write_text(
        f"# The {SECRET} pump\n\nThe {SECRET} pump burns nine litres of {SECRET} an hour.\n"
    )
    return folder


async def fill(services: Services, folder: Path) -> None:
    await services.ingestion.run([write_docs(folder / "docs")], "manual")
    await services.ingestion.run([write_secret(folder / "hidden")], SECRET)
    await services.library.set_readers(SECRET, ["user:ada", "group:staff"])


@pytest.fixture
async def filled(settings: Settings, tmp_path: Path) -> AsyncIterator[Services]:
    async with open_services(settings) as services:
        await fill(services, tmp_path)
        yield services


async def test_a_corpus_is_found_by_those_it_is_open_to(filled: Services) -> None:
    for principal, sees in ((ADA, True), (STAFF, True), (EVE, False)):
        acting = filled.acting_for(principal)
        found = {passage.corpus for passage in await acting.search.passages(QUESTION)}
        assert (SECRET in found) == sees
        assert ([shelf.name for shelf in await acting.library.corpora()] == ["manual"]) != sees
        conversation = (await acting.chat.start()).id
        answer = await acting.chat.answer(conversation, QUESTION)
        assert (SECRET in answer.model_dump_json()) == sees
        assert not any(shelf.readers for shelf in await acting.library.corpora())
    (mine,) = [shelf for shelf in await filled.library.corpora() if shelf.name == SECRET]
    assert mine.readers == ("group:staff", "user:ada")


async def test_what_was_quoted_is_withheld_once_its_reader_is_shut_out(filled: Services) -> None:
    ada = filled.acting_for(ADA)
    conversation = (await ada.chat.start()).id
    quoted = await ada.chat.answer(conversation, QUESTION)
    plain = await ada.chat.answer(
        conversation, AnswerRequest("When is the lamp lit?", corpora=["manual"])
    )
    assert SECRET in quoted.text
    await filled.library.set_readers(SECRET, [])

    thread = await ada.history.view(conversation)
    assert SECRET not in thread.model_dump_json() + thread.as_markdown()
    assert WITHHELD in thread.messages[1].text
    assert thread.messages[1].answer is not None
    for claim in thread.messages[1].answer.claims:
        assert thread.messages[1].text[claim.start : claim.end]
    assert thread.messages[3].answer == plain
    answer = await ada.chat.answer(conversation, f"{QUESTION} And why?")
    assert SECRET not in answer.model_dump_json()
    async for event in ada.chat.regenerate(conversation, quoted.message_id):
        assert SECRET not in event.model_dump_json()
        last = event
    assert isinstance(last, Completed)

    await filled.library.set_readers(SECRET, None)
    kept = await ada.history.messages(conversation)
    assert SECRET in (await filled.library.passage(quoted.citations[0].passage_id)).passage.text
    await ada.history.select_branch(conversation, quoted.message_id)
    kept = await ada.history.messages(conversation)
    assert kept[1][1].answer == quoted, "nothing was lost"


async def test_whoever_may_not_read_it_cannot_reach_it_by_any_id(filled: Services) -> None:
    passage = (await filled.search.passages(SearchRequest(QUESTION, corpora=[SECRET])))[0]
    eve = filled.acting_for(EVE)
    for attempt in (
        eve.search.passages(SearchRequest(QUESTION, corpora=[SECRET])),
        eve.library.passage(passage.id),
        eve.library.source(passage.source_id),
        eve.library.text(passage.source_id),
        eve.library.text(passage.source_id, 1),
        eve.library.sources([SECRET]),
    ):
        with pytest.raises(NotFound) as raised:
            await attempt
        assert SECRET not in str(raised.value).replace(f"no corpus '{SECRET}'", "")
