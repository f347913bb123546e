"""A whole search, from words to passages, compared with the engine's two rankings alone."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from qdrant_edge import EdgeShard, QueryBatchRequest, QueryRequest

import storage.index.passages
from app.retrieval.request import SearchRequest
from app.retrieval.search import Search
from app.wiring import Services
from storage.embeddings.local import LocalEmbedding
from storage.index.bm25.encoder import encode_query
from storage.index.embedded.client import EngineClient
from storage.index.embedded.engine import conversions as edge
from storage.index.engine import Query
from storage.index.passages import PassageIndex
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import CORPUS, Options, open_home, settings, stage
from tests.bench.timing import Samples, Stopwatch, time_awaitable

RATIO_LIMIT, P95_LIMIT = 2.0, 50.0
PASSAGES, QUERIES, ROUNDS = 10_000, 300, 3

_LIMIT = 10
_RAW = "raw is both rankings by `EdgeShard.query_batch` in this process, on a copy of the shard"
_PHASES = {
    "SQL: which corpora": [(Search, "scope")],
    "embedding": [(LocalEmbedding, "aget_query_embedding")],
    "BM25": [(storage.index.passages, "encode_query")],
    "engine and the way to it": [(EngineClient, "search")],
    "LlamaIndex, passages": [(PassageIndex, "search")],
    "the rest": [(Search, "passages")],
}


@dataclass
class SearchBench:
    """The same queries by Ibid and by the raw engine, for which they are encoded in advance."""

    services: Services
    queries: Sequence[str]
    folder: Path
    """The folder of the collection that the engine's process has open."""
    copy: Path
    requests: list[list[QueryRequest]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Encode every query with the filter that Ibid uses."""
        for query in self.queries:
            encoded = Query(
                where={"corpus": [CORPUS], "state": ["live"]},
                limit=_LIMIT,
                dense=LocalEmbedding().get_query_embedding(query),
                sparse=encode_query({query: 1.0}, {"en"}),
            )
            self.requests.append([*edge.to_requests(encoded).values()])

    async def search(self, query: str) -> None:
        """Search with Ibid, through the engine's process."""
        await self.services.search.passages(SearchRequest(query, limit=_LIMIT))

    async def compare(self, rounds: int) -> tuple[Samples, Samples]:
        """Return the durations of Ibid's searches and of the raw engine's in this process.

        The raw engine uses a copy of the collection, which only one process can open.
        """
        shutil.rmtree(self.copy, ignore_errors=True)
        shutil.copytree(self.folder, self.copy)
        shard = EdgeShard.load(str(self.copy))

        async def raw(requests: list[QueryRequest]) -> None:
            shard.query_batch(QueryBatchRequest(requests))

        ours, theirs = Samples(), Samples()
        for number in range(-1, rounds):
            for index, query in enumerate(self.queries):
                works = [(ours, self.search(query)), (theirs, raw(self.requests[index]))]
                for samples, work in works[:: 1 if index % 2 else -1]:
                    taken = await time_awaitable(work)
                    if number >= 0:
                        samples.seconds.append(taken)
        shard.close()
        return ours, theirs

    async def phases(self) -> dict[str, float]:
        """Return the total seconds of all queries by phase."""
        watch = Stopwatch()
        with watch.watch(_PHASES):
            for query in self.queries:
                await self.search(query)
        return watch.seconds


async def run(options: Options) -> Result:
    """Measure searches just after writing, after reopening, and after `optimize`."""
    home, rounds = options.scratch / "home", options.rounds or ROUNDS
    options.say("generating")
    size = options.passages or PASSAGES
    pages = [*generator.pages(size)]
    queries = generator.questions(pages, QUERIES)
    about = f"{size:,} passages, {QUERIES} queries, k={_LIMIT}, {rounds} rounds; {_RAW}"
    result = Result("search", about)

    async def measure(services: Services, state: str) -> None:
        options.say(f"searching, {state}")
        folder = await served_folder(services, home)
        work = SearchBench(services, queries, folder, options.scratch / "copy")
        await _measure(work, rounds, result, state)

    async with open_home(home) as services:
        options.say("embedding and staging")
        result.add("passages", await stage(services, pages), "")
        await measure(services, "just written")
    async with open_home(home) as services:
        await measure(services, "opened again")
        options.say("optimising")
        engine, collection = services.indexes.engine, (await served_folder(services, home)).name
        result.add("optimize", await time_awaitable(engine.optimize(collection)), "s")
        await measure(services, "optimised")
    return result


async def served_folder(services: Services, home: Path) -> Path:
    """Return the folder of the serving collection."""
    collection = await services.search.serving_release()
    assert collection is not None
    return settings(home).index_folder / "collections" / collection


async def _measure(work: SearchBench, rounds: int, result: Result, state: str) -> None:
    ours, raw = await work.compare(rounds)
    result.add(f"{state}: p50 / raw p50", ours.median / raw.median, "x", RATIO_LIMIT)
    result.add(f"{state}: p95", 1e3 * ours.p95, "ms", P95_LIMIT)
    result.add_times(f"{state}: Search.passages", ours)
    result.add_times(f"{state}: raw engine", raw)
    for phase, taken in sorted((await work.phases()).items(), key=lambda item: -item[1]):
        result.add(f"{state}: {phase}", 1e3 * taken / len(work.queries), "ms", part=True)
