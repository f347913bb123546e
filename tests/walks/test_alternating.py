"""Whatever became of earlier questions, the roles of what a model is told take turns."""

from contextlib import aclosing
from itertools import pairwise
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, MessageRole

from app.chat.events import Token
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner, collect_answer
from app.llms import prompts
from app.llms.hosted.model import HostedLLM
from app.wiring import Services
from storage.errors import ModelRefused, ModelUnavailable
from tests.doubles.scripted import ScriptedLLM
from tests.doubles.services import Doubles
from tests.walks.turns import FUEL, chat_with_model, scripted_chat

Step = Literal["answered", "failed", "broken off", "left", "edited", "again", "back"]
STEPS: st.SearchStrategy[Step] = st.sampled_from(
    ["answered", "failed", "broken off", "left", "edited", "again", "back"]
)
ROLES = st.sampled_from([MessageRole.USER, MessageRole.ASSISTANT, MessageRole.SYSTEM])
SAID = ["It ", "burns [1]."]
FOLLOWS = "And how much of it does the lamp burn?"


def roles(messages: list[ChatMessage]) -> str:
    return "".join(message.role.value[0] for message in messages)


def assert_takes_turns(messages: list[ChatMessage]) -> None:
    """What the model is told first, then question and answer in turn, and a question at the end."""
    said = roles(messages)
    assert said[0] == "s"
    assert said[1:] == "ua" * (len(said) // 2 - 1) + "u", said


async def take_step(manual: Services, conversation: UUID, step: Step, asked: list[UUID]) -> None:
    """One more turn, or another branch; `asked` are the questions that can be gone back to."""
    chat = scripted_chat(manual, *SAID, fails_after={"failed": 0, "broken off": 1}.get(step))
    instead_of = asked[len(asked) // 2] if asked and step == "edited" else None
    if step == "back" and asked:
        await manual.history.select_branch(conversation, asked[0])
    elif step == "again" and asked:
        await collect_answer(chat.regenerate(conversation, asked[-1]))
    elif step == "left":
        async with aclosing(chat.stream(conversation, FOLLOWS)) as events:
            async for event in events:
                if isinstance(event, Token):
                    break
    elif step in ("failed", "broken off"):
        with pytest.raises(ModelUnavailable):
            await chat.answer(conversation, FOLLOWS)
    else:
        await collect_answer(chat.stream(conversation, FUEL, instead_of=instead_of))


@pytest.mark.asyncio(loop_scope="module")
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=1, max_size=16))
async def test_the_next_turn_is_asked_properly(manual: Services, steps: list[Step]) -> None:
    conversation = (await manual.chat.start()).id
    for step in steps:
        _, messages = await manual.history.messages(conversation)
        asked = [message.id for message in messages if message.role == "user"]
        await take_step(manual, conversation, step, asked)
    llm = ScriptedLLM(pieces=SAID)
    assert (await chat_with_model(manual, llm).answer(conversation, FOLLOWS)).citations
    (prompt,) = llm.prompts
    assert_takes_turns([*prompt])


@given(st.lists(st.builds(ChatMessage, role=ROLES, content=st.sampled_from(["", "words"]))))
def test_any_history_is_told_in_turns(history: list[ChatMessage]) -> None:
    told = prompts.build_prompt("Why?", (), history)
    assert_takes_turns(told)
    answered = [(one.content, two.content) for one, two in pairwise(history)]
    assert len(told) <= 2 + 2 * len(answered)


@given(st.lists(st.integers(0, 4_000), max_size=12), st.integers(0, 3_000), st.booleans())
def test_what_does_not_fit_is_left_out_by_exchange(
    sizes: list[int], last: int, is_told: bool
) -> None:
    llm = HostedLLM.create("http://127.0.0.1:1/v1", None, "m", context_window=2_000, max_tokens=500)
    said = [
        ChatMessage(role=role, content="x" * size)
        for size in sizes
        for role in (MessageRole.USER, MessageRole.ASSISTANT)
    ]
    told = [ChatMessage(role=MessageRole.SYSTEM, content="Cite.")]
    question = ChatMessage(role=MessageRole.USER, content="x" * last)
    messages = [*(told if is_told else []), *said, question]
    kept = llm._fit_context(messages)
    assert sum(len(message.content or "") for message in kept) <= 1_500 * 3
    assert_takes_turns(kept if is_told else [*told, *kept])
    assert kept[-len(kept) + is_told :] == messages[-len(kept) + is_told :], "the oldest go first"


def test_a_question_that_does_not_fit_is_refused() -> None:
    llm = HostedLLM.create("http://127.0.0.1:1/v1", None, "m", context_window=2_000, max_tokens=500)
    with pytest.raises(ModelRefused, match="exceeds its context"):
        llm._fit_context([ChatMessage(role=MessageRole.USER, content="x" * 5_000)])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_strict_server_answers_after_a_turn_that_failed(manual: Services) -> None:
    conversation = (await manual.chat.start()).id
    with pytest.raises(ModelUnavailable):
        await scripted_chat(manual, *SAID, fails_after=0).answer(conversation, FUEL)
    await scripted_chat(manual, *SAID).answer(conversation, FUEL)
    with pytest.raises(ModelUnavailable):
        await scripted_chat(manual, *SAID, fails_after=1).answer(conversation, FUEL)
    async with Doubles().running() as doubles:
        llm = HostedLLM.create(doubles.openrouter, "any", "double/alternates")
        chat = ChatService(TurnRunner(manual.database, TurnEngine(manual.search, llm)))
        answer = await chat.answer(conversation, FUEL)
        told = doubles.log[-1].body["messages"]
    assert answer.model == "double/alternates"
    assert [message["role"] for message in told] == ["system", "user", "assistant", "user"]
