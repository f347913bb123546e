"""Simulation of how many searches and turns per second more processes and cores can handle.

The simulation uses the CPU time per request that is measured here with one process. It ignores
networks, databases and models: they make each request slower, but do not slow down other requests as
long as connections are free.
"""

from contextlib import closing
from dataclasses import dataclass, replace

from tests.app.api.calls import API
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import Options, fill, settings, wait_for_engine_exit
from tests.bench.load import Chats, LoadResult, Searches, run_plan
from tests.bench.meters import cpu_seconds
from tests.bench.processes import run_model_double
from tests.bench.simulation import Demand, Deployment, max_sustained_rate, simulate
from tests.bench.timing import Samples
from tests.bench.users import RunningServer, UserLoad, open_server
from tests.doubles.issuer import Issuer

LIMIT = 0.2
SITES = (Deployment(1, 1), Deployment(2, 1), Deployment(4, 2), Deployment(8, 4), Deployment(16, 8))
PASSAGES, QUERIES = 100_000, 200
AT_ONCE, PACED = "double/answers", "double/paced-100"
_WORDS = 42
"""Number of words in an answer of both models."""
_WARM_UP = 2.0


@dataclass(frozen=True)
class CapacityLoad:
    """The measured load: `searches` and `turns` per second, few enough that no request has to wait."""

    seconds: float = 10.0
    searches: float = 40.0
    turns: float = 4.0
    simulated: float = 40.0
    """Simulated seconds."""


@dataclass(frozen=True)
class CpuPerRequest:
    """CPU seconds of the server and of the engine per request."""

    result: LoadResult
    server: float
    engine: float


async def run(options: Options, load: CapacityLoad | None = None) -> Result:
    """Measure the CPU time per request, check the simulation against measured searches, then simulate."""
    load, home = load or CapacityLoad(), options.scratch / "home"
    pages = [*generator.pages(options.passages or PASSAGES)]
    options.say("embedding and staging")
    passages = await fill(home, pages)
    asked = [f"What is the {page.sections[0].heading.lower()}?" for page in pages[:QUERIES]]
    options.say("searches, and turns whose words come at once or one by one")
    search = await _measure_searches(options, load, asked)
    at_once, paced = [
        await _measure_turns(options, load, asked, model) for model in (AT_ONCE, PACED)
    ]
    await wait_for_engine_exit(settings(home).index_folder)
    word = max(0.0, paced.server - at_once.server) / _WORDS
    demands = {
        "searches": Demand(search.server, search.engine),
        "turns": Demand(at_once.server, at_once.engine, word, _WORDS),
    }
    within = f"p95 of an answer or a first event within {1e3 * LIMIT:.0f} ms"
    result = Result("capacity", f"{passages:,} passages; {within}")
    for what, demand in demands.items():
        result.add(f"{what}: of the process, each", 1e3 * demand.process, "ms")
        result.add(f"{what}: of the engine, each", 1e3 * demand.engine, "ms")
    result.add("turns: of the process, each word", 1e3 * word, "ms")
    result.add_times("searches: measured", Samples(search.result.seconds["search"]))
    alike = simulate(SITES[0], demands["searches"], load.searches, load.simulated)
    result.add_times("searches: simulated", alike)
    options.say("simulating")
    for site in SITES:
        about = f"processes: {site.processes}, cores of the engine: {site.cores}"
        for what, demand in demands.items():
            most = max_sustained_rate(site, demand, LIMIT, load.simulated)
            result.add(f"{what} a second; {about}", most, "/s", part=True)
    return result


async def _measure_searches(
    options: Options, load: CapacityLoad, asked: list[str]
) -> CpuPerRequest:
    crowd = UserLoad(users=round(load.searches))
    with closing(Issuer()) as issuer, open_server(options.scratch / "home", issuer, crowd) as door:
        path, seconds = f"{API}/search?k=10&q=", load.seconds
        plan = Searches(door.base, path, door.tokens, asked, seconds, ramp=1, think=1)
        await run_plan(replace(plan, seconds=_WARM_UP))
        return await _measure_cpu(door, plan, "search")


async def _measure_turns(
    options: Options, load: CapacityLoad, asked: list[str], model: str
) -> CpuPerRequest:
    crowd = UserLoad(users=round(load.turns * load.seconds))
    with closing(Issuer()) as issuer:
        async with run_model_double() as base:
            hosted = {"OPENROUTER_API_KEY": "any", "OPENROUTER_BASE_URL": base}
            hosted["OPENROUTER_MODELS"] = model
            with open_server(options.scratch / "home", issuer, crowd, **hosted) as door:
                plan = Chats(door.base, door.paths, door.tokens, asked, load.turns, load.seconds)
                await run_plan(replace(plan, seconds=_WARM_UP))
                return await _measure_cpu(door, plan, "turn")


async def _measure_cpu(door: RunningServer, plan: Searches | Chats, kind: str) -> CpuPerRequest:
    before = cpu_seconds(door.server), cpu_seconds(door.engine)
    taken = await run_plan(plan)
    assert not taken.failures
    count = len(taken.seconds[kind])
    server, engine = cpu_seconds(door.server) - before[0], cpu_seconds(door.engine) - before[1]
    return CpuPerRequest(taken, server / count, engine / count)
