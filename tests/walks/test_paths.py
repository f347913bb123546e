"""Where files lie on the server is told to admins; everybody else reads the text over the API."""

from pathlib import Path

import pytest

from app.wiring import Services
from storage.domain import LOCAL, RIGHTS, Principal
from storage.errors import redact_for_clients, remove_folders
from tests.library import PAGES, write_docs

QUESTION = "How much paraffin does the lamp burn?"
CHESS = "Who won the chess championship in 1972?"
ADA = Principal(name="ada", rights=RIGHTS["reader"])
ROOT = Principal(name="root", rights=RIGHTS["admin"])


async def everything(services: Services, principal: Principal) -> str:
    """All that one is told of a corpus without a base URL, events of turns included."""
    acting = services.acting_for(principal)
    sources = await acting.library.sources()
    (passage, *_) = await acting.search.passages(QUESTION)
    told = [*sources, await acting.library.source(passage.source_id), passage]
    told += [await acting.library.passage(passage.id), await acting.library.text(passage.source_id)]
    conversation = (await acting.chat.start()).id
    for question in (QUESTION, CHESS):
        told += [event async for event in acting.chat.stream(conversation, question)]
    told += [await acting.history.view(conversation), *await acting.history.gaps()]
    return "\n".join(each.model_dump_json() for each in told)


async def test_paths_are_told_to_admins_only(services: Services, tmp_path: Path) -> None:
    await services.ingestion.run([write_docs(tmp_path / "docs")])
    for principal in (LOCAL, ROOT):
        assert (tmp_path / "docs/lamp/lighting.md").as_uri() in await everything(
            services, principal
        )
    told = await everything(services, ADA)
    assert str(tmp_path) not in told
    assert "file:" not in told
    listed = await services.acting_for(ADA).library.sources()
    assert {source.location for source in listed} == set(PAGES)
    assert {source.root for source in listed} == {None}


async def test_the_address_in_place_of_a_path_leads_to_the_text(
    services: Services, tmp_path: Path
) -> None:
    await services.ingestion.run([write_docs(tmp_path / "docs")])
    (passage, *_) = await services.acting_for(ADA).search.passages(QUESTION)
    path, _, anchor = passage.url.partition("#")
    assert (path, anchor) == (f"/api/v1/sources/{passage.source_id}/text?version=1", "fuel")


async def test_an_answer_from_when_one_was_an_admin_tells_no_path(
    services: Services, tmp_path: Path
) -> None:
    await services.ingestion.run([write_docs(tmp_path / "docs")])
    chat = services.acting_for(ROOT).chat
    conversation = (await chat.start()).id
    for question in (QUESTION, CHESS):
        assert str(tmp_path) in (await chat.answer(conversation, question)).model_dump_json()
    demoted = ROOT.model_copy(update={"rights": RIGHTS["reader"]})
    thread = await services.acting_for(demoted).history.view(conversation)
    assert str(tmp_path) not in thread.model_dump_json() + thread.as_markdown()
    for said in thread.messages[1::2]:
        assert said.answer is not None
        assert said.text == said.answer.text
        for claim in said.answer.claims:
            assert said.text[claim.start : claim.end]


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("The index in /srv/ibid/.ibid/index is damaged.", "The index in index is damaged."),
        ("Cannot create /srv/a: no space.", "Cannot create a: no space."),
        ("Cannot open C:\\ibid\\home\\ibid.db now.", "Cannot open ibid.db now."),
        (
            "http://127.0.0.1:6333/a/b does not answer.",
            "http://127.0.0.1:6333/a/b does not answer.",
        ),
        ("Send it and/or wait 1/2 s.", "Send it and/or wait 1/2 s."),
    ],
)
def test_errors_tell_no_folder_of_the_server(told: str, shown: str) -> None:
    assert remove_folders(told) == shown


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            "The database at db.internal:5432, [::1]:99 cannot be reached: no answer.",
            "The database cannot be reached: no answer.",
        ),
        (
            "The Qdrant server at 10.0.0.5:6333 (QDRANT_URL) fails.",
            "The Qdrant server (QDRANT_URL) fails.",
        ),
        ("the connection to localhost:11434 failed", "the connection failed"),
        (
            'connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused',
            "connection to server failed: Connection refused",
        ),
        ("Go to https://example.com:8000/a.", "Go to https://example.com:8000/a."),
    ],
)
def test_errors_tell_clients_no_place_behind_the_server(told: str, shown: str) -> None:
    assert redact_for_clients(told) == shown
