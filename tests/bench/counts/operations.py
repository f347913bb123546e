"""The operations that are counted: ingestions, searches and turns, on a small fixed corpus."""

from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from unittest.mock import patch
from uuid import NAMESPACE_URL, UUID, uuid5

from app.chat.events import Completed
from app.settings import Settings
from app.wiring import Services, open_services
from storage.sql.tables import Source
from tests.bench import generator
from tests.bench.counts.meter import ENGINE_CALLS, RECEIVED, SENT, CountingMeter, Counts
from tests.bench.homes import wait_for_engine_exit
from tests.doubles.services import Doubles

PASSAGES = 50
"""More than the 32 that a calibration needs, and fewer than the 64 of which it takes a sample."""
CORPUS, BASE_URL = "counts", "https://docs.example.com"
"""With a base URL, the passages' links do not contain the path of a temporary folder."""
GUIDE = """# Harbour guide

## Opening hours

The harbour office opens at seven in the morning. It closes at noon on Sundays.

## Mooring fees

A berth costs twelve crowns a night. The fee is paid at the harbour office before departure.

## Fuel

Diesel is sold at the north pier. The pump takes cards only.
"""
CHANGE = "\n## Water\n\nFresh water is free at every berth.\n"
QUESTION, FOLLOW_UP = "What does a berth cost?", "Where is it paid?"
SEARCHED = "mooring fees at the harbour"


def _make_id(_corpus_id: UUID, location: str) -> UUID:
    """Return a source's id that does not depend on a random corpus id or on the folder.

    Passages with equal scores are ordered by their ids, so random ids would give random counts.
    """
    return uuid5(NAMESPACE_URL, Path(location).name)


@patch.object(Source, "make_id", _make_id)
async def count_operations(folder: Path) -> dict[str, Counts]:
    """Return the counts by operation; `folder` is empty before, and holds the home and the pages."""
    meter = CountingMeter()
    found: dict[str, Counts] = {}
    async with Doubles(meter.on_request).running() as doubles:
        async with _open(meter, _settings(folder)) as services:
            found |= await _count_ingestions(meter, services, _write_pages(folder / "docs"))
            found |= await _count_searches(meter, services)
            found |= await _count_turns(meter, services, "extractive model")
        async with _open(meter, _settings(folder, doubles)) as services:
            await _ask(services, meter, await _start(services), QUESTION)  # asks for the price list
            found |= await _count_turns(meter, services, "hosted model")
    await wait_for_engine_exit(_settings(folder).index_folder)
    return found


async def _count_ingestions(
    meter: CountingMeter, services: Services, docs: Path
) -> dict[str, Counts]:
    with meter.counting() as first:
        await services.ingestion.run([docs], CORPUS, base_url=BASE_URL)
    with meter.counting() as unchanged:
        await services.ingestion.run([docs], CORPUS)
    (docs / "guide.md").write_text(GUIDE + CHANGE, encoding="utf-8")
    with meter.counting() as changed:
        await services.ingestion.run([docs], CORPUS)
    with meter.counting() as reindex:
        await services.reindexing.reindex()
    return {
        "first ingestion": first,
        "unchanged ingestion": unchanged,
        "ingestion of one changed page": changed,
        "reindex": reindex,
    }


async def _count_searches(meter: CountingMeter, services: Services) -> dict[str, Counts]:
    with meter.counting() as after_commit:
        assert await services.search.passages(SEARCHED)
    with meter.counting() as search:
        assert await services.search.passages(SEARCHED)
    return {"search after a commit": after_commit, "search": search}


async def _count_turns(meter: CountingMeter, services: Services, model: str) -> dict[str, Counts]:
    conversation = await _start(services)
    with meter.counting() as first:
        await _ask(services, meter, conversation, QUESTION)
    with meter.counting() as follow_up:
        await _ask(services, meter, conversation, FOLLOW_UP)
    for counts in (first, follow_up):
        # A turn stores its question while it searches. Whether this commit makes it look up the serving
        # release again depends on which is first.
        for kind in (ENGINE_CALLS, SENT, RECEIVED):
            counts[kind].pop("Aliases", None)
    return {f"first turn, {model}": first, f"follow-up, {model}": follow_up}


async def _start(services: Services) -> UUID:
    return (await services.chat.start()).id


async def _ask(services: Services, meter: CountingMeter, conversation: UUID, question: str) -> None:
    async with aclosing(services.chat.stream(conversation, question)) as events:
        async for event in events:
            meter.on_event(event)
    assert isinstance(event, Completed)
    assert event.answer.status == "answered"
    await services.chat.wait_until_stored()


@asynccontextmanager
async def _open(meter: CountingMeter, settings: Settings) -> AsyncGenerator[Services]:
    async with open_services(settings) as services:
        with meter.attached(services):
            yield services


def _settings(folder: Path, doubles: Doubles | None = None) -> Settings:
    hosted = doubles and {
        "openrouter_api_key": "any",
        "openrouter_base_url": doubles.openrouter,
        "openrouter_models": "double/means-the-berth",
    }
    return Settings(_env_file=None, ibid_home=folder / "home", **(hosted or {}))


def _write_pages(folder: Path) -> Path:
    generator.write([*generator.pages(PASSAGES)], folder)
    (folder / "guide.md").write_text(GUIDE, encoding="utf-8")
    return folder
