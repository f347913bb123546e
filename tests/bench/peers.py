"""Ibid compared with a tutorial's application over HTTP, and with the bare engine, on the same passages."""

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from storage.index.engine import Record
from storage.index.releases import ALIAS
from tests.app.api.calls import API
from tests.app.cli.test_serve import run_server
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import CORPUS, Options, open_home, settings, wait_for_engine_exit
from tests.bench.load import Chats, Searches, run_plan
from tests.bench.processes import conversations, run_model_double, run_module
from tests.bench.search import RATIO_LIMIT, SearchBench, served_folder
from tests.bench.timing import Samples, ratio, time_alternately, time_awaitable

SEARCH_LIMIT, INGEST_LIMIT, CHAT_LIMIT = 1 / 20, 1 / 3, 1 / 3
PASSAGES, QUERIES, ROUNDS = 20_000, 200, 3
CLIENTS = 4
"""Number of concurrent clients, which search without a pause."""
MODEL = "double/paced-20"


@dataclass(frozen=True)
class PeerLoad:
    """Seconds of each measurement, and turns per second."""

    seconds: float = 6.0
    turns: float = 2.0


@dataclass(frozen=True)
class PeerServer:
    """One of the two servers."""

    client: httpx.Client
    search: str
    """The path and the query string up to the search words."""
    chats: Callable[[int], list[str]]
    """Returns the paths for a number of questions, each without a history."""


@dataclass(frozen=True)
class PeerBench:
    """The questions for both servers."""

    questions: Sequence[str]
    model: str
    load: PeerLoad

    async def search(self, served: PeerServer, _: int) -> float:
        """Return the seconds per search with `CLIENTS` concurrent searches."""
        base, tokens = str(served.client.base_url), [""] * CLIENTS
        plan = Searches(base, served.search, tokens, self.questions, self.load.seconds)
        taken = await run_plan(plan)
        assert not taken.failures
        return statistics.fmean(taken.seconds["search"]) / CLIENTS

    async def chat(self, served: PeerServer, _: int) -> float:
        """Return the median seconds to the first token, minus the median of the model alone."""
        paths = served.chats(round(self.load.turns * self.load.seconds))
        plan = Chats(
            base=str(served.client.base_url),
            paths=paths,
            tokens=[""] * len(paths),
            questions=self.questions,
            rate=self.load.turns,
            seconds=self.load.seconds,
            model=(self.model, MODEL),
        )
        taken = await run_plan(plan)
        assert not taken.failures
        return Samples(taken.seconds["token"]).median - Samples(taken.seconds["model"]).median


async def run(options: Options, load: PeerLoad | None = None) -> Result:
    """Compare both applications; the tutorial's gets finished passages, Ibid has to read and split files."""
    home, nodes = options.scratch / "home", options.scratch / "nodes"
    pages = [*generator.pages(options.passages or PASSAGES)]
    options.say("ingesting, and searching beside the bare engine")
    ingestion, slower = await _ingest(options.scratch, home, nodes, pages)
    asked = [f"What is the {page.sections[0].heading.lower()}?" for page in pages[:QUERIES]]
    load = load or PeerLoad()
    result = Result(
        "peers",
        f"some {options.passages or PASSAGES:,} passages, {CLIENTS} clients, {load.seconds:g} s",
    )
    result.add("search / bare engine, in-process", slower, "x", RATIO_LIMIT)
    async with run_model_double() as model:
        data = str(options.scratch / "tutorial")
        with run_module("tests.bench.tutorial", data, model, MODEL) as client:
            options.say("ingesting into the tutorial's")
            said = client.post("/ingest", params={"path": str(nodes)}, timeout=None)
            theirs: float = said.raise_for_status().json()
            result.add("ingestion / tutorial's", ingestion / theirs, "x", INGEST_LIMIT)
            result.add("ingestion", ingestion, "s", part=True)
            result.add("ingestion, tutorial's", theirs, "s", part=True)
            tutorial = PeerServer(client, "/search?k=10&q=", lambda count: ["/chat"] * count)
            hosted = {"OPENROUTER_API_KEY": "any", "OPENROUTER_BASE_URL": model}
            names = {"OPENROUTER_MODELS": MODEL, "LOG_LEVEL": "warning"}
            with run_server(home, **hosted, **names) as (_, door):
                ibid = PeerServer(door, f"{API}/search?k=10&q=", partial(conversations, door))
                await _compare(options, PeerBench(asked, model, load), ibid, tutorial, result)
    await wait_for_engine_exit(settings(home).index_folder)
    return result


async def _ingest(
    scratch: Path, home: Path, nodes: Path, pages: Sequence[generator.GeneratedPage]
) -> tuple[float, float]:
    """Return the seconds of the ingestion and the ratio of a search to the bare engine.

    Write the passages as nodes for the tutorial's application.
    """
    docs, queries = generator.write(pages, scratch / "docs"), generator.questions(pages, QUERIES)
    async with open_home(home) as services:
        ingestion = await time_awaitable(services.ingestion.run([docs], CORPUS))
        _write(await services.indexes.engine.scan(ALIAS, {}), nodes)
        folder = await served_folder(services, home)
        ours, bare = await SearchBench(services, queries, folder, scratch / "copy").compare(1)
    return ingestion, ours.median / bare.median


async def _compare(
    options: Options, asking: PeerBench, ibid: PeerServer, tutorial: PeerServer, result: Result
) -> None:
    for what, limit, work in (
        ("a search", SEARCH_LIMIT, asking.search),
        ("first token beyond the model's own", CHAT_LIMIT, asking.chat),
    ):
        options.say(f"{what}, in turns")
        rounds = options.rounds or ROUNDS
        taken = await time_alternately(
            rounds, ibid=partial(work, ibid), tutorial=partial(work, tutorial)
        )
        result.add(f"{what} / tutorial's", ratio(taken["ibid"], taken["tutorial"]), "x", limit)
        result.add_times(what, taken["ibid"], part=True)
        result.add_times(f"{what}, tutorial's", taken["tutorial"], part=True)


def _write(records: Sequence[Record], path: Path) -> None:
    """Write the passages as LlamaIndex nodes, one JSON document per line."""
    with path.open("w", encoding="utf-8") as lines:
        for record in records:
            about = {name: record.payload[name] for name in ("title", "section", "url")}
            node = {"id_": record.id, "text": record.payload["text"], "metadata": about}
            lines.write(json.dumps(node) + "\n")
