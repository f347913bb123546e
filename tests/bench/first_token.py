"""Time to the first token with many concurrent turns: Ibid against LlamaIndex's stock chat engine.

The time of a turn's own search and the median time of the model alone are subtracted from each turn. A
search of another turn would be less accurate, because other processes use the machine as well.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from contextvars import ContextVar
from copy import copy
from dataclasses import dataclass
from typing import Any

from aiohttp import ClientSession
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.chat_engine import CondensePlusContextChatEngine
from llama_index.llms.openrouter import OpenRouter

from app.chat.events import Token
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.llms.fallback import FallbackLLM
from app.llms.hosted.model import HostedLLM
from app.retrieval.retriever import PassageRetriever
from app.retrieval.search import PASSAGES_PER_ANSWER as CITABLE
from app.retrieval.search import Search
from app.wiring import Services
from storage.http.pool import open_pool
from storage.sql.tables import Message
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import Options, open_home, stage
from tests.bench.processes import run_model_double
from tests.bench.timing import Samples

LIMIT, SHARE = 15.0, 0.5
MOST_THREADS = 20
"""Limit of additional threads: SQLite has one per pooled connection, at most 15, for any number of turns."""
PASSAGES, TURNS = 2_000, 60
TURN_INTERVAL, MODEL = 0.1, "double/paced-100"
"""Seconds between new turns; an answer has about 30 words at 100 ms, so a turn takes more than 3 s."""
HISTORY = 6
_COUNTED = 15
AskFunction = Callable[[str], Awaitable[float]]

_SEARCH_SECONDS: ContextVar[list[float]] = ContextVar("searched")
"""Seconds of the current turn's searches, including the embedding of their queries."""


@dataclass
class FirstTokenBench:
    """The ways to get an answer. Each method returns the seconds to the first token without the search.

    The methods return at the end of the answer.
    """

    services: Services
    base: str
    http: ClientSession

    def __post_init__(self) -> None:
        """Create both engines with the same search and the same model server."""
        self.search = _time_searches(self.services.search)
        llm = HostedLLM.create(self.base, "any", MODEL, http=self.http)
        turns = TurnEngine(self.search, FallbackLLM(models=[llm], restarts=True))
        self.chat = ChatService(TurnRunner(self.services.database, turns))
        self.stock = OpenRouter(
            model=MODEL, api_key="any", api_base=self.base, max_tokens=1_024, max_retries=0
        )

    async def model(self, question: str) -> float:
        """Call the stand-in of the model directly."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": question}], "stream": True}
        headers, url = {"Authorization": "Bearer any"}, f"{self.base}/chat/completions"
        started, first = time.perf_counter(), 0.0
        async with self.http.post(url, json=body, headers=headers) as answer:
            async for line in answer.content:
                if not first and b'"content": "' in line and b'"content": ""' not in line:
                    first = time.perf_counter() - started
        return first

    async def ibid(self, question: str) -> float:
        """Run a turn in a conversation with some history, which Ibid stores and whose usage it records."""
        conversation = (await self.chat.start()).id
        async with self.services.database.transaction() as session:
            for _ in range(HISTORY // 2):
                session.add(Message.question(conversation, question))
                session.add(Message(conversation_id=conversation, role="assistant", text="So."))
        _SEARCH_SECONDS.set([])
        started, first = time.perf_counter(), 0.0
        async with aclosing(self.chat.stream(conversation, question)) as events:
            async for event in events:
                if not first and isinstance(event, Token):
                    first = time.perf_counter() - started
        return first - sum(_SEARCH_SECONDS.get())

    async def llamaindex(self, question: str) -> float:
        """Run a turn of the stock engine with its defaults, but without condensing the question."""
        said = [ChatMessage(role=role, content="So.") for role in ("user", "assistant")]
        engine = CondensePlusContextChatEngine.from_defaults(
            retriever=PassageRetriever(self.search, limit=CITABLE),
            llm=self.stock,
            chat_history=said * (HISTORY // 2),
            skip_condense=True,
        )
        _SEARCH_SECONDS.set([])
        started, first = time.perf_counter(), 0.0
        response = await engine.astream_chat(question)
        async for delta in response.async_response_gen():
            if not first and delta:
                first = time.perf_counter() - started
        await engine._memory.sql_store._async_engine.dispose()  # the engine never closes its SQLite
        return first - sum(_SEARCH_SECONDS.get())


def _time_searches(search: Search) -> Search:
    """Return a copy of the search that records its durations for each turn."""
    timed, ranked = copy(search), search.search_ranked

    async def watched(*arguments: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return await ranked(*arguments, **options)
        finally:
            _SEARCH_SECONDS.get().append(time.perf_counter() - started)

    timed.search_ranked = watched
    return timed


async def run(options: Options) -> Result:
    """Alternate each engine with the bare model, at a fixed rate.

    The two engines do not run at the same time, because the stock one blocks the event loop.
    """
    turns = options.rounds or TURNS
    pages = [*generator.pages(options.passages or PASSAGES)]
    questions = [f"What is the {page.sections[0].heading.lower()}?" for page in pages]
    threads: dict[str, int] = {}
    async with (
        run_model_double() as base,
        open_home(options.scratch / "home") as services,
        open_pool() as http,
    ):
        options.say("embedding and staging")
        passages = await stage(services, pages)
        asking = FirstTokenBench(services, base, http)
        ways: dict[str, AskFunction] = {
            n: getattr(asking, n) for n in ("model", "ibid", "llamaindex")
        }
        options.say("threads, each way by itself")
        for name in ("ibid", "llamaindex"):
            _, threads[name] = await _run_paced({name: ways[name]}, questions[:_COUNTED])
        over: dict[str, Samples] = {}
        for name in ("ibid", "llamaindex"):
            options.say(f"{turns} turns, {name}")
            taken, _ = await _run_paced(
                {"model": ways["model"], name: ways[name]}, questions[:turns]
            )
            own = taken["model"].median
            over[name] = Samples([seconds - own for seconds in taken[name].seconds])
    share = over["ibid"].median / over["llamaindex"].median
    about = f"{passages:,} passages, {turns} turns, {1 / TURN_INTERVAL:.0f} new a second, history {HISTORY}"
    result = Result("first_token", about)
    result.add("overhead, Ibid, p95", 1e3 * over["ibid"].p95, "ms", LIMIT)
    result.add("overhead, Ibid / stock chat engine", share, "x", SHARE)
    result.add_times("overhead, Ibid", over["ibid"])
    result.add_times("overhead, stock chat engine", over["llamaindex"])
    result.add("threads more at most, Ibid", threads["ibid"], "", MOST_THREADS)
    result.add("threads more at most, stock chat engine", threads["llamaindex"], "")
    return result


async def _run_paced(
    ways: dict[str, AskFunction], questions: list[str]
) -> tuple[dict[str, Samples], int]:
    """Return the times to the first tokens and the maximum number of additional threads."""
    before, most = threading.active_count(), 0
    asked: dict[str, list[asyncio.Future[float]]] = {name: [] for name in ways}
    names = [*ways]
    for number, question in enumerate(questions):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            asked[name].append(asyncio.ensure_future(ways[name](question)))
            await asyncio.sleep(TURN_INTERVAL)
            most = max(most, threading.active_count())
    taken = {name: Samples(await asyncio.gather(*first)) for name, first in asked.items()}
    return taken, most - before
