"""Memory of all processes of an idle server, before its first answer and after some answers."""

import asyncio

from tests.app.api.calls import API
from tests.app.cli.test_serve import run_server
from tests.bench import generator
from tests.bench.figures import Result
from tests.bench.homes import Options, fill, settings, wait_for_engine_exit
from tests.bench.meters import process_ids, proportional_memory, resident_memory

LIMIT = 350.0
PASSAGES, ASKED = 10_000, 50
_SETTLED = 2.0
"""Seconds to wait before a measurement."""


async def run(options: Options) -> Result:
    """Measure the memory; the limit applies to the sum, in which shared memory counts for each process."""
    home = options.scratch / "home"
    pages = [*generator.pages(options.passages or PASSAGES)]
    questions = generator.questions(pages, options.rounds or ASKED)
    options.say("embedding and staging")
    passages = await fill(home, pages)
    result = Result("idle", f"{passages:,} passages; {len(questions)} searches and turns")
    with run_server(home, LOG_LEVEL="warning") as (process, client):
        await asyncio.sleep(_SETTLED)
        _add(result, "just started", process.pid)
        options.say("searching and asking")
        conversation = client.post(f"{API}/conversations").json()["id"]
        for question in questions:
            client.get(f"{API}/search", params={"q": question}).raise_for_status()
            path = f"{API}/conversations/{conversation}/messages"
            client.post(path, json={"text": question}).raise_for_status()
        await asyncio.sleep(_SETTLED)
        _add(result, "after answers", process.pid)
    await wait_for_engine_exit(settings(home).index_folder)
    return result


def _add(result: Result, when: str, pid: int) -> None:
    server, engine = process_ids(pid)
    result.add(f"{when}: memory", resident_memory([*server, *engine]), "MB", LIMIT)
    shared = proportional_memory([*server, *engine])
    result.add(f"{when}: memory, what is shared counted once", shared, "MB", part=True)
    for number, one in enumerate(server):
        name = "the process that answers" if number else "the one that keeps it running"
        result.add(f"{when}: {name}", resident_memory([one]), "MB", part=True)
    result.add(f"{when}: engine", resident_memory(engine), "MB", part=True)
