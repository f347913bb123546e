"""CPU time of searches and turns, in units of a fixed loop of Python and SQLite that alternates with them.

The unit cancels out much of the speed of a machine and of its other load, but not all of it.
"""

import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing

from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import Options, open_home, stage
from tests.bench.meters import cpu_seconds, process_ids
from tests.bench.timing import ratio, time_alternately
from tests.bench.turn import TurnBench, questions

PASSAGES, ROUNDS = 2_000, 9
_SEARCHES, _TURNS = 60, 15
"""Repetitions per round, which take a few tenths of a second of CPU time; each round asks the same."""
_LOOPS, _ROWS = 20, 2_000


async def run(options: Options) -> Result:
    """Measure the CPU time of this process and of the engine's process."""
    rounds = options.rounds or ROUNDS
    pages = [*generator.pages(options.passages or PASSAGES)]
    async with open_home(options.scratch / "home") as services:
        options.say("embedding and staging")
        passages = await stage(services, pages)
        work = TurnBench(services, questions(pages))
        await work.prepare()
        _, engine = process_ids(os.getpid())

        def measured(
            repetitions: int, once: Callable[[int], Awaitable[object]]
        ) -> Callable[[int], Awaitable[float]]:
            async def repeat(_: int) -> float:
                before = time.process_time() + cpu_seconds(engine)
                for index in range(repetitions):
                    await once(index)
                return time.process_time() + cpu_seconds(engine) - before

            return repeat

        options.say("searches, turns and the loop, in turns")
        taken = await time_alternately(
            rounds,
            loop=measured(1, calibrate),
            search=measured(_SEARCHES, work.search),
            extractive=measured(_TURNS, work.extractive),
            scripted=measured(_TURNS, lambda number: work.turn(6, number)),
        )
    result = Result("cpu", f"CPU time / that of a fixed loop; {passages:,} passages")
    loop = taken["loop"]
    result.add(f"{_SEARCHES} searches", ratio(taken["search"], loop), "x")
    result.add(f"{_TURNS} turns, extractive model", ratio(taken["extractive"], loop), "x")
    result.add(f"{_TURNS} turns, scripted model", ratio(taken["scripted"], loop), "x")
    result.add_times("CPU time of the loop", loop, part=True)
    return result


async def calibrate(_: int) -> None:
    """Do a fixed amount of work: objects and texts in Python, rows in SQLite."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("create table words (number integer primary key, word text, size real)")
        for loop in range(_LOOPS):
            rows = [(number, f"word {number * loop}", number / 7) for number in range(_ROWS)]
            database.executemany("insert or replace into words values (?, ?, ?)", rows)
            sizes: dict[str, float] = {}
            for _, word, size in database.execute("select * from words order by word"):
                sizes[word] = sizes.get(word, 0.0) + size
            assert sorted(sizes, key=sizes.__getitem__)
