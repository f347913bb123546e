"""A file that hangs, hoards or crashes its reader costs itself only."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from pipelines.reading import Reading
from pipelines.reading.workers import Asked, ReaderPool
from storage.errors import SourceUnreadable
from tests.pipelines.pages import page
from tests.pipelines.pdfs import Words, pdf

READER = "tests.pipelines.readers:read_badly"
MEMORY = 900_000_000
SECONDS = 10
"""Enough for a process to start on a busy machine; the one that loops takes them all."""


@pytest.fixture
def pool() -> Iterator[ReaderPool]:
    with ReaderPool(reader=READER, seconds=SECONDS, memory=MEMORY) as pool:
        yield pool


def written(folder: Path, *names: str) -> list[Asked]:
    for name in names:
        (folder / name).write_text(f"# The {name}\n\nIt shines.\n\n```\non\n```\n")
    return [Asked(folder / name, PurePosixPath(name), 40) for name in names]


@pytest.mark.slow
def test_each_costs_itself_only(pool: ReaderPool, tmp_path: Path) -> None:
    names = ["a", "loop", "b", "greed", "c", "crash", "d", "fault", "noise", "e"]
    outcomes = pool.read(written(tmp_path, *(f"{name}.md" for name in names)))
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
        "crash": "The reader crashed on it.",
        "d": "The d.md",
        "fault": "It is damaged, or not what its name says.",
        "noise": "The noise.md",
        "e": "The e.md",
    }


def test_a_reading_comes_back_as_it_was(pool: ReaderPool, tmp_path: Path) -> None:
    outcomes = pool.read(written(tmp_path, "page.md"))
    assert outcomes == [page((tmp_path / "page.md").read_text(), "page.md")]


def test_a_process_sees_no_keys(
    pool: ReaderPool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "secret")
    (outcome,) = pool.read(written(tmp_path, "keys.md"))
    assert str(outcome) == "It sees None."


def test_foreign_formats_go_to_a_process_and_short_text_does_not(tmp_path: Path) -> None:
    (tmp_path / "manual.pdf").write_bytes(pdf([Words("It shines.")]))
    with ReaderPool() as pool:
        (short,) = pool.read(written(tmp_path, "page.md"))
        assert isinstance(short, Reading)
        assert all(worker._process is None for worker in pool._workers)
        (manual,) = pool.read([Asked(tmp_path / "manual.pdf", PurePosixPath("manual.pdf"), 900)])
    assert isinstance(manual, Reading)
    assert manual.pages == ((0, 10),)


def test_closing_gives_up_what_is_being_read(tmp_path: Path) -> None:
    outcomes: list[Reading | SourceUnreadable] = []
    with ReaderPool(reader=READER, seconds=60, memory=MEMORY) as pool:
        files = written(tmp_path, "loop.md", "a.md", "b.md")
        reading = threading.Thread(target=lambda: outcomes.extend(pool.read(files)))
        reading.start()
        while not any(worker._process for worker in pool._workers):
            time.sleep(0.01)
        processes = [worker._process for worker in pool._workers if worker._process]
    reading.join(5)
    assert not reading.is_alive()
    assert all(process.returncode is not None for process in processes)
