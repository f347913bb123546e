"""Growth with the size of the corpus: ingestion, memory, and search in-process and over HTTP."""

import asyncio
import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.app.api.calls import API
from tests.app.cli.test_serve import run_server
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import CORPUS, Options, open_home, settings, wait_for_engine_exit
from tests.bench.meters import Memory
from tests.bench.search import P95_LIMIT, RATIO_LIMIT, SearchBench, served_folder
from tests.bench.timing import Samples, time_awaitable

LARGEST, STEPS = 100_000, (100, 10, 1)
"""Passages of the largest corpus, and the divisors that give the sizes."""
QUERIES = 200
MEMORY_LIMIT, EXPONENT_LIMIT = 500.0, 1.1


@dataclass
class GrowthStep:
    """One size of corpus with its measurements: seconds of ingestions, megabytes, durations of searches."""

    scratch: Path
    passages: int
    ingestion_seconds: float = 0.0
    reingestion_seconds: float = 0.0
    memory: float = 0.0
    ours: Samples = field(default_factory=Samples)
    raw: Samples = field(default_factory=Samples)
    http: Samples = field(default_factory=Samples)

    async def measure(self) -> None:
        """Ingest, ingest again without a change, and search; then delete the folder."""
        pages = [*generator.pages(self.passages)]
        docs = generator.write(pages, self.scratch / "docs")
        queries = generator.questions(pages, QUERIES)
        home = self.scratch / "home"
        memory = Memory()
        del pages
        async with open_home(home) as services:
            async with memory.watch():
                self.ingestion_seconds = await time_awaitable(
                    services.ingestion.run([docs], CORPUS)
                )
            self.reingestion_seconds = await time_awaitable(services.ingestion.run([docs], CORPUS))
            folder = await served_folder(services, home)
            work = SearchBench(services, queries, folder, self.scratch / "copy")
            self.ours, self.raw = await work.compare(1)
            self.memory = memory.peak
        await asyncio.to_thread(self._ask_server, home, queries)
        await wait_for_engine_exit(settings(home).index_folder)
        shutil.rmtree(self.scratch)

    def _ask_server(self, home: Path, queries: Sequence[str]) -> None:
        with run_server(home) as (_, client):
            for number, query in enumerate([*queries[:20], *queries]):
                response = client.get(f"{API}/search", params={"q": query, "k": 10})
                assert response.status_code == httpx.codes.OK, response.text
                if number >= len(queries[:20]):
                    self.http.seconds.append(response.elapsed.total_seconds())


async def run(options: Options) -> Result:
    """Measure three sizes, each ten times the previous one, after a warm-up ingestion."""
    largest = options.passages or LARGEST
    options.say("warming up")
    await GrowthStep(options.scratch / "warm", 60).measure()
    about = f"up to {largest:,} passages, {QUERIES} queries, k=10, one process and its engine"
    result = Result("growth", about)
    grown: list[GrowthStep] = []
    for step in STEPS:
        options.say(f"{largest // step:,} passages")
        grown.append(GrowthStep(options.scratch / f"home{step}", largest // step))
        await grown[-1].measure()
        _add(result, grown[-1])
    small, large = grown[0], grown[-1]
    exponent = math.log(large.ingestion_seconds / small.ingestion_seconds) / math.log(
        large.passages / small.passages
    )
    result.add("ingestion grows with passages to the power of", exponent, "", EXPONENT_LIMIT)
    result.add("memory of the largest ingestion", large.memory, "MB", MEMORY_LIMIT)
    return result


def _add(result: Result, one: GrowthStep) -> None:
    about = f"{one.passages:,} passages"
    result.add(f"{about}: ingestion", one.ingestion_seconds, "s")
    result.add(f"{about}: no-change re-ingest", one.reingestion_seconds, "s", part=True)
    result.add(f"{about}: memory meanwhile", one.memory, "MB", part=True)
    result.add_times(f"{about}: search in-process", one.ours)
    result.add(f"{about}: search in-process, p95", 1e3 * one.ours.p95, "ms", P95_LIMIT, part=True)
    result.add_times(f"{about}: raw engine", one.raw, part=True)
    result.add(
        f"{about}: p50 / raw p50", one.ours.median / one.raw.median, "x", RATIO_LIMIT, part=True
    )
    result.add_times(f"{about}: search over HTTP", one.http)
