"""Duration of whole commands, from the start of the process to the answer, as a user experiences it."""

import re
from collections import Counter

from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import Options, open_home, settings, stage, wait_for_engine_exit
from tests.bench.processes import IBID, Shell
from tests.bench.timing import TimedTask, ratio, time_alternately

HELP_LIMIT = 300.0
PASSAGES, ROUNDS = 300, 7

_IMPORTED = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\w+)")
_HEAVIEST = 12


async def run(options: Options) -> Result:
    """Measure all commands and the bare interpreter in each round."""
    home, rounds = options.scratch / "home", options.rounds or ROUNDS
    pages = [*generator.pages(options.passages or PASSAGES)]
    async with open_home(home) as services:
        passages = await stage(services, pages)
    shell = Shell(home, options.scratch)

    def command(*arguments: str) -> TimedTask:
        async def work(_: int) -> float:
            await wait_for_engine_exit(
                settings(home).index_folder
            )  # so that each command starts its own engine
            return await shell.time_run(*arguments)

        return work

    question = f"What is the {pages[0].sections[0].heading.lower()}?"
    ask, search = (*IBID, "ask", question), (*IBID, "search", question)
    options.say("compiling, then starting processes in turns")
    taken = await time_alternately(
        rounds,
        python=command("-c", "pass"),
        help=command(*IBID, "--help"),
        search=command(*search),
        ask=command(*ask),
    )
    async with open_home(home):
        beside = await time_alternately(rounds, ask=lambda _: shell.time_run(*ask))
    result = Result("cold", f"process start to answer, {passages} passages, {rounds} rounds")
    result.add_times("python -c pass", taken["python"])
    result.add_times("ibid --help", taken["help"], HELP_LIMIT)
    result.add_times("ibid search", taken["search"])
    result.add_times("ibid ask", taken["ask"])
    result.add_times("ibid ask, the index being open already", beside["ask"])
    result.add("ibid --help / python -c pass", ratio(taken["help"], taken["python"]), "x")
    result.add("ibid ask / python -c pass", ratio(taken["ask"], taken["python"]), "x")
    options.say("what `ibid ask` imports")
    imported = _parse_imports(await shell.run("-X", "importtime", *ask))
    result.add("all imports of `ask`, as -X importtime counts", imported.total() / 1e3, "ms")
    for package, microseconds in imported.most_common(_HEAVIEST):
        result.add(package, microseconds / 1e3, "ms", part=True)
    return result


def _parse_imports(said: str) -> Counter[str]:
    """Return the microseconds of imports by top-level package, without the imports inside a module."""
    packages: Counter[str] = Counter()
    for microseconds, package in _IMPORTED.findall(said):
        packages[package] += int(microseconds)
    return packages
