"""Turns over the keeper's manual, with models that say what they are told."""

from uuid import UUID

from app.chat.events import ChatEvent, Completed
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.wiring import Services
from storage.domain import Answer
from tests.doubles.scripted import ScriptedLLM

FUEL = "How much paraffin does the lamp burn?"
"""Its best passage, which a script calls [1], is the section “Fuel”."""
BURNS = "The lamp burns 2.4 litres of paraffin an hour"


def scripted_chat(services: Services, *pieces: str, fails_after: int | None = None) -> ChatService:
    """Conversations with a model that says this."""
    return chat_with_model(services, ScriptedLLM(pieces=list(pieces), fails_after=fails_after))


def chat_with_model(services: Services, llm: ScriptedLLM) -> ChatService:
    return ChatService(TurnRunner(services.database, TurnEngine(services.search, llm)))


async def ask_for_events(
    chat: ChatService, question: str = FUEL, conversation: UUID | None = None
) -> list[ChatEvent]:
    conversation = conversation or (await chat.start()).id
    return [event async for event in chat.stream(conversation, question)]


async def ask(chat: ChatService, question: str = FUEL, conversation: UUID | None = None) -> Answer:
    last = (await ask_for_events(chat, question, conversation))[-1]
    assert isinstance(last, Completed)
    return last.answer
