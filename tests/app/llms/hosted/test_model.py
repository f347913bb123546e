"""One model over HTTP: only a whole answer is an answer, and nobody waits or pays for a lost one."""

import asyncio
from contextlib import aclosing

import pytest
from aiohttp import ClientSession
from llama_index.llms.openrouter import OpenRouter

from app.llms.hosted.model import HostedLLM
from storage.errors import ModelBusy, ModelRefused, ModelSilent, ModelUnavailable
from tests.app.llms.asking import PROMPT, SAID, ask, build_model
from tests.doubles.services import Doubles


@pytest.mark.parametrize("what", ["answers", "reasons", "no-done", "slow-20", "fails-0"])
async def test_a_whole_answer_comes_with_what_it_cost(doubles: Doubles, what: str) -> None:
    heard = await ask(build_model(doubles, what))
    assert heard.text == SAID
    assert heard.metadata.model == f"double/{what}"
    assert heard.metadata.finish == "stop"
    assert heard.metadata.usage.prompt_tokens > 10
    assert heard.metadata.usage.completion_tokens == len(SAID.split())
    assert heard.metadata.usage.cost == pytest.approx(
        heard.metadata.usage.prompt_tokens * 1e-6 + heard.metadata.usage.completion_tokens * 2e-6
    )
    assert heard.metadata.generation == "gen-1"


async def test_characters_and_lines_may_arrive_in_parts(doubles: Doubles) -> None:
    assert (await ask(build_model(doubles, "split"))).text == f"灯\u2028é {SAID}"


async def test_a_limit_that_was_run_into_is_told(doubles: Doubles) -> None:
    heard = await ask(build_model(doubles, "ends-length"))
    assert heard.metadata.finish == "length"
    assert heard.text == " ".join(SAID.split()[:4])


@pytest.mark.parametrize(
    ("what", "kind", "told"),
    [
        ("ends-error", ModelUnavailable, "stopped"),
        ("ends-content_filter", ModelRefused, "filter"),
        ("error-chunk-502", ModelUnavailable, "error 502"),
        ("error-chunk-server_error", ModelUnavailable, "error server_error"),
        ("no-finish", ModelUnavailable, "stopped"),
        ("cut", ModelUnavailable, "connection"),
        ("dropped", ModelUnavailable, "connection"),
        ("malformed", ModelUnavailable, "cannot be parsed"),
        ("not-utf-8", ModelUnavailable, "cannot be parsed"),
        ("deep", ModelUnavailable, "cannot be parsed"),
        ("empty", ModelUnavailable, "no text"),
        ("resets", ModelUnavailable, "connection"),
        ("json-error", ModelUnavailable, "error 502"),
        ("status-400", ModelRefused, "rejected the request"),
        ("status-401", ModelRefused, "OPENROUTER_API_KEY"),
        ("status-402", ModelRefused, "credits"),
        ("status-404", ModelRefused, "OPENROUTER_MODELS"),
        ("status-408", ModelUnavailable, "too long"),
        ("status-429", ModelBusy, "rate limit"),
        ("status-502", ModelUnavailable, "502"),
        ("status-503", ModelBusy, "503"),
    ],
)
async def test_what_is_no_whole_answer_is_an_error(
    doubles: Doubles, what: str, kind: type[ModelUnavailable], told: str
) -> None:
    with pytest.raises(ModelUnavailable, match=told) as failed:
        await ask(build_model(doubles, what))
    assert type(failed.value) is kind
    assert len(doubles.requested_models) == 1, "who asks again is decided elsewhere"


async def test_a_server_that_cannot_be_reached_is_an_error(unused_tcp_port: int) -> None:
    llm = HostedLLM.create(f"http://127.0.0.1:{unused_tcp_port}/v1", "any", "double/answers")
    with pytest.raises(ModelUnavailable, match="connection"):
        await ask(llm)


@pytest.mark.parametrize("what", ["keeps-alive", "stalls", "stalls-3", "slow-headers"])
async def test_silence_has_an_end_and_keep_alives_do_not_break_it(
    doubles: Doubles, what: str
) -> None:
    with pytest.raises(ModelSilent, match="too long"):
        await ask(build_model(doubles, what, first_token_seconds=0.2))
    assert (await doubles.wait_until_ended()).ended == "left"


async def test_an_endless_answer_has_an_end(doubles: Doubles) -> None:
    with pytest.raises(ModelSilent):
        await ask(build_model(doubles, "drips", whole_answer_seconds=0.3))


async def test_a_slow_reader_does_not_use_up_the_time(doubles: Doubles) -> None:
    llm = build_model(doubles, "answers", first_token_seconds=0.2, whole_answer_seconds=0.3)
    text = ""
    async for response in await llm.astream_chat(PROMPT):
        await asyncio.sleep(0.05)
        text += response.delta or ""
    assert text == SAID


async def test_a_reader_who_leaves_hangs_up(doubles: Doubles, http: ClientSession) -> None:
    responses = await build_model(doubles, "drips", http=http).astream_chat(PROMPT)
    async with aclosing(responses):
        await anext(responses)
    left = asyncio.get_running_loop().time()
    assert (await doubles.wait_until_ended()).ended == "left"
    assert asyncio.get_running_loop().time() - left < 0.5


async def test_a_cancelled_turn_hangs_up(doubles: Doubles, http: ClientSession) -> None:
    turn = asyncio.create_task(ask(build_model(doubles, "drips", http=http)))
    while not (doubles.log and doubles.log[-1].pieces > 5):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert (await doubles.wait_until_ended()).ended == "left"


async def test_turns_share_a_connection(doubles: Doubles, http: ClientSession) -> None:
    llm = build_model(doubles, "answers", http=http)
    for _ in range(3):
        await ask(llm)
    assert {seen.connection for seen in doubles.log} == {1}


async def test_openrouter_falls_back_by_itself_and_says_on_whom(doubles: Doubles) -> None:
    heard = await ask(build_model(doubles, "status-503", "status-429", "answers", "reasons"))
    assert heard.metadata.model == "double/answers"
    (seen,) = doubles.log
    assert seen.body["models"] == ["double/status-503", "double/status-429", "double/answers"]


async def test_it_says_who_asks_and_what_for(doubles: Doubles) -> None:
    provider = {"order": ["double"], "data_collection": "deny"}
    await ask(
        build_model(doubles, "answers", provider=provider, headers={"HTTP-Referer": "https://x"})
    )
    (seen,) = doubles.log
    assert seen.headers["http-referer"] == "https://x"
    assert seen.body["provider"] == provider
    assert seen.body["max_tokens"] == 1_024


async def test_it_is_a_llamaindex_model_in_every_way(doubles: Doubles) -> None:
    llm = build_model(doubles, "answers")
    assert isinstance(llm, OpenRouter)
    assert (await llm.achat(PROMPT)).message.content == SAID
    said = await asyncio.to_thread(llm.chat, PROMPT)
    assert said.message.content == SAID
    pieces = await asyncio.to_thread(lambda: [*llm.stream_chat(PROMPT)])
    assert pieces[-1].message.content == SAID
    assert "cite" in (await llm.acomplete("Anything?")).text
