"""Turns without a stored conversation: they obey the same limits, and only their cost is stored."""

import asyncio
from contextlib import aclosing

import pytest
from llama_index.core.base.llms.types import ChatMessage

from app.chat.events import Completed, Retrieved
from app.chat.limits import TurnLimit
from app.chat.request import AnswerRequest
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner, collect_answer
from app.usage.budgets import Budget
from app.wiring import Services
from storage.domain import RIGHTS, Attempt, Principal
from storage.errors import (
    BudgetSpent,
    Forbidden,
    InvalidInput,
    ModelUnavailable,
    NotFound,
    TooManyTurns,
)
from tests.doubles.scripted import ScriptedLLM
from tests.walks.turns import FUEL

pytestmark = pytest.mark.asyncio(loop_scope="module")
SAID = "It burns 2.4 litres [1]."


def runner(
    services: Services, llm: ScriptedLLM, name: str, budget: Budget | None = None, limit: int = 4
) -> TurnRunner:
    """Turns of a new user."""
    user = Principal(name=name, rights=RIGHTS["reader"])
    engine = TurnEngine(services.search, llm)
    return TurnRunner(services.database, engine, budget, TurnLimit(limit), user)


async def calls(services: Services, name: str) -> dict[str, int]:
    spent = (await services.usages.report(1)).spent
    return {one.model: one.calls for one in spent if one.user == name}


async def test_an_answer_needs_no_conversation(manual: Services) -> None:
    llm = ScriptedLLM(pieces=[SAID])
    turns = runner(manual, llm, "ann")
    history = [
        ChatMessage(role="user", content="Does the lens turn?"),
        ChatMessage(role="assistant", content="It does."),
    ]
    async with aclosing(turns.stream(FUEL, history)) as stream:
        events = [event async for event in stream]
    assert isinstance(events[0], Retrieved)
    assert isinstance(events[-1], Completed)
    assert events[-1].answer.text == SAID
    assert [message.content for message in llm.prompts[-1]][1:3] == [m.content for m in history]
    mine = manual.acting_for(turns.principal)
    assert await mine.history.recent() == []
    assert await calls(manual, "ann") == {"scripted": 1}


async def test_bad_requests_are_refused_and_cost_nothing(manual: Services) -> None:
    llm = ScriptedLLM(pieces=[SAID])
    turns = runner(manual, llm, "ben")
    for request, error in (
        (" ", InvalidInput),
        (AnswerRequest(FUEL, corpora=["ships"]), NotFound),
        (AnswerRequest(FUEL, filter={"version": "9"}), InvalidInput),
    ):
        with pytest.raises(error):
            await collect_answer(turns.stream(request))
    nobody = turns.acting_for(Principal(name="", rights=frozenset()))
    with pytest.raises(Forbidden):
        await collect_answer(nobody.stream(FUEL))
    assert llm.prompts == []
    assert await calls(manual, "ben") == {}


async def test_a_spent_budget_is_refused_before_a_model_is_called(manual: Services) -> None:
    llm = ScriptedLLM(pieces=[SAID])
    with pytest.raises(BudgetSpent, match="daily budget"):
        await collect_answer(runner(manual, llm, "cid", Budget(daily=0.0)).stream(FUEL))
    assert llm.prompts == []
    own = runner(manual, llm, "cid", Budget(daily_per_user=0.0))
    assert (await collect_answer(own.stream(FUEL))).citations, "an unknown user has spent nothing"
    with pytest.raises(BudgetSpent, match="Your daily budget"):
        await collect_answer(own.stream(FUEL))


async def test_turns_with_and_without_a_conversation_share_one_limit(manual: Services) -> None:
    turns = runner(manual, ScriptedLLM(pieces=[SAID]), "dot", limit=1)
    chat = ChatService(turns)
    async with aclosing(turns.stream(FUEL)) as open_turn:
        await anext(open_turn)
        with pytest.raises(TooManyTurns):
            await chat.answer(None, FUEL)
        with pytest.raises(TooManyTurns):
            await collect_answer(turns.stream(FUEL))
    assert await chat.answer(None, FUEL)
    await turns.wait_until_stored()


async def test_failed_and_cancelled_turns_are_charged(manual: Services) -> None:
    failed = ModelUnavailable("The model hung up.")
    failed.attempts = (Attempt(model="scripted", error="hung up"),)
    turns = runner(manual, ScriptedLLM(pieces=[SAID], fails_after=0, error=failed), "eli")
    with pytest.raises(ModelUnavailable):
        await collect_answer(turns.stream(FUEL))
    assert await calls(manual, "eli") == {"scripted": 1}

    turns = runner(manual, ScriptedLLM(pieces=["It ", "burns ", "oil."]), "fay")
    async with aclosing(turns.stream(FUEL)) as events:
        assert isinstance(await anext(events), Retrieved)
    await turns.wait_until_stored()
    assert await calls(manual, "fay") == {"scripted": 1}


async def test_a_conversation_begins_with_its_first_question(manual: Services) -> None:
    turns = runner(manual, ScriptedLLM(pieces=[SAID]), "gus")
    chat, history = ChatService(turns), manual.acting_for(turns.principal).history
    answer = await chat.answer(None, FUEL)
    thread, messages = await history.messages(answer.conversation_id)
    assert thread.title == FUEL
    assert [message.text for message in messages] == [FUEL, SAID]
    follow_up = await chat.answer(answer.conversation_id, "And why?")
    assert follow_up.conversation_id == answer.conversation_id


async def test_a_refused_question_begins_no_conversation(manual: Services) -> None:
    turns = runner(manual, ScriptedLLM(pieces=[SAID]), "hal", Budget(daily=0.0), limit=1)
    chat, history = ChatService(turns), manual.acting_for(turns.principal).history
    for request, error in (
        ("", InvalidInput),
        (AnswerRequest(FUEL, corpora=["ships"]), NotFound),
        (AnswerRequest(FUEL, filter={"colour": "red"}), InvalidInput),
        (FUEL, BudgetSpent),
    ):
        with pytest.raises(error):
            await chat.answer(None, request)
    assert await history.recent() == []


async def test_a_cancelled_first_question_is_kept(manual: Services) -> None:
    turns = runner(manual, ScriptedLLM(pieces=[SAID]), "ida")
    chat, history = ChatService(turns), manual.acting_for(turns.principal).history
    async with aclosing(chat.ask(FUEL)) as events:
        await anext(events)
    await asyncio.wait_for(turns.wait_until_stored(), 60)
    (thread,) = await history.recent()
    assert [m.text for m in (await history.messages(thread.id))[1]] == [FUEL]
