"""Killed at each step in turn: what serves is whole, and the next run does nothing twice."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from tests.library import PAGES, write_docs
from tests.walks.test_ingesting import record_embedded

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DRIVER = """
import asyncio, importlib, os, signal, sys
from pathlib import Path
from app.settings import Settings
from app.wiring import open_services

home, docs, work, step, when = sys.argv[1:]
module, kind, name = step.split(":")
owner = getattr(importlib.import_module(module), kind)
original = getattr(owner, name)

async def killed(*arguments, **named):
    if when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    await original(*arguments, **named)
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with open_services(Settings(ibid_home=Path(home))) as services:
        setattr(owner, name, killed)
        if work == "ingest":
            await services.ingestion.run([Path(docs)])
        elif work == "reindex":
            await services.reindexing.reindex("sources")
        else:
            await services.reindexing.rollback()

asyncio.run(main())
"""
INDEX, SQL = "storage.index.passages:PassageIndex", "storage.sql.repositories"
ALL = "storage.index.releases:Indexes"
INGESTING = (
    (f"{SQL}.sources:Sources:reserve", "after", 1),
    (f"{SQL}.sources:Sources:save", "before", 1),
    (f"{SQL}.sources:Sources:save", "after", 1),
    (f"{INDEX}:stage", "before", 1),
    (f"{INDEX}:stage", "after", 0),
    (f"{INDEX}:publish", "before", 0),
    (f"{INDEX}:publish", "after", 0),
    (f"{ALL}:remove", "before", 0),
    (f"{ALL}:remove", "after", 0),
    (f"{SQL}.sources:Sources:prune_texts", "before", 0),
)
"""Where the run is killed, and how many passages the next one must embed."""
RELEASING = (
    ("reindex", f"{ALL}:create", "after"),
    ("reindex", f"{INDEX}:publish", "after"),
    ("reindex", f"{SQL}.releases:Releases:add_entries", "after"),
    ("reindex", f"{ALL}:switch_to", "before"),
    ("reindex", f"{ALL}:sync_with_alias", "after"),
    ("reindex", f"{SQL}.releases:Releases:serve", "before"),
    ("reindex", f"{ALL}:drop", "before"),
    ("rollback", f"{ALL}:switch_to", "before"),
    ("rollback", f"{SQL}.releases:Releases:serve", "before"),
)


def run_and_kill(home: Path, docs: Path, work: str, step: str, when: str) -> None:
    arguments = (sys.executable, "-c", DRIVER, home, docs, work, step, when)
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr


async def texts(services: Services, query: str) -> list[str]:
    return [
        passage.text for passage in await services.search.passages(SearchRequest(query, limit=50))
    ]


async def assert_all_is_whole(services: Services, pages: int) -> None:
    """Every page is found once, and the index holds what SQL says and nothing else."""
    (shelf,) = await services.library.corpora()
    index = await services.indexes.serving()
    assert shelf.sources == pages
    assert await index.count() == shelf.passages
    assert await index.engine.count(index.collection, {}) == shelf.passages
    lamps = [text for text in await texts(services, "paraffin") if "litres of paraffin" in text]
    assert len(lamps) == 1


@pytest.mark.parametrize(("step", "when", "embedded_again"), INGESTING)
async def test_an_ingestion(
    tmp_path: Path,
    docs: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    when: str,
    embedded_again: int,
) -> None:
    home, settings = tmp_path / "home", Settings(ibid_home=tmp_path / "home")
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
    page = docs / "lamp/lighting.md"
    page.write_text(page.read_text().replace("2.4 litres", "3.1 litres"))
    (docs / "tides.txt").unlink()
    run_and_kill(home, docs, "ingest", step, when)
    async with open_services(settings) as services:
        found = await texts(services, "paraffin")
        assert sum("litres of paraffin" in text for text in found) == 1, "one whole version serves"
        embedded = record_embedded(monkeypatch)
        report = await services.ingestion.run([docs])
        assert report.failed == ()
        assert len(embedded) == embedded_again
        assert any("3.1 litres" in text for text in await texts(services, "paraffin"))
        assert not any("fifty minutes" in text for text in await texts(services, "high water"))
        await assert_all_is_whole(services, len(PAGES) - 1)


@pytest.mark.parametrize(("work", "step", "when"), RELEASING)
async def test_a_release(tmp_path: Path, work: str, step: str, when: str) -> None:
    docs, home = write_docs(tmp_path / "docs"), tmp_path / "home"
    settings = Settings(ibid_home=home)
    async with open_services(settings) as services:
        await services.ingestion.run([docs])
        for _ in range(2):
            await services.reindexing.reindex("passages")
    run_and_kill(home, docs, work, step, when)
    async with open_services(settings) as services:
        await assert_all_is_whole(services, len(PAGES))
        await services.reindexing.reindex()
        await assert_all_is_whole(services, len(PAGES))
        states = [one.state for one in await services.reindexing.releases()]
        assert states == ["serving", "kept"]
        assert len(await services.indexes.engine.collections()) == 2
