"""A load generator in a separate process: `run_plan` starts it with a plan and returns its `LoadResult`."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from time import perf_counter
from urllib.parse import quote, urlsplit

from tests.bench.wire import HttpConnection

_PATIENCE = 60.0
_PROBED = 10
"""For every tenth turn, the model is also called directly, without the server."""


@dataclass
class LoadResult:
    """The measurements of the load generator: seconds by kind, and failures."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    """Maximum number of concurrent requests."""

    def add(self, kind: str, seconds: float) -> None:
        """Add a duration."""
        self.seconds.setdefault(kind, []).append(seconds)

    async def attempt(self, wire: HttpConnection, work: Awaitable[None]) -> bool:
        """Run a request and return whether it succeeded; record a failure and close its connection."""
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            async with asyncio.timeout(_PATIENCE):
                await work
        except (OSError, EOFError, ValueError) as error:
            self.failures.append(repr(error))
            wire.close()
            return False
        finally:
            self.open -= 1
        return True


@dataclass(frozen=True)
class Searches:
    """A plan of users who search repeatedly, each on a separate connection, with pauses in between."""

    base: str
    path: str
    """The path and the query string up to the search words."""
    tokens: Sequence[str]
    """One token per user."""
    queries: Sequence[str]
    seconds: float
    ramp: float = 0.0
    """Seconds during which the users start one after another; searches in this time are not counted."""
    think: float = 0.0
    """Average seconds from an answer to the user's next search."""

    async def run(self) -> LoadResult:
        """Run the plan and return the durations of whole searches as `search`."""
        taken, counted = LoadResult(), perf_counter() + self.ramp
        users = (self._user(number, counted, taken) for number in range(len(self.tokens)))
        await asyncio.gather(*users)
        return taken

    async def _user(self, number: int, counted: float, taken: LoadResult) -> None:
        random, wire = Random(number), HttpConnection(self.base, self.tokens[number])  # noqa: S311 - no secret
        pause = random.uniform(0, self.ramp)
        while perf_counter() + pause < counted + self.seconds:
            await asyncio.sleep(pause)
            began = perf_counter()
            work = self._search(wire, random.choice(self.queries))
            if await taken.attempt(wire, work) and began >= counted:
                taken.add("search", perf_counter() - began)
            pause = random.uniform(0, 2 * self.think)
        wire.close()

    async def _search(self, wire: HttpConnection, query: str) -> None:
        await wire.get(self.path + quote(query))


@dataclass(frozen=True)
class Chats:
    """A plan of turns that start at random times at an average rate, regardless of how many are running."""

    base: str
    paths: Sequence[str]
    """Paths of the conversations' messages."""
    tokens: Sequence[str]
    """Tokens of the users who own these conversations."""
    questions: Sequence[str]
    rate: float
    seconds: float
    model: tuple[str, str] | None = None
    """URL and name of the model that the server uses."""

    async def run(self) -> LoadResult:
        """Run the plan and return durations by kind.

        `event` and `token` last until the first event and the first token of a turn, `turn` until its
        end, and `model` until the first token of a direct call.
        """
        taken, random, due = LoadResult(), Random(1), perf_counter()  # noqa: S311 - no secret
        asked: list[asyncio.Task[object]] = []
        for number in range(round(self.rate * self.seconds)):
            user = number % len(self.paths)
            wire = HttpConnection(self.base, self.tokens[user])
            turn = self._turn(wire, self.paths[user], self._question(number), taken)
            asked.append(asyncio.create_task(taken.attempt(wire, turn)))
            if self.model and number % _PROBED == 0:
                asked.append(asyncio.create_task(_ask(*self.model, taken)))
            due += random.expovariate(self.rate)
            await asyncio.sleep(due - perf_counter())
        await asyncio.gather(*asked)
        return taken

    def _question(self, number: int) -> str:
        return self.questions[number % len(self.questions)]

    async def _turn(
        self, wire: HttpConnection, path: str, question: str, taken: LoadResult
    ) -> None:
        began, event, seen = perf_counter(), b"", dict[str, float]()
        async for event in wire.events(path, {"text": question}):
            seen.setdefault("event", perf_counter() - began)
            if event.startswith(b"event: token"):
                seen.setdefault("token", perf_counter() - began)
        if not event.startswith(b"event: completed"):
            raise ValueError(event.decode())
        for kind, seconds in [*seen.items(), ("turn", perf_counter() - began)]:
            taken.add(kind, seconds)
        wire.close()


async def _ask(url: str, name: str, taken: LoadResult) -> None:
    wire, began, first = HttpConnection(url, "any"), perf_counter(), 0.0
    said = {"model": name, "messages": [{"role": "user", "content": "?"}], "stream": True}
    async for event in wire.events(f"{urlsplit(url).path}/chat/completions", said):
        if not first and b'"content": "' in event and b'"content": ""' not in event:
            first = perf_counter() - began
    taken.add("model", first)
    wire.close()


async def run_plan(plan: Searches | Chats) -> LoadResult:
    """Run a plan in a separate process and return its measurements."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.load", type(plan).__name__),
        cwd=Path(__file__).parents[2],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await child.communicate(json.dumps(asdict(plan)).encode())
    assert child.returncode == 0, plan
    return LoadResult(**json.loads(output))


if __name__ == "__main__":
    plan = {"Searches": Searches, "Chats": Chats}[sys.argv[1]](**json.load(sys.stdin))
    taken = asyncio.run(plan.run())
    if taken.failures:
        sys.stderr.write(f"{len(taken.failures)} failed, the first with {taken.failures[0]}\n")
    json.dump(asdict(taken), sys.stdout)
