"""Models in order: what one cannot do the next does, and what was tried in vain is told."""

import asyncio
import time
from contextlib import aclosing

import pytest

from app.llms.circuit_breaker import CircuitBreaker
from app.llms.extractive_model.model import ExtractiveLLM
from app.llms.fallback import FallbackLLM
from app.llms.hosted.model import HostedLLM
from storage.errors import ModelBusy, ModelRefused, ModelUnavailable
from tests.app.llms.asking import PROMPT, SAID, ask, build_model, build_models
from tests.doubles.services import Doubles

BEFORE = ["status-503", "status-502", "status-401", "resets", "json-error", "empty"]
AFTER = ["cut", "dropped", "malformed", "no-finish", "ends-error", "error-chunk-502"]


@pytest.mark.parametrize("what", BEFORE)
async def test_before_the_first_token_the_next_model_is_asked_silently(
    doubles: Doubles, what: str
) -> None:
    heard = await ask(build_models(doubles, what, "answers"))
    assert (heard.text, heard.restarts) == (SAID, 0)
    assert heard.metadata.model == "double/answers"
    (attempt,) = heard.metadata.attempts
    assert (attempt.model, attempt.cost) == (
        f"double/{what}",
        0.0 if what != "empty" else attempt.cost,
    )
    assert attempt.error


@pytest.mark.parametrize("what", [*AFTER, "ends-content_filter"])
async def test_after_the_first_token_the_answer_begins_anew(doubles: Doubles, what: str) -> None:
    heard = await ask(build_models(doubles, what, "answers"))
    assert (heard.text, heard.restarts) == (SAID, 1)
    (attempt,) = heard.metadata.attempts
    assert attempt.model == f"double/{what}"
    counted = what.startswith("ends-")
    assert (attempt.cost is not None) == counted, "what is not known is not called nothing"


async def test_who_cannot_take_words_back_is_told_of_the_failure(doubles: Doubles) -> None:
    llm = FallbackLLM(models=build_models(doubles, "cut", "answers").models)
    with pytest.raises(ModelUnavailable, match="connection"):
        await ask(llm)


@pytest.mark.parametrize(
    ("what", "requests"),
    [
        ("status-503", 2),
        ("status-502", 2),
        ("resets", 2),
        ("status-429-after-0.1", 2),
        ("status-429-after-60", 1),
        ("status-400", 1),
        ("status-401", 1),
        ("status-402", 1),
        ("status-404", 1),
    ],
)
async def test_only_what_may_yet_succeed_is_asked_again(
    doubles: Doubles, what: str, requests: int
) -> None:
    with pytest.raises(ModelUnavailable, match=f"double/{what}.*question is kept") as failed:
        await ask(build_models(doubles, what))
    assert len(doubles.requested_models) == requests
    assert [attempt.model for attempt in failed.value.attempts] == [f"double/{what}"]


async def test_a_model_that_is_asked_again_waits_as_it_was_told(doubles: Doubles) -> None:
    started = time.monotonic()
    with pytest.raises(ModelUnavailable):
        await ask(build_models(doubles, "status-429-after-0.6"))
    assert time.monotonic() - started >= 0.6


async def test_a_hiccup_is_not_even_an_attempt(doubles: Doubles) -> None:
    heard = await ask(build_models(doubles, "fails-1", "reasons"))
    assert heard.metadata.model == "double/fails-1"
    assert heard.metadata.attempts == ()


async def test_silence_is_not_waited_out_twice(doubles: Doubles) -> None:
    heard = await ask(build_models(doubles, "keeps-alive", "answers", first_token_seconds=2.0))
    assert heard.text == SAID
    assert doubles.requested_models == ["double/keeps-alive", "double/answers"]


async def test_all_models_together_have_a_time(doubles: Doubles) -> None:
    llm = build_models(doubles, "stalls", "stalls-2", "drips")
    llm.whole_turn_seconds = 0.5
    started = time.monotonic()
    with pytest.raises(ModelUnavailable, match="took too long"):
        await ask(llm)
    assert time.monotonic() - started < 2


async def test_the_model_that_openrouter_fell_back_on_is_not_asked_once_more(
    doubles: Doubles,
) -> None:
    first = build_model(doubles, "status-503", "cut", "answers")
    llms = [first, build_model(doubles, "cut"), build_model(doubles, "answers")]
    heard = await ask(FallbackLLM(models=llms, restarts=True))
    assert doubles.requested_models == ["double/status-503", "double/answers"]
    assert [attempt.model for attempt in heard.metadata.attempts] == ["double/cut"]


async def test_any_server_may_be_the_next(doubles: Doubles, unused_tcp_port: int) -> None:
    nowhere = HostedLLM.create(f"http://127.0.0.1:{unused_tcp_port}/v1", "any", "double/gone")
    local = HostedLLM.create(doubles.local, None, "double/answers")
    heard = await ask(FallbackLLM(models=[nowhere, local], restarts=True))
    assert heard.text == SAID
    assert [attempt.model for attempt in heard.metadata.attempts] == ["double/gone"]


async def test_the_extractive_model_can_be_the_last_resort(doubles: Doubles) -> None:
    llm = FallbackLLM(models=[build_model(doubles, "status-401"), ExtractiveLLM()], restarts=True)
    heard = await ask(llm)
    assert "2.4 litres" in heard.text
    assert heard.metadata.model == "extractive"
    assert [attempt.model for attempt in heard.metadata.attempts] == ["double/status-401"]


async def test_a_model_that_keeps_failing_rests_and_is_tried_by_one_turn(
    doubles: Doubles,
) -> None:
    llm = build_models(doubles, "fails-6", "answers")
    resting = llm._breakers[0]
    for _ in range(3):
        assert (await ask(llm)).metadata.model == "double/answers"
    assert doubles.requested_models.count("double/fails-6") == 6
    heard = await ask(llm)
    assert doubles.requested_models.count("double/fails-6") == 6, "it rests"
    assert "is paused" in heard.metadata.attempts[0].error
    resting._open_until = 0.0  # its rest is over
    both = await asyncio.gather(ask(llm), ask(llm))
    assert {heard.metadata.model for heard in both} == {"double/fails-6", "double/answers"}
    assert doubles.requested_models.count("double/fails-6") == 7
    assert (await ask(llm)).metadata.model == "double/fails-6", "it is well again"


async def test_a_reader_who_leaves_hangs_up_and_harms_no_model(doubles: Doubles) -> None:
    llm = build_models(doubles, "drips")
    for _ in range(4):
        responses = await llm.astream_chat(PROMPT)
        async with aclosing(responses):
            await anext(responses)
        assert (await doubles.wait_until_ended()).ended == "left"
    assert llm._breakers[0].allows_attempt()


def test_a_breaker_learns_only_from_failures_of_the_model() -> None:
    breaker = CircuitBreaker()
    for error in (ModelRefused("no"), asyncio.CancelledError(), ModelRefused("no")) * 2:
        with pytest.raises(type(error)), breaker.attempt():
            raise error
    assert breaker.allows_attempt()
    with pytest.raises(ModelBusy), breaker.attempt():
        raise ModelBusy("later", retry_after=9.0)
    assert not breaker.allows_attempt()
    assert 8 < breaker.seconds_until_retry <= 9
