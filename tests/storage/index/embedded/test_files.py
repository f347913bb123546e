"""What the embedded engine leaves on a disk: after a kill, on a full one, and while it optimises."""

import asyncio
import os
import shutil
import signal
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest

from storage.errors import NotFound, StorageFull
from storage.index.embedded.client import open_embedded
from storage.index.embedded.engine import EmbeddedEngine
from storage.index.embedded.files import folder_size
from storage.index.embedded.protocol import EngineAddress
from storage.index.engine import IndexEngine, Point, Schema, SetPayload, SparseVector
from tests.storage.points import QUERY, SCHEMA, points


def test_what_a_kill_left_half_made_is_removed(folder: Path) -> None:
    with closing(EmbeddedEngine(folder)) as engine:
        engine.create("c", SCHEMA)
    for name in (".new-d", ".old-e"):
        (folder / "collections" / name / "segments").mkdir(parents=True)
    with closing(EmbeddedEngine(folder)) as engine:
        assert engine.collections() == ["c"]
        engine.create("d", SCHEMA)
        assert engine.count("d", {}) == 0
    assert {path.name for path in (folder / "collections").iterdir()} == {"c", "d"}


def test_a_copy_that_was_about_to_take_its_place_takes_it(folder: Path) -> None:
    collections = folder / "collections"
    with closing(EmbeddedEngine(folder)) as engine:
        engine.create("c", SCHEMA)
        engine.upsert("c", points(0, 10))
        engine.create("d", SCHEMA)
    (collections / "c").rename(collections / ".copy-c")
    shutil.copytree(collections / "d", collections / ".copy-d")
    with closing(EmbeddedEngine(folder)) as engine:
        assert engine.count("c", {}) == 10
        assert engine.count("d", {}) == 0
    assert {path.name for path in collections.iterdir()} == {"c", "d"}


def nearly_full(_: Path) -> SimpleNamespace:
    return SimpleNamespace(free=60 << 20)


def test_on_a_full_disk_nothing_is_written_and_all_is_served(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(EmbeddedEngine(folder)) as engine:
        engine.create("c", SCHEMA)
        engine.upsert("c", points(0, 10))
        monkeypatch.setattr(shutil, "disk_usage", nearly_full)
        for write in (
            lambda: engine.upsert("c", points(10, 20)),
            lambda: engine.apply("c", [SetPayload({}, {"state": "live"})]),
            lambda: engine.create("d", SCHEMA),
            lambda: engine.begin_copy("c"),
        ):
            with pytest.raises(StorageFull, match=r"less than \d+ MiB left"):
                write()
        assert len(engine.search("c", QUERY)) == 5
        engine.drop("c")
        with pytest.raises(NotFound):
            engine.count("c", {})


async def test_an_optimised_collection_takes_no_more_room(
    engine: IndexEngine, folder: Path
) -> None:
    await engine.upsert("c", points(0, 10))
    before = folder_size(folder)
    await engine.optimize("c")
    assert folder_size(folder) < before + (1 << 20)
    assert await engine.count("c", {}) == 10
    assert len(await engine.search("c", QUERY)) == 5


async def create_large(engine: IndexEngine) -> int:
    """Makes `create_large`, so large that to optimise it takes a moment; returns how many points it has."""
    await engine.create("large", Schema(1024, ["corpus"], []))
    await engine.upsert("large", [wide(number) for number in range(4200)])
    return 4200


def wide(number: int) -> Point:
    vector = np.random.default_rng(number).normal(size=1024).tolist()
    return Point(str(UUID(int=number)), vector, SparseVector([1], [1.0]), {"corpus": "a"})


async def wait_until_optimizing(folder: Path) -> None:
    segments = folder / "collections" / ".copy-large" / "temp_segments"
    while not any(segments.glob("*")):  # noqa: ASYNC110 - another process makes them
        await asyncio.sleep(0.005)


@pytest.mark.slow
async def test_others_are_served_while_a_collection_is_optimised(
    engine: IndexEngine, folder: Path
) -> None:
    count = await create_large(engine)
    await engine.upsert("c", points(0, 10))
    assert not await engine.is_slow("c")
    assert await engine.is_slow("large")
    optimising = asyncio.create_task(engine.optimize("large"))
    await wait_until_optimizing(folder)
    changing = asyncio.create_task(engine.upsert("large", [wide(count)]))
    for _ in range(5):
        assert len(await engine.search("c", QUERY)) == 5
        assert await engine.count("large", {}) == count
    assert not optimising.done()
    assert not changing.done()
    await optimising
    await changing
    assert await engine.count("large", {}) == count + 1
    assert not await engine.is_slow("large")


@pytest.mark.slow
async def test_optimising_may_be_cut_short_while_it_copies(
    engine: IndexEngine, folder: Path
) -> None:
    count, copy = await create_large(engine), folder / "collections" / ".copy-large"
    async with open_embedded(folder) as other:
        optimising = asyncio.create_task(other.optimize("large"))
        while not copy.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.001)
        optimising.cancel()
    await engine.optimize("large")
    assert await engine.count("large", {}) == count
    assert not copy.exists()
    assert not await engine.is_slow("large")


@pytest.mark.slow
async def test_optimising_may_be_cut_short(engine: IndexEngine, folder: Path) -> None:
    count = await create_large(engine)
    async with open_embedded(folder) as other:
        optimising = asyncio.create_task(other.optimize("large"))
        await wait_until_optimizing(folder)
        optimising.cancel()
    assert await engine.count("large", {}) == count

    optimising = asyncio.create_task(engine.optimize("large"))
    await wait_until_optimizing(folder)
    os.kill(EngineAddress.read(folder).pid, signal.SIGKILL)
    await optimising
    assert await engine.count("large", {}) == count
    assert not (folder / "collections" / ".copy-large").exists()
