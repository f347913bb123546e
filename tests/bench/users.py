"""A thousand users of one server over real sockets, first with searches, then with turns."""

from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.app.api.calls import API
from tests.app.cli.test_serve import run_server
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import Options, fill, settings, wait_for_engine_exit
from tests.bench.load import Chats, LoadResult, Searches, run_plan
from tests.bench.meters import Memory, cpu_seconds, process_ids
from tests.bench.processes import run_model_double
from tests.bench.timing import Samples
from tests.doubles.issuer import Issuer

SEARCH_LIMIT, EVENT_LIMIT, STREAM_LIMIT = 200.0, 200.0, 100.0
PASSAGES, QUERIES = 100_000, 500
MODEL = "double/paced-100"
"""A model whose answers have about 40 words, ten per second."""
_WARM_UP = 3.0


@dataclass(frozen=True)
class UserLoad:
    """The number of users, their actions, and the duration in seconds."""

    users: int = 1_000
    think: float = 5.0
    ramp: float = 10.0
    """Seconds; as long as the longest pause, so that the load is constant after it."""
    seconds: float = 20.0
    turns: float = 20.0
    """Turns per second; `extractive` is for the extractive model, which needs more CPU time."""
    extractive: float = 5.0


@dataclass(frozen=True)
class RunningServer:
    """A running server, and signed-in users with one conversation each."""

    base: str
    tokens: Sequence[str]
    paths: Sequence[str]
    server: Sequence[int]
    """Process IDs of the server; `engine` has those of the engine."""
    engine: Sequence[int]


async def run(options: Options, crowd: UserLoad | None = None) -> Result:
    """Measure a server with authentication and SQL; a smaller crowd serves to test this benchmark."""
    crowd = crowd or UserLoad()
    home = options.scratch / "home"
    pages = [*generator.pages(options.passages or PASSAGES)]
    options.say("embedding and staging")
    passages = await fill(home, pages)
    queries = generator.questions(pages, QUERIES)
    questions = [f"What is the {page.sections[0].heading.lower()}?" for page in pages[:QUERIES]]
    result = Result("users", f"{crowd.users:,} users, {passages:,} passages, {crowd.seconds:g} s")
    with closing(Issuer()) as issuer:
        async with run_model_double() as model:
            hosted = {"OPENROUTER_API_KEY": "any", "OPENROUTER_BASE_URL": model}
            with open_server(home, issuer, crowd, **hosted, OPENROUTER_MODELS=MODEL) as door:
                options.say("searches")
                await _search(door, crowd, queries, result)
                options.say("turns")
                await _chat(door, crowd, questions, model, result)
        await wait_for_engine_exit(settings(home).index_folder)
        with open_server(home, issuer, crowd) as door:
            options.say("turns of the extractive model")
            await _extract(door, crowd, questions, result)
    await wait_for_engine_exit(settings(home).index_folder)
    return result


@contextmanager
def open_server(
    home: Path, issuer: Issuer, crowd: UserLoad, **model: str
) -> Generator[RunningServer]:
    """Run a server with signed-in users.

    It logs only warnings, because nothing reads its output and a full pipe would block it.
    """
    signing_in = {name.upper(): value for name, value in issuer.settings().items()}
    limits = {"RATE_LIMIT": "1000000", "LOG_LEVEL": "warning"}
    with run_server(home, **signing_in, **limits, **model) as (process, client):
        tokens = [issuer.token(f"user-{number}") for number in range(crowd.users)]
        paths: list[str] = []
        for token in tokens:
            who = {"authorization": f"Bearer {token}"}
            begun = client.post(f"{API}/conversations", headers=who).raise_for_status().json()
            paths.append(f"{API}/conversations/{begun['id']}/messages")
        yield RunningServer(str(client.base_url), tokens, paths, *process_ids(process.pid))


async def _search(
    door: RunningServer, crowd: UserLoad, queries: Sequence[str], result: Result
) -> None:
    plan = Searches(
        base=door.base,
        path=f"{API}/search?k=10&q=",
        tokens=door.tokens,
        queries=queries,
        seconds=crowd.seconds,
        ramp=crowd.ramp,
        think=crowd.think,
    )
    taken = await _run_plan(plan, door, result, "searches")
    searches = Samples(taken.seconds["search"])
    result.add("search, p95", 1e3 * searches.p95, "ms", SEARCH_LIMIT)
    result.add_times("search", searches, part=True)
    result.add("search, p99", 1e3 * searches.percentile(99), "ms", part=True)
    result.add("searches a second", len(searches.seconds) / crowd.seconds, "/s", part=True)


async def _chat(
    door: RunningServer, crowd: UserLoad, questions: Sequence[str], model: str, result: Result
) -> None:
    turns = Chats(door.base, door.paths, door.tokens, questions, crowd.turns, crowd.seconds)
    plan = replace(turns, model=(model, MODEL))
    await run_plan(replace(plan, seconds=_WARM_UP))
    memory = Memory(door.server)
    async with memory.watch():
        taken = await _run_plan(plan, door, result, "turns")
    events, tokens = Samples(taken.seconds["event"]), Samples(taken.seconds["token"])
    own = Samples(taken.seconds["model"]).median
    result.add("first event, p95", 1e3 * events.p95, "ms", EVENT_LIMIT)
    result.add_times("first event", events, part=True)
    beyond = Samples([seconds - own for seconds in tokens.seconds])
    result.add_times("first token beyond the model's own", beyond, part=True)
    result.add("turns a second", len(events.seconds) / crowd.seconds, "/s", part=True)
    result.add("memory for an open stream", 1e3 * memory.peak / taken.most_open, "kB", STREAM_LIMIT)
    result.add("streams open at most", taken.most_open, "", part=True)
    result.add("memory of the server before", memory.first, "MB", part=True)
    result.add("memory of the server at most", memory.first + memory.peak, "MB", part=True)


async def _extract(
    door: RunningServer, crowd: UserLoad, questions: Sequence[str], result: Result
) -> None:
    plan = Chats(door.base, door.paths, door.tokens, questions, crowd.extractive, crowd.seconds)
    await run_plan(replace(plan, seconds=_WARM_UP))
    taken = await _run_plan(plan, door, result, "turns of the extractive model")
    result.add_times("whole turn of the extractive model", Samples(taken.seconds["turn"]))


async def _run_plan(
    plan: Searches | Chats, door: RunningServer, result: Result, what: str
) -> LoadResult:
    """Run a plan and add the figures that all plans have; the limit of failures is zero."""
    before = cpu_seconds(door.server), cpu_seconds(door.engine)
    taken = await run_plan(plan)
    result.add(f"{what} that failed", len(taken.failures), "", 0)
    for name, pids, spent in zip(
        ("server", "engine"), (door.server, door.engine), before, strict=True
    ):
        result.add(f"{what}: processor, {name}", cpu_seconds(pids) - spent, "s", part=True)
    return taken
