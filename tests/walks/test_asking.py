"""A question from the reader's chair: what is said, what it rests on, what is kept of it."""

import re
from uuid import uuid4

import pytest

from app.chat.events import Cited, Completed, Retrieved, Token
from app.chat.request import AnswerRequest
from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from storage.domain import Answer
from storage.errors import InvalidInput, NotFound
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs
from tests.walks.turns import BURNS, FUEL, ask, ask_for_events, chat_with_model, scripted_chat

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHESS = "Who won the chess championship in 1972?"
MORNING = "Fill the tank every morning"


async def assert_exact(services: Services, answer: Answer) -> None:
    """Every quote is what stands in the source, and in the passage it was taken from."""
    for citation in answer.citations:
        text = (await services.library.text(citation.source_id, citation.source_version)).text
        assert text[citation.start : citation.end] == citation.quote
        passage = (await services.library.passage(citation.passage_id)).passage
        assert passage.start <= citation.start < citation.end <= passage.end
        assert citation.section == passage.section


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (FUEL, "2.4 litres"),
        ("Why does the lens turn?", "a flash every ten seconds"),
        ("How do I light the burner?", "Wind the clockwork"),
        ("When does the foghorn sound?", "two nautical miles"),
        ("How is a wrong entry mended?", "struck through once"),
    ],
)
async def test_the_extractive_model_answers_in_exact_quotes(
    manual: Services, question: str, words: str
) -> None:
    answer = await ask(manual.chat, question)
    assert (answer.status, answer.finish, answer.model) == ("answered", "stop", "extractive")
    assert words in " ".join(answer.text.split())
    assert any(words in " ".join(citation.quote.split()) for citation in answer.citations)
    assert {citation.source_id for citation in answer.citations} == {s.id for s in answer.sources}
    await assert_exact(manual, answer)


async def test_every_sentence_of_a_script_is_cited_exactly(manual: Services) -> None:
    answer = await ask(
        scripted_chat(
            manual,
            "Each hour 2.4 litres of paraffin are burnt [1]. ",
            f"The book says: “{MORNING}” [1]. A lens is turned by clockwork [2].",
        )
    )
    assert [citation.quote for citation in answer.citations] == [
        f"{BURNS}.",
        MORNING,
        "The lamp is a first-order Fresnel lens turned by a clockwork motor.",
    ]
    await assert_exact(manual, answer)


@pytest.mark.parametrize("model", ["scripted", "extractive"])
async def test_events_come_in_order_and_tokens_make_the_text(manual: Services, model: str) -> None:
    chat = (
        manual.chat if model == "extractive" else scripted_chat(manual, "It burns [1]", "[2]. Yes.")
    )
    first, *between, last = await ask_for_events(chat)
    assert isinstance(first, Retrieved)
    assert isinstance(last, Completed)
    assert all(isinstance(event, Token | Cited) for event in between)
    assert "".join(e.text for e in between if isinstance(e, Token)) == last.answer.text
    cited = [n for n, event in enumerate(between) if isinstance(event, Cited)]
    assert cited
    for position in cited:
        event, marker = between[position : position + 2]
        assert isinstance(event, Cited)
        assert marker == Token(text=f"[{event.citation.n}]")
    footnotes = [e.citation for e in between if isinstance(e, Cited)]
    assert footnotes == last.answer.citations
    assert {citation.passage_id for citation in footnotes} <= {p.id for p in first.passages}


async def test_footnotes_are_numbered_as_they_appear(manual: Services) -> None:
    answer = await ask(scripted_chat(manual, "It turns [2]. ", "It burns [1]. ", "Again [2, 1]."))
    assert re.findall(r"\[\d+]", answer.text)[:2] == ["[1]", "[2]"]
    assert [citation.n for citation in answer.citations] == list(
        range(1, len(answer.citations) + 1)
    )
    seen = list(dict.fromkeys(re.findall(r"\[(\d+)]", answer.text)))
    assert seen == [str(citation.n) for citation in answer.citations]


async def test_one_quote_has_one_number(manual: Services) -> None:
    chat = scripted_chat(manual, f"“{BURNS}” [1]. So: “{BURNS}” [1]. But: “{MORNING}” [1].")
    answer = await ask(chat)
    assert re.findall(r"\[\d+]", answer.text) == ["[1]", "[1]", "[2]"]
    assert [citation.quote for citation in answer.citations] == [BURNS, MORNING]


async def test_a_number_that_was_not_retrieved_never_reaches_the_reader(manual: Services) -> None:
    events = await ask_for_events(
        scripted_chat(manual, "It burns [9][1]. It sings [77]. ", "It is [0", "].")
    )
    said = "".join(event.text for event in events if isinstance(event, Token))
    assert said == "It burns[1]. It sings. It is."
    last = events[-1]
    assert isinstance(last, Completed)
    assert [len(claim.citations) for claim in last.answer.claims] == [1, 0, 0]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_where_the_model_pauses_makes_no_difference(manual: Services, size: int) -> None:
    script = f"It burns a lot [1], [3]: “{MORNING}” [1]. See `tank[1]` [8][2]."
    cut = [script[start : start + size] for start in range(0, len(script), size)]
    whole, pieces = await ask(scripted_chat(manual, script)), await ask(scripted_chat(manual, *cut))
    assert pieces.text == whole.text
    assert pieces.claims == whole.claims
    assert "`tank[1]`" in whole.text


async def test_a_claim_has_the_footnotes_that_stand_in_it_or_behind_it(manual: Services) -> None:
    answer = await ask(
        scripted_chat(manual, "It burns [1] a lot. It turns.[2] Who knows why? It is lit [3][1].")
    )
    texts = [claim.text for claim in answer.claims]
    assert texts == ["It burns a lot.", "It turns.", "Who knows why?", "It is lit."]
    assert [[c.n for c in claim.citations] for claim in answer.claims] == [[1], [2], [], [3, 4]]
    for claim in answer.claims:
        shown = answer.text[claim.start : claim.end]
        assert re.sub(r" ?\[\d+]", "", shown) == claim.text
        assert claim.verdict == "unchecked"
    unmarked = answer.claims[2]
    assert answer.text[unmarked.start : unmarked.end] == unmarked.text


async def test_what_the_corpus_does_not_speak_to_is_declined_unasked(manual: Services) -> None:
    llm = ScriptedLLM(pieces=["Fischer [1]."])
    first, *tokens, last = await ask_for_events(chat_with_model(manual, llm), CHESS)
    assert llm.prompts == []
    assert first == Retrieved(passages=())
    assert isinstance(last, Completed)
    answer = last.answer
    assert (answer.status, answer.model, answer.claims) == ("abstained", None, ())
    assert "".join(event.text for event in tokens if isinstance(event, Token)) == answer.text
    assert answer.abstention is not None
    assert answer.abstention.reason == "out_of_scope"
    assert 1 <= len(answer.abstention.nearest) <= 3
    for near in answer.abstention.nearest:
        assert near.url in answer.text
        assert (await manual.library.passage(near.passage_id)).passage.section == near.section


async def test_the_nearest_sections_come_in_order_and_are_no_footnotes(settings: Settings) -> None:
    docs = settings.ibid_home.parent / "docs"
    docs.mkdir()
    long = "\n\n".join(f"Entry {n} of an array is a {'very ' * 60}small word." for n in range(9))
    (docs / "arrays.md").write_text(f"# Entries [1]\n\n{long}\n\n## The end\n\nThat is all.\n")
    (docs / "boats.md").write_text("# Boats\n\nThe supply boat comes on Thursdays.\n")
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        found = [p.section for p in await services.search.passages(SearchRequest(CHESS, limit=8))]
        answer = await ask(services.chat, CHESS)
    assert answer.abstention is not None
    nearest = [near.section for near in answer.abstention.nearest]
    assert len(set(found)) < len(found), "several passages of one section"
    assert nearest == list(dict.fromkeys(found))[:3]
    assert r"Entries \[1\]" in answer.text
    assert not re.search(r"(?<!\\)\[\d+]", answer.text)


async def test_a_follow_up_leans_on_what_was_said(manual: Services) -> None:
    llm = ScriptedLLM(pieces=["So that ships see a flash [1]."])
    chat = chat_with_model(manual, llm)
    conversation = (await chat.start()).id
    await ask(chat, "Does the lens turn?", conversation)
    retrieved, *_ = await ask_for_events(chat, "Why?", conversation)
    assert isinstance(retrieved, Retrieved)
    assert retrieved.passages[0].section == ("Lighting the lamp", "Why the lens turns")
    _, question, reply, prompt = llm.prompts[-1]
    assert (question.content, reply.content) == (
        "Does the lens turn?",
        "So that ships see a flash [1].",
    )
    assert "Question: Why?" in (prompt.content or "")


async def test_a_conversation_outlives_the_process(settings: Settings, docs: object) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(settings.ibid_home.parent / "docs")])
        conversation = await services.chat.start()
        answer = await services.chat.answer(conversation.id, FUEL)
    async with open_services(settings) as services:
        kept, messages = await services.history.messages(conversation.id)
        assert kept.title == FUEL
        assert [(m.role, m.text) for m in messages] == [("user", FUEL), ("assistant", answer.text)]
        assert messages[1].answer == answer
        assert messages[1].id == answer.message_id
        assert [c.id for c in await services.history.recent()] == [conversation.id]


async def test_deleting_a_conversation_removes_what_was_said(manual: Services) -> None:
    conversation = (await manual.chat.start("About fuel")).id
    await manual.chat.answer(conversation, FUEL)
    await manual.history.remove(conversation)
    for attempt in (manual.history.messages, manual.history.remove):
        with pytest.raises(NotFound):
            await attempt(conversation)
    with pytest.raises(NotFound):
        await manual.chat.answer(conversation, FUEL)
    assert conversation not in {kept.id for kept in await manual.history.recent(limit=200)}


async def test_the_last_used_conversation_is_the_most_recent(manual: Services) -> None:
    first, second = (await manual.chat.start("first")).id, (await manual.chat.start("second")).id
    assert [kept.id for kept in await manual.history.recent(limit=2)] == [second, first]
    await manual.chat.answer(first, FUEL)
    assert [kept.id for kept in await manual.history.recent(limit=2)] == [first, second]
    assert [kept.title for kept in await manual.history.recent(limit=1)] == ["first"]


async def test_a_cited_text_is_kept_until_nothing_cites_it(settings: Settings) -> None:
    docs = write_docs(settings.ibid_home.parent / "docs")
    page = docs / "lamp/lighting.md"
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        conversation = (await services.chat.start()).id
        answer = await ask(scripted_chat(services, "It burns 2.4 litres [1]."), FUEL, conversation)
        (citation,) = answer.citations
        for litres in ("3.1", "3.2"):
            page.write_text(page.read_text().replace("2.4", litres).replace("3.1", litres))
            await services.ingestion.run([docs])

        source, version = citation.source_id, citation.source_version
        old = (await services.library.text(source, version)).text
        assert old[citation.start : citation.end] == citation.quote == f"{BURNS}."
        assert "3.2 litres" in (await services.library.text(source)).text
        with pytest.raises(NotFound, match="live or cited"):
            await services.library.text(source, version + 1)

        page.unlink()
        await services.ingestion.run([docs])
        assert (await services.library.text(source, version)).text == old
        await services.history.remove(conversation)
        with pytest.raises(NotFound, match="live or cited"):
            await services.library.text(source, version)


async def test_only_the_corpora_that_are_named_are_asked(
    settings: Settings,
) -> None:
    folder = settings.ibid_home.parent
    boats = folder / "boats"
    boats.mkdir()
    (boats / "boats.md").write_text("# Boats\n\nThe supply boat burns four litres an hour.\n")
    async with open_services(settings) as services:
        await services.ingestion.run([write_docs(folder / "docs")], "manual")
        await services.ingestion.run([boats], "boats")
        question = "How many litres does it burn an hour?"
        for corpora in (("boats",), ("manual",), ("manual", "boats"), ()):
            retrieved = await anext(
                services.chat.stream(
                    (await services.chat.start()).id, AnswerRequest(question, corpora=corpora)
                )
            )
            assert isinstance(retrieved, Retrieved)
            found = {passage.corpus for passage in retrieved.passages}
            assert found == set(corpora or ("manual", "boats"))
        conversation = (await services.chat.start()).id
        with pytest.raises(NotFound, match=r"no corpus 'ships'\. There are: boats, manual\."):
            await services.chat.answer(
                conversation, AnswerRequest(question, corpora=["boats", "ships"])
            )
        assert (await services.history.messages(conversation))[1] == [], "nothing was asked"


@pytest.mark.parametrize("question", ["", " \n\t ", "x" * 100_000])
async def test_a_question_that_is_none_is_not_kept(manual: Services, question: str) -> None:
    conversation = (await manual.chat.start()).id
    with pytest.raises(InvalidInput):
        await manual.chat.answer(conversation, question)
    assert (await manual.history.messages(conversation))[1] == []


async def test_an_unknown_conversation_is_not_answered(manual: Services) -> None:
    with pytest.raises(NotFound, match="no conversation"):
        await manual.chat.answer(uuid4(), FUEL)
