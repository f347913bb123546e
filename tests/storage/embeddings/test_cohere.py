"""Cohere's embeddings and rerankers against a stand-in with Cohere's own limits."""

import asyncio
import math
import time
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession
from hypothesis import given
from hypothesis import strategies as st
from llama_index.embeddings.cohere import CohereEmbedding

from storage.domain import Passage
from storage.embeddings.cohere import DIMENSIONS, HostedEmbedding
from storage.embeddings.token_windows import split_into_windows
from storage.errors import InvalidInput, ModelBusy, ModelRefused, ModelUnavailable
from storage.http.cohere_api import CohereAPI
from storage.http.rate_limiter import RateLimiter
from storage.rerankers.cohere import CohereReranker
from tests.doubles.services import Doubles

V3, V4 = "embed-english-v3.0", "embed-v4.0"


def embedding(
    doubles: Doubles, model: str = V3, key: str = "any", **options: Any
) -> HostedEmbedding:
    return HostedEmbedding.create(model, key, doubles.cohere, **options)


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("model", "asked", "given_"),
    [
        *((model, None, sizes[-1]) for model, sizes in DIMENSIONS.items()),
        (V4, 256, 256),
        (V4, 1024, 1024),
        (V3, 1024, 1024),
    ],
)
async def test_vectors_have_the_dimension_that_is_asked_for(
    doubles: Doubles, http: ClientSession, model: str, asked: int | None, given_: int
) -> None:
    hosted = embedding(doubles, model, dimension=asked, http=http)
    assert len(await hosted.aget_query_embedding("lamp")) == given_
    assert len(await hosted.aget_text_embedding("lamp")) == given_


@pytest.mark.parametrize(
    ("model", "dimension", "told"),
    [("embed-v9", None, "embed-v4.0"), (V4, 300, "256, 512"), (V3, 512, "1024")],
)
def test_what_no_model_gives_is_refused_at_once(
    model: str, dimension: int | None, told: str
) -> None:
    with pytest.raises(InvalidInput, match=told):
        HostedEmbedding.create(model, "any", dimension=dimension)


async def test_it_is_a_llamaindex_embedding_also_for_code_that_is_not_async(
    doubles: Doubles,
) -> None:
    hosted = embedding(doubles)
    assert isinstance(hosted, CohereEmbedding)
    awaited = await hosted.aget_text_embedding("The lamp burns.")
    assert await asyncio.to_thread(hosted.get_text_embedding, "The lamp burns.") == awaited


async def test_documents_and_queries_are_told_apart(doubles: Doubles) -> None:
    hosted = embedding(doubles)
    query = await hosted.aget_query_embedding("how much oil does the lamp burn")
    near, far = await hosted.aget_text_embedding_batch(
        ["The lamp does burn much oil.", "Ships answer by flag."]
    )
    assert [seen.body["input_type"] for seen in doubles.log] == ["search_query", "search_document"]
    assert cosine(query, near) > cosine(query, far) + 0.2


async def test_many_texts_go_in_batches_of_96_and_empty_ones_harm_no_other(
    doubles: Doubles, http: ClientSession
) -> None:
    texts = [f"text number {n}" for n in range(200)]
    texts[5] = texts[150] = " \n"
    vectors = await embedding(doubles, http=http).aget_text_embedding_batch(texts)
    assert sorted(len(seen.body["texts"]) for seen in doubles.log) == [8, 96, 96]
    assert len(vectors) == 200
    assert vectors[7] == await embedding(doubles).aget_text_embedding("text number 7")


async def test_a_query_is_embedded_once(doubles: Doubles, http: ClientSession) -> None:
    hosted = embedding(doubles, http=http)
    first = await hosted.aget_query_embedding("lamp")
    assert await hosted.aget_query_embedding("lamp") == first
    assert len(doubles.log) == 1
    for n in range(1_000):
        hosted._queries[str(n)] = []
    assert await hosted.aget_query_embedding("oil")
    assert len(hosted._queries) <= 1_001


async def test_the_end_of_a_long_text_counts(doubles: Doubles) -> None:
    """The stand-in, like Cohere, reads 512 tokens of a text at most."""
    beginning = " ".join(f"weather{n % 7}" for n in range(600))
    hosted = embedding(doubles)
    plain, ended = await hosted.aget_text_embedding_batch(
        [beginning, f"{beginning} {'paraffin ' * 200}"]
    )
    query = await hosted.aget_query_embedding("paraffin")
    assert cosine(query, ended) > cosine(query, plain) + 0.05
    assert math.isclose(cosine(ended, ended), 1, abs_tol=1e-3)
    assert all(seen.body["truncate"] == "NONE" for seen in doubles.log)
    assert all(seen.status == 200 for seen in doubles.log)


@pytest.mark.parametrize("text", ["The lamp burns oil.", f"{'weather ' * 600}paraffin"])
async def test_int8_vectors_are_those_of_the_floats_but_for_rounding(
    doubles: Doubles, text: str
) -> None:
    floats, int8 = embedding(doubles), embedding(doubles, embedding_type="int8")
    exact, rounded = [await one.aget_text_embedding(text) for one in (floats, int8)]
    assert math.isclose(cosine(rounded, rounded), 1, abs_tol=1e-3)
    assert exact != rounded
    assert cosine(exact, rounded) > 0.999
    assert doubles.log[-1].body["embedding_types"] == ["int8"]


async def test_a_text_of_more_tokens_than_was_thought_is_cut_once_more(doubles: Doubles) -> None:
    dense = "ab1cd2ef3 " * 400
    vector = await embedding(doubles).aget_text_embedding(dense.replace(" ", ""))
    assert len(vector) == 1024


@given(st.text(max_size=3_000), st.integers(4, 600))
def test_windows_lose_nothing(text: str, room: int) -> None:
    cut = split_into_windows(text, room)
    assert "".join(cut) == text
    assert all(cut) or cut == [""]


@pytest.mark.parametrize(
    ("what", "key", "kind", "told"),
    [
        ("", "bad", ModelRefused, "COHERE_API_KEY was refused"),
        ("", "banned", ModelRefused, "COHERE_API_KEY was refused"),
        ("", "quota-0", ModelBusy, "limit"),
        ("@status-404", "any", ModelRefused, "COHERE_EMBED_MODEL"),
        ("@status-500", "any", ModelUnavailable, "status 500"),
        ("@resets", "any", ModelUnavailable, "connection"),
        ("@deep", "any", ModelUnavailable, "cannot be parsed"),
    ],
)
async def test_what_goes_wrong_is_told_as_ours(
    doubles: Doubles, what: str, key: str, kind: type[ModelUnavailable], told: str
) -> None:
    hosted = embedding(doubles, key=key)
    hosted.model_name, hosted.document_tries = f"{V3}{what}", 1
    with pytest.raises(ModelUnavailable, match=f"Cohere did not embed: .*{told}") as failed:
        await hosted.aget_text_embedding("lamp")
    assert type(failed.value) is kind
    assert len(doubles.log) == 1


async def test_a_limit_of_theirs_is_waited_for(doubles: Doubles) -> None:
    hosted = embedding(doubles, key="limited-96-per-1.5")
    started = time.monotonic()
    vectors = await hosted.aget_text_embedding_batch([f"text {n}" for n in range(150)])
    assert len(vectors) == 150
    assert time.monotonic() - started >= 1
    assert 429 in {seen.status for seen in doubles.log}


async def test_a_limit_of_ours_keeps_theirs_from_being_met(doubles: Doubles) -> None:
    hosted = embedding(doubles, key="limited-100-per-0.4")
    hosted._limiter = RateLimiter(100, 1.2)
    await hosted.aget_text_embedding_batch([f"text {n}" for n in range(200)])
    assert {seen.status for seen in doubles.log} == {200}


async def test_a_question_does_not_wait_for_an_ingestion() -> None:
    pace = RateLimiter(100, 60)
    await pace.wait(90, 0.9)
    waiting = asyncio.create_task(pace.wait(90, 0.9))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(20):
        await pace.wait(1)
    assert not waiting.done()
    waiting.cancel()


def passages(*texts: str) -> list[Passage]:
    return [
        Passage(
            id=uuid4(),
            source_id=uuid4(),
            corpus="default",
            version=1,
            ordinal=0,
            title="T",
            section=("T",),
            url="https://docs.example.com",
            text=text,
            start=0,
            end=len(text),
            score=0.5,
        )
        for text in texts
    ]


def reranker(doubles: Doubles, model: str = "rerank-v3.5", per_minute: int = 10) -> CohereReranker:
    return CohereReranker(CohereAPI("any", doubles.cohere), model, per_minute)


async def test_a_reranker_puts_the_best_first_and_loses_none(doubles: Doubles) -> None:
    found = passages("Ships answer by flag.", "Tides are high.", "The lamp burns oil.")
    ranked = await reranker(doubles).rerank("what oil does the lamp burn", found)
    assert ranked[0].text == "The lamp burns oil."
    assert {passage.id for passage in ranked} == {passage.id for passage in found}
    scores = [passage.score or 0 for passage in ranked]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("what", ["@status-503", "@status-429-after-30", "@resets"])
async def test_a_reranker_that_fails_says_so_at_once(doubles: Doubles, what: str) -> None:
    with pytest.raises(ModelUnavailable):
        await reranker(doubles, f"rerank-v3.5{what}").rerank("lamp", passages("a", "b"))
    assert len(doubles.log) == 1


async def test_a_reranker_is_not_asked_more_often_than_it_allows(doubles: Doubles) -> None:
    limited = reranker(doubles, per_minute=2)
    for _ in range(2):
        await limited.rerank("lamp", passages("a", "b"))
    with pytest.raises(ModelBusy):
        await limited.rerank("lamp", passages("a", "b"))
    assert len(doubles.log) == 2
