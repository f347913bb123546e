"""Ibid from LlamaIndex's side: a chat engine and a retriever like any other."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.retrievers import BaseRetriever

from app.chat.llamaindex import ChatEngine
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.retrieval.request import SearchRequest
from app.retrieval.retriever import PassageRetriever
from app.settings import Settings
from app.wiring import Services, open_services
from storage.domain import Answer
from storage.errors import InvalidInput, ModelUnavailable, NotFound
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs

pytestmark = pytest.mark.asyncio(loop_scope="module")

FUEL = "How much paraffin does the lamp burn?"
SAID = "It burns 2.4 litres [1]."


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def manual(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Services]:
    """The keeper's manual, ingested once."""
    folder = tmp_path_factory.mktemp("manual")
    # Built past validation, as no test's environment is clean yet.
    async with open_services(Settings.model_construct(ibid_home=folder / "home")) as services:
        await services.ingestion.run([write_docs(folder / "docs")])
        yield services


@pytest.fixture
def llm() -> ScriptedLLM:
    return ScriptedLLM(pieces=["It burns ", "2.4 litres [", "1]."])


@pytest.fixture
def engine(manual: Services, llm: ScriptedLLM) -> ChatEngine:
    return ChatEngine(TurnRunner(manual.database, TurnEngine(manual.search, llm)))


def contents(engine: BaseChatEngine) -> list[tuple[MessageRole, str | None]]:
    return [(message.role, message.content) for message in engine.chat_history]


async def test_a_response_has_text_sources_and_the_answer(
    manual: Services, engine: ChatEngine
) -> None:
    response = await engine.achat(FUEL)
    assert response.response == str(response) == SAID
    answer = (response.metadata or {})["answer"]
    assert isinstance(answer, Answer)
    assert answer.text == SAID
    found = await manual.search.passages(SearchRequest(FUEL, limit=8))
    assert [node.node.node_id for node in response.source_nodes] == [str(p.id) for p in found]
    assert [node.score for node in response.source_nodes] == [p.score for p in found]


async def test_what_is_streamed_is_what_is_said(engine: ChatEngine) -> None:
    response = await engine.astream_chat(FUEL)
    assert "".join([token async for token in response.async_response_gen()]) == SAID
    assert contents(engine) == [(MessageRole.USER, FUEL), (MessageRole.ASSISTANT, SAID)]


async def test_code_that_is_not_async_is_answered_too(engine: ChatEngine) -> None:
    response = await asyncio.to_thread(engine.chat, FUEL)
    assert response.response == SAID


async def test_code_that_is_not_async_can_stream(engine: ChatEngine) -> None:
    response = await asyncio.to_thread(engine.stream_chat, FUEL)
    assert "".join(response.response_gen) == SAID
    assert response.source_nodes
    assert contents(engine) == [(MessageRole.USER, FUEL), (MessageRole.ASSISTANT, SAID)]


async def test_waiting_where_it_would_never_end_is_refused(
    manual: Services, engine: ChatEngine
) -> None:
    with pytest.raises(RuntimeError, match="await the async method"):
        engine.chat(FUEL)
    with pytest.raises(RuntimeError, match="await the async method"):
        PassageRetriever(manual.search).retrieve(FUEL)


async def test_the_history_is_told_to_the_model(engine: ChatEngine, llm: ScriptedLLM) -> None:
    await engine.achat("Does the lens turn?")
    response = await engine.achat("Why?")
    assert response.source_nodes[0].metadata["section"] == "Lighting the lamp > Why the lens turns"
    told = [message.content for message in llm.prompts[-1]]
    assert told[1:3] == ["Does the lens turn?", SAID]


async def test_a_reset_forgets_what_was_said(engine: ChatEngine, llm: ScriptedLLM) -> None:
    await engine.achat(FUEL)
    engine.reset()
    assert engine.chat_history == []
    await engine.achat(FUEL)
    assert len(llm.prompts[-1]) == 2


async def test_a_history_of_ones_own_is_taken_and_left_as_it_was(
    engine: ChatEngine, llm: ScriptedLLM
) -> None:
    told = [
        ChatMessage(role=MessageRole.USER, content="Does the lens turn?"),
        ChatMessage(role=MessageRole.ASSISTANT, content="It does."),
    ]
    await engine.achat("Why?", chat_history=told)
    assert [message.content for message in llm.prompts[-1]][1:3] == [m.content for m in told]
    assert len(told) == 2
    assert len(engine.chat_history) == 4


async def test_what_failed_is_not_remembered(manual: Services) -> None:
    llm = ScriptedLLM(pieces=["It ", "burns [1]."], fails_after=1)
    engine = ChatEngine(TurnRunner(manual.database, TurnEngine(manual.search, llm)))
    with pytest.raises(ModelUnavailable):
        await engine.achat(FUEL)
    with pytest.raises(ModelUnavailable):
        _ = [token async for token in (await engine.astream_chat(FUEL)).async_response_gen()]
    assert engine.chat_history == []


async def test_what_the_corpus_does_not_speak_to_has_no_sources(
    engine: ChatEngine, llm: ScriptedLLM
) -> None:
    response = await engine.achat("Who won the chess championship in 1972?")
    assert (response.metadata or {})["answer"].status == "abstained"
    assert response.source_nodes == []
    assert llm.prompts == []


async def test_bad_questions_are_refused(manual: Services, engine: ChatEngine) -> None:
    with pytest.raises(InvalidInput):
        await engine.achat(" ")
    with pytest.raises(NotFound, match="There are: default"):
        await ChatEngine(manual.turns, ["ships"]).achat(FUEL)
    assert engine.chat_history == []


async def test_the_retriever_finds_what_the_search_finds(manual: Services) -> None:
    retriever: BaseRetriever = PassageRetriever(manual.search, limit=3)
    nodes = await retriever.aretrieve(FUEL)
    passages = await manual.search.passages(SearchRequest(FUEL, limit=3))
    for node, passage in zip(nodes, passages, strict=True):
        text = (await manual.library.text(passage.source_id)).text
        assert node.node.node_id == str(passage.id)
        assert node.text == text[node.node.start_char_idx : node.node.end_char_idx]
        assert (node.metadata["url"], node.metadata["title"]) == (passage.url, passage.title)
    assert all(before.score >= after.score for before, after in pairwise(nodes))
    waited_for = await asyncio.to_thread(retriever.retrieve, FUEL)
    assert [node.node_id for node in waited_for] == [node.node_id for node in nodes]


async def test_the_retriever_keeps_to_its_corpora(manual: Services) -> None:
    assert await PassageRetriever(manual.search, ["default"]).aretrieve(FUEL)
    with pytest.raises(NotFound):
        await PassageRetriever(manual.search, ["ships"]).aretrieve(FUEL)
