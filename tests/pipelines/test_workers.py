"""Tests of the sandbox: a file that hangs, exhausts memory or crashes its reader affects no other file."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from pipelines.readers import SourceDocument
from pipelines.readers.sandbox.pool import FileRequest, ReaderPool
from storage.errors import SourceUnreadable
from tests.app.cli.test_serve import wait_until
from tests.pipelines.pages import read_page
from tests.pipelines.pdfs import Words, build_pdf

READER = "tests.pipelines.readers:read_badly"
MEMORY = 900_000_000
SECONDS = 10
"""The timeout, long enough for a process to start on a busy machine; the endless loop uses all of it."""


@pytest.fixture
def pool() -> Iterator[ReaderPool]:
    with ReaderPool(reader=READER, seconds=SECONDS, memory=MEMORY) as pool:
        yield pool


def write_files(folder: Path, *names: str) -> list[FileRequest]:
    for name in names:
        (folder / name).write_text(f"# The {name}\n\nIt shines.\n\n```\non\n```\n")
    return [FileRequest(folder / name, PurePosixPath(name), 40) for name in names]


@pytest.mark.slow
def test_each_costs_itself_only(pool: ReaderPool, tmp_path: Path) -> None:
    names = ["a", "loop", "b", "greed", "c", "crash", "d", "fault", "noise", "e"]
    outcomes = pool.read(write_files(tmp_path, *(f"{name}.md" for name in names)))
    told = {
        n: str(o) if isinstance(o, SourceUnreadable) else o.title
        for n, o in zip(names, outcomes, strict=True)
    }
    assert told == {
        "a": "The a.md",
        "loop": f"Reading it took longer than {SECONDS} s.",
        "b": "The b.md",
        "greed": "Reading it needed more than 0.9 GB of memory.",
        "c": "The c.md",
        "crash": "The reader crashed while reading it.",
        "d": "The d.md",
        "fault": "It is damaged, or its suffix is wrong.",
        "noise": "The noise.md",
        "e": "The e.md",
    }


def test_a_reading_comes_back_as_it_was(pool: ReaderPool, tmp_path: Path) -> None:
    outcomes = pool.read(write_files(tmp_path, "page.md"))
    assert outcomes == [read_page((tmp_path / "page.md").read_text(), "page.md")]


def test_a_process_sees_no_keys(
    pool: ReaderPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "secret")
    (outcome,) = pool.read(write_files(tmp_path, "keys.md"))
    assert str(outcome) == "It sees None."


def test_a_reply_that_makes_no_sense_costs_its_file_only(pool: ReaderPool, tmp_path: Path) -> None:
    forged, whole = pool.read(write_files(tmp_path, "forged.md", "a.md"))
    assert str(forged) == "The reader crashed while reading it."
    assert isinstance(whole, SourceDocument)


def test_the_smallest_file_is_read_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "manual.pdf").write_bytes(build_pdf([Words("It shines.")]))
    with ReaderPool() as pool:
        (short,) = pool.read(write_files(tmp_path, "page.md"))
        assert isinstance(short, SourceDocument)
        (started,) = pool.process_ids
        (manual,) = pool.read(
            [FileRequest(tmp_path / "manual.pdf", PurePosixPath("manual.pdf"), 900)]
        )
        assert pool.process_ids == [started], "what one process can do starts no other"
    assert isinstance(manual, SourceDocument)
    assert manual.pages == ((0, 10),)


@pytest.mark.parametrize("endless", ["loop.md", "stuck.md"])
def test_closing_gives_up_what_is_being_read(tmp_path: Path, endless: str) -> None:
    outcomes: list[SourceDocument | SourceUnreadable] = []
    with ReaderPool(reader=READER, seconds=60, memory=MEMORY) as pool:
        files = write_files(tmp_path, endless, "a.md", "b.md")
        reading = threading.Thread(target=lambda: outcomes.extend(pool.read(files)))
        reading.start()
        processes = wait_until_started(pool)
    reading.join(5)
    assert not reading.is_alive()
    assert {str(outcome) for outcome in outcomes} == {"Reading was interrupted."}
    assert not any(map(is_running, processes))


async def test_who_is_cancelled_while_a_file_is_read_leaves_no_process(tmp_path: Path) -> None:
    files = write_files(tmp_path, "stuck.md")
    with ReaderPool(reader=READER, seconds=60, memory=MEMORY) as pool:
        reading = asyncio.create_task(asyncio.to_thread(pool.read, files))
        processes = await asyncio.to_thread(wait_until_started, pool)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert not any(map(is_running, processes))


@pytest.mark.skipif(sys.platform == "win32", reason="needs pipes that are handed on")
@pytest.mark.parametrize("endless", ["loop.md", "stuck.md"])
def test_when_its_parent_is_killed_a_process_ends_whatever_it_does(
    tmp_path: Path, endless: str
) -> None:
    (file,) = write_files(tmp_path, endless)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, READER, file.path], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout
    process_id = int(parent.stdout.readline())
    wait_until(is_busy, process_id)
    parent.kill()
    parent.communicate()
    wait_until(lambda: not is_running(process_id))


PARENT = """
import sys, threading, time
from pathlib import Path
from pipelines.readers.sandbox.pool import FileRequest, ReaderPool

pool = ReaderPool(reader=sys.argv[1])
path = Path(sys.argv[2])
threading.Thread(target=pool.read, args=([FileRequest(path, Path(path.name), 40)],)).start()
while not pool.process_ids:
    time.sleep(0.01)
print(*pool.process_ids, flush=True)
"""


def wait_until_started(pool: ReaderPool) -> list[int]:
    """Wait until the pool has processes and return their ids."""
    while not (processes := pool.process_ids):
        time.sleep(0.01)
    return processes


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return not Path(f"/proc/{process_id}/stat").exists() or state_of(process_id) != "Z"


def is_busy(process_id: int) -> bool:
    """Whether the process has used a second of CPU time, more than it needs to start."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) >= os.sysconf("SC_CLK_TCK")


def state_of(process_id: int) -> str:
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
