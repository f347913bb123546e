"""The overhead of a chat turn: its duration minus that of its search and of its model."""

import time
from collections import defaultdict
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID, uuid4

from app.chat.events import Retrieved
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.llms.prompts import build_prompt
from app.retrieval.request import SearchRequest
from app.retrieval.search import PASSAGES_PER_ANSWER as CITABLE
from app.wiring import Services
from storage.sql.tables import Message
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import Options, open_home, stage
from tests.bench.timing import Samples, subtract, time_alternately, time_awaitable
from tests.doubles.scripted import ScriptedLLM

LIMIT = 10.0
PASSAGES, ROUNDS = 2_000, 60
HISTORIES = (0, 6, 200)
PIECES = [f" word{n}" if n % 12 else f" word{n}. [{n // 12 + 1}]" for n in range(50)]


@dataclass
class TurnBench:
    """Tasks that use a round's question for a turn, for a search, and for the model alone."""

    services: Services
    questions: list[str]
    llm: ScriptedLLM = field(default_factory=lambda: ScriptedLLM(pieces=PIECES))
    first_events: dict[int, Samples] = field(default_factory=lambda: defaultdict(Samples))
    """Durations until the passages were retrieved, by length of history."""

    def __post_init__(self) -> None:
        """Create the measured service with a model that answers immediately."""
        turns = TurnEngine(self.services.search, self.llm)
        self.chat = ChatService(TurnRunner(self.services.database, turns))

    async def prepare(self) -> None:
        """Get an answer to fill earlier turns with."""
        conversation = await self.chat.start()
        self.earlier_answer = await self.chat.answer(conversation.id, self.questions[0])

    async def turn(self, history: int, number: int) -> float:
        """Return the seconds of a turn in a conversation with `history` messages."""
        conversation = await self._conversation(history)
        self.llm.prompts.clear()
        started = time.perf_counter()
        async with aclosing(self.chat.stream(conversation, self._question(number))) as events:
            async for event in events:
                if isinstance(event, Retrieved) and number >= 0:
                    assert event.passages, f"{self._question(number)!r} was declined"
                    self.first_events[history].seconds.append(time.perf_counter() - started)
        return time.perf_counter() - started

    async def extractive(self, number: int) -> float:
        """Return the seconds of a conversation's first turn with Ibid's built-in model."""
        conversation = await self.services.chat.start()
        return await time_awaitable(
            self.services.chat.answer(conversation.id, self._question(number))
        )

    async def search(self, number: int) -> None:
        """Search as a turn does."""
        await self.services.search.passages(SearchRequest(self._question(number), limit=CITABLE))

    async def model(self, number: int) -> float:
        """Return the seconds of the model's whole stream."""
        question = self._question(number)
        passages = await self.services.search.passages(SearchRequest(question, limit=CITABLE))
        prompt = build_prompt(question, passages)
        started = time.perf_counter()
        async for _ in await self.llm.astream_chat(prompt):
            pass
        return time.perf_counter() - started

    def _question(self, number: int) -> str:
        return self.questions[number % len(self.questions)]

    async def _conversation(self, history: int) -> UUID:
        conversation = await self.chat.start()
        async with self.services.database.transaction() as session:
            session.add(conversation)
            for _ in range(history // 2):
                ids = {"conversation_id": conversation.id, "message_id": uuid4()}
                last = conversation.active_id
                question = Message.question(conversation.id, self.questions[0], last)
                session.add(question)
                await session.flush()
                reply = Message.reply(self.earlier_answer.model_copy(update=ids), question.id)
                session.add(reply)
                await session.flush()
                conversation.active_id = reply.id
        return conversation.id


async def run(options: Options) -> Result:
    """Measure the overhead of a turn with a scripted model that answers immediately in 50 pieces."""
    rounds = options.rounds or ROUNDS
    pages = [*generator.pages(options.passages or PASSAGES)]
    async with open_home(options.scratch / "home") as services:
        options.say("embedding and staging")
        passages = await stage(services, pages)
        work = TurnBench(services, questions(pages))
        await work.prepare()
        options.say("turns, searches and answers, in turns")
        taken = await time_alternately(
            rounds,
            warm_up=3,
            search=work.search,
            model=work.model,
            extractive=work.extractive,
            **{f"turn{history}": partial(work.turn, history) for history in HISTORIES},
        )
    about = f"{len(PIECES)} tokens, {passages:,} passages, {rounds} rounds"
    result = Result("turn", f"what a turn adds to its search and its model; {about}")
    for history in HISTORIES:
        turn, said = taken[f"turn{history}"], f"{history} messages of history"
        over = subtract(turn, taken["search"], taken["model"])
        result.add_times(f"overhead, {said}", over, LIMIT)
        result.add_times(f"whole turn, {said}", turn, part=True)
        result.add_times(f"first event, {said}", work.first_events[history], part=True)
    result.add_times("search alone", taken["search"])
    result.add_times("model alone", taken["model"])
    result.add_times("whole turn of the extractive model", taken["extractive"])
    return result


def questions(pages: list[generator.GeneratedPage]) -> list[str]:
    """Return self-contained questions, so that their searches do not depend on the history."""
    return [f"What is the {page.sections[0].heading.lower()}?" for page in pages]
