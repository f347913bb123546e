"""Tests of the stand-ins for behaviour that the tests of Ibid's own client do not cover."""

import re
import sys
from asyncio import StreamReader, create_subprocess_exec, wait_for
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.doubles.services import Doubles

CHAT = {"messages": [{"role": "user", "content": "Hello?"}]}
AUTH = {"Authorization": "Bearer any"}


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(headers=AUTH) as http:
        yield http


async def chat(http: httpx.AsyncClient, doubles: Doubles, what: str, **more: Any) -> httpx.Response:
    url = f"{doubles.openrouter}/chat/completions"
    return await http.post(url, json={**CHAT, "model": f"double/{what}", **more})


async def test_an_answer_without_a_stream(doubles: Doubles, http: httpx.AsyncClient) -> None:
    whole = (await chat(http, doubles, "answers")).json()
    assert whole["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"]["cost"] > 0
    broken = (await chat(http, doubles, "choice-error")).json()
    assert broken["choices"][0]["error"]["code"] == 502
    assert broken["choices"][0]["message"]["content"]
    assert (await chat(http, doubles, "empty")).json()["choices"][0]["message"]["content"] == ""
    failed = await chat(http, doubles, "json-error")
    assert (failed.status_code, [*failed.json()]) == (200, ["error"])


async def test_a_stream_has_comments_a_role_words_usage_and_an_end(
    doubles: Doubles, http: httpx.AsyncClient
) -> None:
    text = (await chat(http, doubles, "reasons", stream=True)).text
    events = text.removesuffix("\n\n").split("\n\n")
    assert events[0] == ": OPENROUTER PROCESSING"
    assert '"role": "assistant"' in events[1]
    assert '"content": null, "reasoning"' in events[2]
    assert '"choices": [], "usage"' in events[-2]
    assert events[-1] == "data: [DONE]"


@pytest.mark.parametrize("key", ["limited-2-per-60", "quota-2"])
async def test_keys_have_limits(doubles: Doubles, key: str) -> None:
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {key}"}) as http:
        answers = [await chat(http, doubles, "answers") for _ in range(3)]
        left = await http.get(f"{doubles.openrouter}/key")
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["x-ratelimit-remaining"] == "0"
    assert ("retry-after" in answers[-1].headers) == key.startswith("limited")
    assert left.status_code in (200, 429)


async def test_a_missing_key_and_a_bad_one_are_told_apart(doubles: Doubles) -> None:
    told: list[str] = []
    for headers in ({}, {"Authorization": "Bearer bad"}):
        async with httpx.AsyncClient(headers=headers) as http:
            refused = await http.get(f"{doubles.openrouter}/key")
            assert refused.status_code == 401
            told.append(refused.json()["error"]["message"])
    assert len(set(told)) == 2


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"texts": ["x"] * 97}, 400, "at most 96"),
        ({"texts": ["x", " "]}, 400, r"texts\[1\]"),
        ({"input_type": None}, 400, "input_type"),
        ({"model": "embed-v9"}, 404, "not found"),
        ({"output_dimension": 7}, 400, "output_dimension"),
        ({"texts": ["word " * 600], "truncate": "NONE"}, 400, "too many tokens"),
        ({"texts": ["word " * 600]}, 200, ""),
    ],
)
async def test_cohere_says_what_it_does_not_take(
    doubles: Doubles, http: httpx.AsyncClient, change: dict[str, Any], status: int, told: str
) -> None:
    body = {"model": "embed-english-v3.0", "texts": ["x"], "input_type": "search_query", **change}
    answer = await http.post(f"{doubles.cohere}/v2/embed", json=body)
    assert answer.status_code == status
    assert re.search(told, answer.json().get("message", ""))


async def test_cohere_gives_every_type(doubles: Doubles, http: httpx.AsyncClient) -> None:
    kinds = ["float", "int8", "uint8", "binary", "ubinary"]
    body = {"model": "embed-v4.0", "texts": ["lamp"], "input_type": "search_document"}
    more = {"embedding_types": kinds, "output_dimension": 256}
    answer = (await http.post(f"{doubles.cohere}/v2/embed", json=body | more)).json()
    sizes = {kind: len(answer["embeddings"][kind][0]) for kind in kinds}
    assert sizes == {"float": 256, "int8": 256, "uint8": 256, "binary": 32, "ubinary": 32}
    assert all(-128 <= number <= 127 for number in answer["embeddings"]["binary"][0])
    assert answer["meta"]["billed_units"]["input_tokens"] == 1


async def test_it_can_be_run_by_hand() -> None:
    child = await create_subprocess_exec(
        *(sys.executable, "-m", "tests.doubles", "--port", "0"),
        cwd=Path(__file__).parents[2],
        stdout=PIPE,
    )
    assert child.stdout
    base = (await child.stdout.readline()).decode().rpartition("=")[2].strip()
    async with httpx.AsyncClient() as http:
        models = (await http.get(f"{base}/models")).json()["data"]
    # The log line is written after the response: read it before the process is terminated.
    await wait_for(_line_of(child.stdout, b"GET /api/v1/models"), 30)
    child.terminate()
    await child.wait()
    assert {"double/answers", "double/obedient"} <= {model["id"] for model in models}


async def _line_of(told: StreamReader, start: bytes) -> None:
    while not (line := await told.readline()).startswith(start):
        assert line, f"ended without {start!r}"
