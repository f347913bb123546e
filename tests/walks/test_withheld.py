"""What was told of a corpus stays with those who may see it: after a revocation, a deletion, a new one."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from uuid import UUID

import pytest

from app.chat.request import AnswerRequest
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.conversations.citation_export import export
from app.conversations.redaction import WITHHELD
from app.conversations.views import MessageFeedback
from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from storage.domain import RIGHTS, Answer, Principal
from storage.errors import InvalidInput
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs

PIN = "9182"
QUESTION = "What is the pin of the vault?"
LAMP = "When is the lamp lit before sunset?"
ADA = Principal(name="ada", rights=RIGHTS["reader"])
BOB = Principal(name="bob", rights=RIGHTS["reader"], groups=frozenset({"staff"}))


def write_vault(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "vault.md").write_text(f"# The vault\n\nThe pin of the vault is {PIN}.\n")
    return folder


@pytest.fixture
async def vault(settings: Settings, tmp_path: Path) -> AsyncIterator[Services]:
    """A public manual, and a corpus for Ada and the staff."""
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(tmp_path / "docs")], "manual")
        await services.ingestion.run([write_vault(tmp_path / "vault")], "vault")
        await services.library.set_readers("vault", ["user:ada", "group:staff"])
        yield services


async def ask(services: Services, principal: Principal, question: str = QUESTION) -> Answer:
    chat = services.acting_for(principal).chat
    return await chat.answer((await chat.start()).id, question)


async def visible_text(services: Services, principal: Principal, answer: Answer) -> str:
    """All ways in which an answer can be looked back on."""
    history = services.acting_for(principal).history
    thread = await history.view(answer.conversation_id)
    kept = await history.answer(answer.message_id)
    found = [str(found.id) for found in await history.recent(9, None, PIN)]
    forms = [export(kept, form) for form in ("markdown", "csl-json", "bibtex")]
    gaps = [gap.model_dump_json() for gap in await history.gaps()]
    told = [thread.model_dump_json(), thread.as_markdown(), kept.model_dump_json()]
    return "\n".join([*told, *forms, *gaps, *found])


async def recreate_corpus(services: Services, folder: Path, readers: list[str] | None) -> None:
    """Another corpus by the same name, with the same files."""
    await services.ingestion.run([write_vault(folder / "vault")], "vault")
    await services.library.set_readers("vault", readers)


async def test_who_was_shut_out_before_a_corpus_was_deleted_stays_shut_out(
    vault: Services, tmp_path: Path
) -> None:
    ada, bob = await ask(vault, ADA), await ask(vault, BOB)
    assert PIN in await visible_text(vault, ADA, ada)
    await vault.library.set_readers("vault", ["group:staff"])

    async def assert_kept_apart() -> None:
        told = await visible_text(vault, ADA, ada)
        assert PIN not in told
        assert str(ada.conversation_id) not in told.splitlines()[-1]
        assert WITHHELD in told
        assert PIN in await visible_text(vault, BOB, bob), "a reader keeps what was told"

    await assert_kept_apart()
    await vault.library.delete("vault")
    await assert_kept_apart()
    await recreate_corpus(vault, tmp_path, None)
    await assert_kept_apart()
    assert PIN in (await ask(vault, ADA)).text, "the new one is open to Ada"


async def test_a_corpus_made_anew_closes_nothing_that_was_told_of_the_old_one(
    vault: Services, tmp_path: Path
) -> None:
    ada = await ask(vault, ADA)
    before = {source.id for source in await vault.library.sources(["vault"])}
    await vault.library.delete("vault")
    await recreate_corpus(vault, tmp_path, ["user:eve"])
    assert before.isdisjoint(source.id for source in await vault.library.sources(["vault"]))
    assert PIN in await visible_text(vault, ADA, ada)
    assert (await vault.acting_for(ADA).history.view(ada.conversation_id)).messages[
        -1
    ].moved_on == dict.fromkeys(ada.source_ids, "gone")


async def test_a_search_finds_what_is_shown_and_nothing_else(vault: Services) -> None:
    answer = await ask(vault, ADA)
    await ask(vault, ADA, "When is the lamp lit?")
    history = vault.acting_for(ADA).history

    async def found(text: str) -> list[UUID]:
        return [one.id for one in await history.recent(9, None, text)]

    assert await found(PIN) == [answer.conversation_id]
    await vault.library.set_readers("vault", [])
    for is_deleted in (False, True):
        if is_deleted:
            await vault.library.delete("vault")
        for text in (PIN, "9183", "The pin of the vault is"):
            assert await found(text) == []
        assert await found("pin of the VAULT?") == [answer.conversation_id], "the user's own words"
        assert len(await found("before sunset")) == 1


async def test_pages_of_a_search_go_past_what_is_withheld(
    vault: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.conversations.messages._PAGE", 2)
    plain = [(await ask(vault, ADA, "When is the lamp lit? sunset")).conversation_id]
    for _ in range(3):
        await ask(vault, ADA)
    plain.append((await ask(vault, ADA, "When is the lamp lit? sunset")).conversation_id)
    await vault.library.set_readers("vault", [])
    history = vault.acting_for(ADA).history
    assert [one.id for one in await history.recent(9, None, "sunset")] == plain[::-1]
    assert [one.id for one in await history.recent(1, None, "sunset")] == plain[:0:-1]


def scripted_chat(
    services: Services, principal: Principal, *said: str
) -> tuple[ChatService, ScriptedLLM]:
    llm = ScriptedLLM(pieces=[*said])
    engine = TurnEngine(services.search, llm)
    return ChatService(TurnRunner(services.database, engine, principal=principal)), llm


async def test_no_model_is_reminded_of_what_is_withheld(vault: Services) -> None:
    before = await ask(vault, ADA)
    chat, llm = scripted_chat(vault, ADA, "It is lit at dusk [1].")
    await chat.answer(before.conversation_id, AnswerRequest(LAMP, corpora=["manual"]))
    assert PIN in str(llm.prompts[-1])
    await vault.library.set_readers("vault", [])
    await vault.library.delete("vault")
    await chat.answer(before.conversation_id, AnswerRequest(LAMP, corpora=["manual"]))
    assert PIN not in str(llm.prompts[-1])
    assert WITHHELD in str(llm.prompts[-1])


async def test_what_a_model_repeats_without_a_footnote_is_withheld_too(vault: Services) -> None:
    quoted = await ask(vault, ADA)
    chat, _ = scripted_chat(
        vault, ADA, "The lamp is lit thirty minutes before sunset [1]. ", f"And the pin is {PIN}."
    )
    repeated = await chat.answer(
        quoted.conversation_id, AnswerRequest("When is the lamp lit?", corpora=["manual"])
    )
    uncited, _ = scripted_chat(vault, ADA, f"The pin is {PIN}, and nobody says where it stands.")
    declined = await uncited.answer((await uncited.start()).id, QUESTION)
    assert all(PIN in answer.text for answer in (repeated, declined))
    await vault.library.set_readers("vault", [])
    history = vault.acting_for(ADA).history
    left = await history.answer(repeated.message_id)
    assert "sunset" in left.text
    assert PIN not in left.model_dump_json()
    assert PIN not in (await history.answer(declined.message_id)).model_dump_json()


async def test_a_rating_stays_with_the_claim_it_was_given_to(vault: Services) -> None:
    question = "What is the pin of the vault, and when is the lamp lit before sunset?"
    found = await vault.search.passages(SearchRequest(question, limit=8))
    titles = [passage.title for passage in found]
    pin, lamp = titles.index("The vault") + 1, titles.index("Lighting the lamp") + 1
    said = f"The pin of the vault is {PIN} [{pin}]. The lamp is lit before sunset [{lamp}]."
    chat, _ = scripted_chat(vault, ADA, said)
    answer = await chat.answer((await chat.start()).id, question)
    cited = [{citation.title for citation in claim.citations} for claim in answer.claims]
    assert cited == [{"The vault"}, {"Lighting the lamp"}]
    history = vault.acting_for(ADA).history
    at = (answer.conversation_id, answer.message_id)
    for claim, reason in enumerate(("secret", "plain")):
        await history.rate(*at, MessageFeedback(rating="up", claim=claim, reason=reason))

    async def rated() -> list[tuple[int | None, str]]:
        said = (await history.view(answer.conversation_id)).messages[-1]
        return [(opinion.claim, opinion.reason) for opinion in said.feedback]

    await vault.library.set_readers("vault", [])
    assert await rated() == [(0, "plain")]
    await history.rate(*at, MessageFeedback(rating="down", claim=0, reason="changed"))
    with pytest.raises(InvalidInput, match="has 1 claims"):
        await history.rate(*at, MessageFeedback(rating="down", claim=1))
    await vault.library.set_readers("vault", None)
    assert await rated() == [(0, "secret"), (1, "changed")]


async def test_an_answer_that_comes_after_its_corpus_went_is_for_admins(vault: Services) -> None:
    chat = vault.acting_for(ADA).chat
    conversation = (await chat.start()).id
    async with aclosing(chat.stream(conversation, QUESTION)) as events:
        async for event in events:
            if event.kind == "retrieved":
                await vault.library.delete("vault")
    thread = await vault.acting_for(ADA).history.view(conversation)
    assert PIN not in thread.model_dump_json()
