"""Ingestion killed at any moment: what serves is whole, and the next run finishes the work."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import Services, open_services
from storage.index.releases import ALIAS
from tests.app.cli.commands import SCRIPT, environment, run_script
from tests.app.cli.test_serve import wait_until
from tests.bench.meters import process_ids
from tests.pipelines.test_workers import is_running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGES = 150
WATCHED = range(0, PAGES, 15)
MOMENTS = 8
SECTIONS = 6
# What a shell starts in the background ignores Ctrl-C, and so does all that it starts.
HEARING = (
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.argv[1], sys.argv[1:])",
)
PARAGRAPH = (
    "The keeper of this beacon trims the wick, winds the clockwork and writes it down. " * 10
)


def write(docs: Path, generation: int) -> None:
    """Every page anew; they have as many passages as before."""
    docs.mkdir(exist_ok=True)
    for number in range(PAGES):
        sections = (
            f"## Watch {watch} of {name(number)}\n\nGeneration {generation}. {PARAGRAPH}\n"
            for watch in range(SECTIONS)
        )
        (docs / f"{number}.md").write_text(f"# {name(number)}\n\n" + "\n".join(sections))


def name(number: int) -> str:
    """A word that stands nowhere else."""
    return f"Beacon{number:03}"


@asynccontextmanager
async def open_home(home: Path) -> AsyncIterator[Services]:
    async with open_services(Settings(ibid_home=home)) as services:
        yield services


async def generations(services: Services, number: int) -> list[str]:
    """What each passage that a search finds of a page says of its generation."""
    found = await services.search.passages(SearchRequest(name(number), limit=100))
    return [
        passage.text.partition("Generation ")[2].partition(".")[0]
        for passage in found
        if passage.title == name(number)
    ]


async def assert_each_page_is_whole(home: Path, *allowed: int) -> None:
    async with open_home(home) as services:
        for number in WATCHED:
            found = await generations(services, number)
            assert found in [[str(generation)] * SECTIONS for generation in allowed], number


async def assert_nothing_is_left_over(home: Path) -> None:
    """No duplicate, no half: the index has exactly the passages that SQL knows of."""
    async with open_home(home) as services:
        (shelf,) = await services.library.corpora()
        assert (shelf.sources, shelf.passages) == (PAGES, PAGES * SECTIONS)
        assert await (await services.indexes.serving()).count() == shelf.passages
        assert await services.indexes.engine.count(ALIAS, {"state": ["staged"]}) == 0


def ingest(home: Path, docs: Path) -> dict:
    done = run_script(home, "ingest", docs, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ingest_and_kill(home: Path, docs: Path, after: float, *, with_engine: bool) -> None:
    """An ingestion that is gone in the middle of a step; its engine, perhaps, too."""
    arguments = [SCRIPT, "ingest", docs, "--json"]
    process = subprocess.Popen(
        arguments,
        env=environment(home),
        cwd=home.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(process.pid, signal.SIGKILL)
    if with_engine:
        # Suppressed: it had not begun, or had ended.
        with suppress(FileNotFoundError, ProcessLookupError):
            engine = json.loads((home / "index/engine.json").read_text())
            os.kill(engine["pid"], signal.SIGKILL)
    process.wait()


async def test_whenever_it_is_killed_one_whole_version_serves(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", tmp_path / "docs"
    moments = random.Random(20_26)  # noqa: S311 - a test repeats itself
    write(docs, 100)
    assert ingest(home, docs)["added"] == PAGES
    write(docs, 101)
    began = time.monotonic()
    assert ingest(home, docs)["changed"] == PAGES
    usual = time.monotonic() - began
    for generation in range(102, 102 + MOMENTS):
        write(docs, generation)
        moment = moments.uniform(0.65, 1) * usual
        ingest_and_kill(home, docs, moment, with_engine=generation % 2 == 0)
        await assert_each_page_is_whole(home, generation - 1, generation)
        report = ingest(home, docs)
        assert report["failed"] == []
        assert report["added"] == report["removed"] == 0
        assert report["changed"] + report["unchanged"] == PAGES
        await assert_each_page_is_whole(home, generation)
        await assert_nothing_is_left_over(home)


def ingest_and_interrupt(home: Path, docs: Path) -> tuple[int, str]:
    """Exit code and last words of an ingestion that was told to stop while it wrote."""
    process = subprocess.Popen(
        [*HEARING, SCRIPT, "ingest", docs],
        env=environment(home),
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    written = home / "ibid.db-wal"
    while process.poll() is None and not (written.exists() and written.stat().st_size):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=30)
    return process.returncode, told


async def test_ctrl_c_leaves_an_index_that_serves(tmp_path: Path) -> None:
    home, docs = tmp_path / "home", tmp_path / "docs"
    write(docs, 100)
    ingest(home, docs)
    write(docs, 101)
    code, told = ingest_and_interrupt(home, docs)
    assert (code, told) == (130, "ibid: Interrupted. The active index stays active.\n")
    await assert_each_page_is_whole(home, 100, 101)
    ingest(home, docs)
    await assert_each_page_is_whole(home, 101)
    await assert_nothing_is_left_over(home)


@pytest.mark.skipif(sys.platform != "linux", reason="children are told by /proc")
@pytest.mark.parametrize("ends", [signal.SIGINT, signal.SIGKILL])
def test_processes_that_read_end_with_the_ingestion(tmp_path: Path, ends: signal.Signals) -> None:
    (tmp_path / "long.md").write_text(PARAGRAPH * 10_000)
    process = subprocess.Popen(
        [*HEARING, SCRIPT, "ingest", tmp_path / "long.md"],
        env=environment(tmp_path / "home"),
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not (readers := reader_processes(process.pid)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(ends)
    process.wait(timeout=30)
    wait_until(lambda: not any(map(is_running, readers)))


def reader_processes(parent: int) -> list[int]:
    """Its processes that read files."""
    lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in process_ids(parent)[0]}
    return [pid for pid, line in lines.items() if b"readers.sandbox.child" in line.read_bytes()]
