"""Searches during an ingestion by another process; both share one engine process."""

import asyncio
from collections.abc import Coroutine

from app.wiring import Services
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import CORPUS, Options, open_home, stage
from tests.bench.processes import IBID, Shell
from tests.bench.timing import Samples, time_awaitable

PASSAGES, INGESTED, QUERIES = 20_000, 5_000, 300
_PAUSE = 0.02
"""Seconds between two searches of a user."""


async def run(options: Options) -> Result:
    """Measure the latency of searches and the duration of an ingestion, separately and concurrently."""
    home = options.scratch / "home"
    shell = Shell(home, options.scratch)

    def ingest(seed: int, passages: int = INGESTED) -> Coroutine[None, None, float]:
        folder = options.scratch / f"docs{seed}"
        generator.write([*generator.pages(passages, seed)], folder)
        return shell.time_run(*IBID, "ingest", str(folder), "--corpus", CORPUS)

    pages = [*generator.pages(options.passages or PASSAGES)]
    options.say("embedding and staging")
    async with open_home(home) as services:
        passages = await stage(services, pages)
        queries = generator.questions(pages, QUERIES)
        quiet = await _search_until(services, queries, asyncio.create_task(asyncio.sleep(5)))
        await ingest(10, 60)  # warm-up: compiles the bytecode
        options.say("ingesting alone")
        alone = await ingest(11)
        options.say("ingesting and searching")
        ingesting = asyncio.create_task(ingest(12))
        busy = await _search_until(services, queries, ingesting)
        together = await ingesting
    about = (
        f"one searcher on {passages:,} passages, `ibid ingest` of {INGESTED:,} more in a process"
    )
    result = Result("alongside", about)
    result.add_times("search, nothing else going on", quiet)
    result.add_times("search during the ingestion", busy)
    result.add("the longest search", 1e3 * max(busy.seconds), "ms", part=True)
    result.add("p50 during / without", busy.median / quiet.median, "x")
    result.add("ingestion alone", alone, "s")
    result.add("ingestion with the searcher", together, "s")
    return result


async def _search_until(
    services: Services, queries: list[str], until: asyncio.Task[object]
) -> Samples:
    samples = Samples()
    while not until.done():
        query = queries[len(samples.seconds) % len(queries)]
        samples.seconds.append(await time_awaitable(services.search.passages(query)))
        await asyncio.sleep(_PAUSE)
    return samples
