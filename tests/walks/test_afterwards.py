"""Answers after the fact: exported, overtaken by their sources, and counted as gaps."""

import json

import pytest

from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.conversations.citation_export import export
from app.settings import Settings
from app.verification.local.verifier import LocalVerifier
from app.wiring import Services, open_services
from storage.domain import Answer
from storage.embeddings.local import LocalEmbedding
from storage.errors import NotFound
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs

FUEL = "How much paraffin does the lamp burn?"
CHESS = "Who won the chess championship in 1972?"


def scripted_chat(services: Services, said: str) -> ChatService:
    engine = TurnEngine(
        services.search, ScriptedLLM(pieces=[said]), LocalVerifier(LocalEmbedding())
    )
    return ChatService(TurnRunner(services.database, engine))


async def ask(chat: ChatService, question: str = FUEL) -> Answer:
    return await chat.answer((await chat.start()).id, question)


async def test_old_footnotes_say_what_became_of_their_sources(settings: Settings) -> None:
    docs = write_docs(settings.ibid_home.parent / "docs")
    page = docs / "lamp/lighting.md"
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        answer = await ask(services.chat)
        (source,) = {citation.source_id for citation in answer.citations}

        async def moved_on() -> dict[object, str]:
            said = (await services.history.view(answer.conversation_id)).messages[-1]
            assert said.answer == answer, "the snapshot is as it was"
            return dict(said.moved_on)

        assert await moved_on() == {}
        page.write_text(page.read_text().replace("2.4", "3.1"))
        await services.ingestion.run([docs])
        assert await moved_on() == {source: "changed"}
        page.unlink()
        await services.ingestion.run([docs])
        assert await moved_on() == {source: "gone"}


async def test_an_answer_is_exported_with_its_citations(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(settings.ibid_home.parent / "docs")])
        answer = await ask(
            scripted_chat(services, "It burns 2.4 litres [1]. See `a[1]` and \\[7\\].")
        )
        kept = await services.history.answer(answer.message_id)
        assert kept == answer
        with pytest.raises(NotFound, match="no answer"):
            await services.history.answer(answer.conversation_id)
    (citation,) = answer.citations
    text, _, notes = export(kept, "markdown").partition("\n\n[^1]: ")
    assert text.startswith("It burns 2.4 litres[^1]." if "litres[1]" in answer.text else text[:5])
    assert f"“{citation.quote}”" in notes
    assert f"({citation.url})" in notes
    (entry,) = json.loads(export(kept, "csl-json"))
    assert entry["title"] == citation.title
    assert entry["URL"] == citation.url
    assert citation.quote in entry["note"]
    assert export(kept, "bibtex").startswith("@misc{ibid-1,\n  title = {Lighting the lamp},")


async def test_what_tex_would_take_for_its_own_is_escaped(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(settings.ibid_home.parent / "docs")])
        answer = await ask(services.chat)
    claim = answer.claims[0]
    citation = claim.citations[0].model_copy(update={"title": r"50% of {a} & \b_c"})
    told = answer.model_copy(
        update={"claims": (claim.model_copy(update={"citations": (citation,)}),)}
    )
    title = export(told, "bibtex").splitlines()[1]
    assert title == r"  title = {50\% of \{a\} \& \textbackslash{}b\_c},"


async def test_gaps_are_what_was_declined_or_not_supported(settings: Settings) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(settings.ibid_home.parent / "docs")])
        assert await services.history.gaps() == []
        await ask(services.chat)
        assert await services.history.gaps() == [], "what was answered well is no gap"
        for _ in range(2):
            declined = await ask(services.chat, CHESS)
        await ask(scripted_chat(services, "It holds 90 litres in the tank on Sundays [1]."))
        first, second = await services.history.gaps()
    assert declined.abstention is not None
    assert first.section == declined.abstention.nearest[0].section
    assert (first.declined, first.unsupported, first.questions) == (2, 0, (CHESS,))
    assert second.section == ("Lighting the lamp", "Fuel")
    assert (second.declined, second.unsupported, second.questions) == (0, 1, (FUEL,))
