"""How long a server's event loop is blocked while it answers, and during the ingestion of an upload."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from tests.app.api.calls import API
from tests.app.api.uploads import archive, upload_files, wait_for_job
from tests.app.cli.commands import environment
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import CORPUS, Options, fill, settings, wait_for_engine_exit
from tests.bench.load import Chats, Searches, run_plan
from tests.bench.processes import conversations, run_model_double, run_module
from tests.bench.ticking import Clock, Ticks
from tests.bench.timing import Samples

LIMIT = 20.0
PASSAGES, INGESTED, QUERIES = 20_000, 10_000, 200
MODEL = "double/paced-100"


@dataclass(frozen=True)
class LoopLoad:
    """The load: its duration in seconds, and searches and turns per second."""

    seconds: float = 15.0
    searches: int = 40
    turns: float = 5.0


async def run(options: Options, load: LoopLoad | None = None) -> Result:
    """Measure how late ticks are and how much the loop's thread works between them.

    The limit of lateness applies to its 99.9th percentile, because higher values are due to other
    processes. The limit of work applies to its maximum, which does not depend on other processes.
    """
    load, home = load or LoopLoad(), options.scratch / "home"
    pages = [*generator.pages(options.passages or PASSAGES)]
    options.say("embedding and staging")
    passages = await fill(home, pages)
    more = min(options.passages or INGESTED, INGESTED)
    sent = {page.path: page.markdown for page in generator.pages(more, 11)}
    about = f"{load.searches} searches and {load.turns:g} turns a second, {passages:,} passages"
    result = Result("loop", about)
    async with run_model_double() as model:
        hosted = {"OPENROUTER_API_KEY": "any", "OPENROUTER_BASE_URL": model}
        names = {"OPENROUTER_MODELS": MODEL, "LOG_LEVEL": "warning"}
        with run_module("tests.bench.ticking", **environment(home), **hosted, **names) as client:
            work = TickingServer(client, load, pages)
            options.say("warming up")
            await work.measure()
            options.say("answering")
            _add(result, "answering", *await work.measure())
            options.say("answering while an upload is ingested")
            job = upload_files(client, {"docs.zip": archive(sent)}, corpus=CORPUS).json()
            _wait_until_started(client, job["id"])
            _add(result, "an upload being ingested", *await work.measure())
            wait_for_job(client, job["id"], 600)
    await wait_for_engine_exit(settings(home).index_folder)
    return result


@dataclass(frozen=True)
class TickingServer:
    """A server with a clock in its event loop, and the load for it."""

    client: httpx.Client
    load: LoopLoad
    pages: Sequence[generator.GeneratedPage]

    async def measure(self) -> tuple[Ticks, Ticks]:
        """Return the ticks of the server's event loop, and of the idle loop of this process."""
        plans, idle = self.plans(), Clock()
        self.client.get("/ticks")
        idle.start()
        for taken in await asyncio.gather(*map(run_plan, plans)):
            assert not taken.failures
        return Ticks(**self.client.get("/ticks").json()), idle.read()

    def plans(self) -> tuple[Searches, Chats]:
        """Return plans for concurrent searches and turns of the same duration."""
        base, seconds = str(self.client.base_url), self.load.seconds
        asked = [
            f"What is the {page.sections[0].heading.lower()}?" for page in self.pages[:QUERIES]
        ]
        searchers = [""] * self.load.searches
        paths = conversations(self.client, round(self.load.turns * seconds))
        return (
            Searches(base, f"{API}/search?k=10&q=", searchers, asked, seconds, ramp=1, think=1),
            Chats(base, paths, [""] * len(paths), asked, self.load.turns, seconds),
        )


def _wait_until_started(client: httpx.Client, job_id: str) -> None:
    while client.get(f"{API}/jobs/{job_id}").json()["phase"] == "queued":
        time.sleep(0.1)


def _add(result: Result, when: str, server: Ticks, idle: Ticks) -> None:
    late, machine = Samples(server.late), Samples(idle.late)
    result.add(f"{when}: late, p99.9", 1e3 * late.percentile(99.9), "ms", LIMIT)
    result.add_times(f"{when}: late", late, part=True)
    result.add(f"{when}: late, at most", 1e3 * max(late.seconds), "ms", part=True)
    for name, value in (("p99.9", machine.percentile(99.9)), ("at most", max(machine.seconds))):
        result.add(f"{when}: late in an idle process, {name}", 1e3 * value, "ms", part=True)
    worked = 1e3 * max(server.worked)
    result.add(f"{when}: work between two ticks, at most", worked, "ms", LIMIT)
