"""Models that are given to `open_services` as objects, and what an index needs of them later."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.base.llms.types import (
    CompletionResponse,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.llms import CustomLLM
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import NodeWithScore, QueryBundle

from app.settings import Settings
from app.verification import Judgement
from app.wiring import Services, open_services
from storage.domain import Answer
from storage.errors import IndexMismatch, InvalidInput, ModelUnavailable
from tests.library import write_docs

FUEL = "How much paraffin does the lamp burn?"
SECRET = "sk-secret-0451"


class Letters(BaseEmbedding):
    """An embedding that counts letters."""

    model_name: str = "toy/letters"
    letters: str = "abcdefghijklmnopqrstuvwxyz"

    def _get_text_embedding(self, text: str) -> list[float]:
        return [float(text.lower().count(letter)) for letter in self.letters]

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embedding(query)


class Parrot(CustomLLM):
    """A model that always says the same, word by word."""

    said: str = "The lamp burns 2.4 litres an hour [1]."

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="toy/parrot")

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return CompletionResponse(text=self.said)

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        text = ""
        for word in self.said.split(" "):
            delta = f"{word} "
            text += delta
            yield CompletionResponse(text=text, delta=delta)


class Broken(Parrot):
    """A model whose service fails with an exception of its own."""

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        raise RuntimeError(f"401 for {SECRET}")


class Reversed(BaseNodePostprocessor):
    """A postprocessor that keeps the three worst nodes, the worst first, with logits as scores."""

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        assert query_bundle is not None
        return [
            NodeWithScore(node=one.node, score=2.0 - 2 * n) for n, one in enumerate(nodes[:-4:-1])
        ]


class Failing(BaseNodePostprocessor):
    """A postprocessor that fails."""

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        raise RuntimeError(f"401 for {SECRET}")


class Sceptic:
    """A verifier that supports nothing."""

    async def judge(self, claim: str, evidence: Sequence[str], language: str = "en") -> Judgement:
        return Judgement(verdict="unsupported", score=0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(ibid_home=tmp_path / "home")


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    return write_docs(tmp_path / "docs")


async def ask(services: Services) -> Answer:
    conversation = await services.chat.start()
    return await services.chat.answer(conversation.id, FUEL)


async def test_a_model_and_a_verifier_of_ones_own(settings: Settings, docs: Path) -> None:
    async with open_services(settings, llm=Parrot(), verifier=Sceptic()) as services:
        await services.ingestion.run([docs])
        answer = await ask(services)
    assert (answer.model, answer.status) == ("toy/parrot", "answered")
    assert answer.text.startswith("The lamp burns 2.4 litres an hour [1]")
    assert answer.citations[0].quote
    assert [claim.verdict for claim in answer.claims] == ["unsupported"]


async def test_a_model_that_fails_is_named_without_what_it_said(
    settings: Settings, docs: Path
) -> None:
    async with open_services(settings, llm=Broken()) as services:
        await services.ingestion.run([docs])
        with pytest.raises(ModelUnavailable) as failed:
            await ask(services)
    assert "toy/parrot did not answer: it raised RuntimeError" in str(failed.value)
    assert SECRET not in str(failed.value)


async def test_a_postprocessor_ranks_and_may_leave_out(settings: Settings, docs: Path) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
    async with open_services(settings, reranker=Reversed()) as services:
        found = await services.search.passages(FUEL)
    assert len(found) == 3
    scores = [passage.score or 0.0 for passage in found]
    assert scores == [pytest.approx(0.88, abs=0.01), 0.5, pytest.approx(0.12, abs=0.01)]


async def test_a_postprocessor_that_fails_leaves_the_order(settings: Settings, docs: Path) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        usual = await services.search.passages(FUEL)
    async with open_services(settings, reranker=Failing()) as services:
        found = await services.search.passages(FUEL)
        assert [passage.id for passage in found] == [passage.id for passage in usual]
        answer = await ask(services)
    (attempt,) = answer.attempts
    assert (attempt.model, attempt.error) == ("Failing", "it raised RuntimeError")


async def test_an_index_is_searched_only_with_the_embedding_that_built_it(
    settings: Settings, docs: Path
) -> None:
    async with open_services(settings, embedding=Letters()) as services:
        await services.ingestion.run([docs])
        made = (await services.indexes.serving()).fingerprint
        assert (made.provider, made.embedding, made.dimension) == ("python", "toy/letters", 26)
        assert await services.search.passages(FUEL)
        assert await services.reindexing.proposal() is None
    async with open_services(settings) as services:
        with pytest.raises(
            IndexMismatch, match=r"toy/letters .* open_services\(embedding=\.\.\.\)"
        ):
            await services.search.passages(FUEL)
        (docs / "more.md").write_text("# More\n\nThe bell rings in fog.\n")
        with pytest.raises(IndexMismatch, match="run `ibid reindex`"):
            await services.ingestion.run([docs])
    async with open_services(settings, embedding=Letters(letters="abc")) as services:
        with pytest.raises(IndexMismatch, match="given is toy/letters with 3 dimensions"):
            await services.search.passages(FUEL)


async def test_a_release_goes_to_a_given_embedding_and_back(settings: Settings, docs: Path) -> None:
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
    async with open_services(settings, embedding=Letters()) as services:
        assert await services.search.passages(FUEL), "the local index is searched until a reindex"
        proposal = await services.reindexing.proposal()
        assert proposal is not None
        assert proposal.changed == ("provider", "embedding", "dimension")
        await services.reindexing.reindex()
        assert await services.search.passages(FUEL)
    async with open_services(settings) as services:
        await services.reindexing.rollback()
        assert await services.search.passages(FUEL)


@pytest.mark.parametrize("name", ["unknown", ""])
async def test_an_embedding_without_a_name_is_refused(settings: Settings, name: str) -> None:
    """Its indexes could not be told from those of another one of the same dimension."""
    with pytest.raises(InvalidInput, match="pass model_name"):
        async with open_services(settings, embedding=Letters(model_name=name)):
            pass
