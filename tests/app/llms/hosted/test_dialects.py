"""OpenAI's protocol as servers really speak it: what they send is read, what they refuse is left out."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, ChatResponseAsyncGen

from app.llms.fallback import FallbackLLM
from app.llms.hosted.chat_protocol import ResponseReader
from app.llms.hosted.status_errors import error_for_status
from app.llms.response import ResponseMetadata, build_response
from storage.domain import Attempt
from storage.errors import ModelRefused, ModelUnavailable
from tests.app.llms.asking import PROMPT, SAID, ask, build_model, build_models
from tests.doubles.dialects import FRAMES, THOUGHT
from tests.doubles.scripted import ScriptedLLM
from tests.doubles.services import Doubles

FINISHES = ["stop", "eos", "eos_token", "end_turn", "COMPLETE", "STOP", "stop_sequence", "none"]


@pytest.mark.parametrize("frame", FRAMES)
async def test_a_stream_is_read_however_it_is_framed(doubles: Doubles, frame: str) -> None:
    heard = await ask(build_model(doubles, f"frames-{frame}"))
    assert heard.text == SAID
    assert heard.metadata.usage.completion_tokens == len(SAID.split())


@pytest.mark.parametrize("what", ["document", "pretty", "parts", "loose"])
async def test_an_answer_may_come_in_other_types(doubles: Doubles, what: str) -> None:
    assert (await ask(build_model(doubles, what))).text == SAID


async def test_a_count_that_no_column_holds_spoils_no_answer(doubles: Doubles) -> None:
    heard = await ask(build_model(doubles, "miscounts"))
    assert 0 < heard.metadata.usage.prompt_tokens < 2**31


async def test_counts_and_costs_are_taken_as_far_as_they_are_numbers(doubles: Doubles) -> None:
    usage = (await ask(build_model(doubles, "loose"))).metadata.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.cost) == (12, 0, 0.25)


@pytest.mark.parametrize("finish", FINISHES)
async def test_a_model_that_says_why_it_stopped_did_not_break_off(
    doubles: Doubles, finish: str
) -> None:
    heard = await ask(build_model(doubles, f"stops-{finish}"))
    assert (heard.text, heard.metadata.finish) == (SAID, "stop")


@pytest.mark.parametrize("finish", ["length", "MAX_TOKENS", "model_length", "token_limit"])
async def test_a_limit_has_many_names(doubles: Doubles, finish: str) -> None:
    assert (await ask(build_model(doubles, f"stops-{finish}"))).metadata.finish == "length"


@pytest.mark.parametrize(
    ("finish", "told"),
    [
        ("content_filter", "filter"),
        ("SAFETY", "filter"),
        ("tool_calls", "tool"),
        ("error", "stopped"),
        ("insufficient_system_resource", "stopped"),
        ("cancelled", "stopped"),
    ],
)
async def test_some_reasons_are_errors(doubles: Doubles, finish: str, told: str) -> None:
    with pytest.raises(ModelUnavailable, match=told):
        await ask(build_model(doubles, f"stops-{finish}"))


@pytest.mark.parametrize("tag", ["think", "thought", "Thinking", "reasoning", "alone"])
async def test_thoughts_are_no_part_of_the_answer(doubles: Doubles, tag: str) -> None:
    llm = build_model(doubles, f"thinks-{tag}")
    assert (await ask(llm)).text == SAID
    again = await ask(llm)
    assert (again.text, again.restarts) == (SAID, 0), "once it is known, it is waited for"
    assert THOUGHT[:20] not in (await llm.achat(PROMPT)).message.content


def test_what_was_told_is_void_when_it_turns_out_to_be_a_thought() -> None:
    reading = ResponseReader("m")
    for words in ("I see", " it", "</think>", "Two [1]"):
        reading.read_chunk(json.dumps({"choices": [{"delta": {"content": words}}]}).encode())
        if words == " it":
            assert reading.take_new_text() == (False, "I see it")
    assert reading.take_new_text() == (True, "Two [1]")
    assert reading.thinks_first


def read_stream(*choices: object, finish: object = "stop") -> str:
    """The answer that is in a stream of such choices."""
    reading = ResponseReader("m")
    for choice in choices:
        reading.read_chunk(json.dumps({"choices": [choice]}).encode())
    reading.read_chunk(json.dumps({"choices": [{"delta": {}, "finish_reason": finish}]}).encode())
    reading.finish()
    return reading.text


@pytest.mark.parametrize(
    "choices",
    [
        [{"delta": {"content": "One "}}, {"delta": {"content": "two."}}],
        [{"message": {"content": "One "}}, {"message": {"content": "two."}}],
        [{"delta": {"content": "One two."}}, {"delta": {}, "message": {"content": "One two."}}],
        [{"delta": None, "message": {"content": "One two."}}],
        [{"delta": "One "}, {"delta": "two."}],
        [{"text": "One "}, {"text": "two."}],
        [{"delta": {"type": "text_delta", "text": "One two."}}],
        [{"delta": {"content": {"type": "text", "text": {"value": "One two."}}}}],
        [{"delta": {"content": ["One ", "two."], "reasoning_details": [{"text": "Hm"}]}}],
        [{"delta": {"content": [{"type": "reasoning_text", "text": "Hm"}, "One two."]}}],
        [{"delta": {"content": [{"text": "Hm", "thought": True}, {"text": "One two."}]}}],
        [None, 7, {"delta": 7}, {"delta": {"content": 7}}, {"delta": {"content": "One two."}}],
    ],
)
def test_words_are_found_where_servers_put_them(choices: list[object]) -> None:
    assert read_stream(*choices) == "One two."


def test_an_answer_that_is_only_thought_is_none() -> None:
    with pytest.raises(ModelUnavailable, match="returned reasoning but no answer"):
        read_stream({"delta": {"content": "<think>Hm"}})
    with pytest.raises(ModelRefused, match="refused"):
        read_stream({"delta": {"refusal": "No."}})


@pytest.mark.parametrize(
    ("usage", "tokens", "cost"),
    [
        ({"prompt_tokens": "7", "cost": "$0.5"}, 7, 0.5),
        ({"input_tokens": 7.0, "cost": {"total_cost": 0.5}}, 7, 0.5),
        ({"prompt_tokens": 1e300, "cost": -1}, 2**31 - 1, None),
        ({"prompt_tokens": [], "cost": "free"}, 0, None),
        ({"prompt_tokens": -1, "cost": "nan"}, 0, None),
        ([], 0, None),
        ("none", 0, None),
    ],
)
def test_what_is_no_number_counts_for_nothing(
    usage: object, tokens: int, cost: float | None
) -> None:
    reading = ResponseReader("m")
    said = {"choices": [{"message": {"content": "Two."}}], "usage": usage, "model": 7, "id": 7}
    reading.read_chunk(json.dumps(said).encode())
    counted = reading.finish().usage
    assert (counted.prompt_tokens, counted.cost) == (tokens, cost)


FIELDS = "choices delta message content text type usage cost error prompt_tokens finish_reason refusal model"
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS.split()), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.lists(JSON | st.builds(lambda inner: {"choices": [inner]}, JSON), max_size=4))
def test_whatever_comes_is_an_answer_or_no_model(said: list[object]) -> None:
    reading = ResponseReader("m")
    try:
        for each in said:
            reading.read_chunk(json.dumps(each).encode())
        spoken = reading.finish()
    except ModelUnavailable:
        return
    assert reading.text.strip()
    assert spoken.usage.prompt_tokens >= 0


class RestartingLLM(ScriptedLLM):
    """Says something, takes it back, and answers."""

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        thought = Attempt(model="m", error="that was a thought")

        async def stream() -> ChatResponseAsyncGen:
            yield build_response("Hm", "Hm")
            yield build_response(
                "", "", ResponseMetadata(model="m", attempts=(thought,), restarted=True)
            )
            yield build_response(SAID, SAID, ResponseMetadata(model="m"))

        return stream()


async def test_words_are_taken_back_from_who_can_do_without_them() -> None:
    llm = RestartingLLM(pieces=[])
    heard = await ask(FallbackLLM(models=[llm], restarts=True))
    assert (heard.text, heard.restarts, heard.metadata.attempts) == (SAID, 1, ())
    with pytest.raises(ModelUnavailable, match="was a thought"):
        await ask(FallbackLLM(models=[llm]))


async def test_a_model_that_thinks_long_is_not_silent(doubles: Doubles) -> None:
    heard = await ask(build_model(doubles, "thinks-600-ms", first_token_seconds=0.4))
    assert heard.text == SAID


async def test_thinking_that_uses_up_the_limit_is_told_as_that(doubles: Doubles) -> None:
    with pytest.raises(ModelUnavailable, match=r"for reasoning.*; raise LLM_MAX_TOKENS"):
        await ask(build_models(doubles, "thinks-out"))
    assert len(doubles.requested_models) == 1, "it would think as long once more"
    with pytest.raises(ModelRefused, match=r"no answer$"):
        await build_model(doubles, "thinks-out").achat(PROMPT, max_tokens=10)


@pytest.mark.parametrize(
    "name", ["max_tokens", "temperature", "stream_options", "models", "provider", "stream"]
)
async def test_what_a_server_does_not_take_is_left_out_from_then_on(
    doubles: Doubles, name: str
) -> None:
    llm = build_model(doubles, f"without-{name}", "answers", provider={"sort": "price"})
    for _ in range(2):
        assert (await ask(llm)).text == SAID
    asked = [seen.body for seen in doubles.log]
    assert [name in body for body in asked] == [True, False, False]
    kept = {"max_completion_tokens" if name == "max_tokens" else "max_tokens": 1_024}
    assert kept.items() <= asked[-1].items(), "the limit is kept by one name or another"
    assert len(asked[-1]) >= len(asked[0]) - 2


async def test_a_request_that_is_refused_anyhow_is_not_tried_without_end(doubles: Doubles) -> None:
    llm = build_model(doubles, "without-any", "answers", provider={"sort": "price"})
    for _ in range(2):
        before = len(doubles.log)
        with pytest.raises(ModelRefused, match="rejected the request as invalid"):
            await ask(llm)
        assert 1 < len(doubles.log) - before <= 4
        assert "temperature" in doubles.log[before].body, "nothing was learnt from it"


async def test_a_bad_request_for_another_reason_is_asked_once(doubles: Doubles) -> None:
    with pytest.raises(ModelRefused, match="rejected the request as invalid"):
        await ask(build_model(doubles, "status-400"))
    assert len(doubles.log) == 1


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        (b"This model's maximum context length is 4096 tokens, you requested 5000", "too long"),
        (b"The prompt is too long", "too long"),
        (b"'max_tokens' is too large: 9. At most 8 completion tokens.", "LLM_MAX_TOKENS"),
        (b"max_tokens must be less than 8", "LLM_MAX_TOKENS"),
        (b"Something else", "rejected the request as invalid"),
    ],
)
def test_what_is_too_long_is_told_as_that(told: bytes, reason: str) -> None:
    assert reason in str(error_for_status("m", 400, None, told))
    assert reason not in str(error_for_status("m", 500, None, told))
