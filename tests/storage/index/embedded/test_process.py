"""The life of the process that owns an embedded index: shared, killed, restarted, refused."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest

from storage.errors import (
    IndexDamaged,
    IndexLocked,
    IndexUnavailable,
    InvalidInput,
)
from storage.index.embedded import connection
from storage.index.embedded.client import EngineClient, open_embedded
from storage.index.embedded.engine import EmbeddedEngine
from storage.index.embedded.protocol import EXIT_LOCKED, HOST, EngineAddress, Hello
from storage.index.engine import IndexEngine, Point, SparseVector
from storage.processes.frames import encode_frame
from tests.storage.points import QUERY, SCHEMA, points


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def has_ended(pid: int) -> bool:
    """Whether a process ends within five seconds."""
    for _ in range(500):
        if not is_alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


async def test_doors_share_one_process_which_leaves_after_the_last(folder: Path) -> None:
    async with open_embedded(folder) as first:
        pid = EngineAddress.read(folder).pid
        async with open_embedded(folder) as second:
            assert EngineAddress.read(folder).pid == pid
            await first.create("c", SCHEMA)
            await second.upsert("c", points(0, 10))
            assert await first.count("c", {}) == 10
        assert await first.count("c", {}) == 10
        assert is_alive(pid)
    assert await has_ended(pid)
    assert not (folder / "engine.json").exists()
    async with open_embedded(folder) as again:
        assert await again.count("c", {}) == 10
        assert EngineAddress.read(folder).pid != pid


async def test_a_door_may_close_without_a_word(folder: Path) -> None:
    async with asyncio.timeout(60):
        async with open_embedded(folder):
            pid = EngineAddress.read(folder).pid
        assert await has_ended(pid)


async def test_its_address_is_for_its_owner_only(engine: IndexEngine, folder: Path) -> None:
    assert (folder / "engine.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="reads the environment in /proc")
async def test_it_sees_no_keys(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COHERE_API_KEY", "secret")
    async with open_embedded(folder):
        environment = Path(f"/proc/{EngineAddress.read(folder).pid}/environ").read_bytes()
    assert b"PYTHONPATH=" in environment
    assert b"COHERE_API_KEY" not in environment


async def test_killing_it_loses_nothing_and_the_next_call_works(
    engine: IndexEngine, folder: Path
) -> None:
    for round_ in range(3):
        await engine.upsert("c", points(round_ * 100, round_ * 100 + 100))
        os.kill(EngineAddress.read(folder).pid, signal.SIGKILL)
        assert await engine.count("c", {}) == (round_ + 1) * 100
    await engine.set_alias("alias", "c")
    os.kill(EngineAddress.read(folder).pid, signal.SIGKILL)
    assert len(await engine.search("alias", QUERY)) == 5


async def test_calls_under_way_when_it_is_killed_are_repeated(
    engine: IndexEngine, folder: Path
) -> None:
    await engine.upsert("c", points(0, 300))
    calls = [asyncio.create_task(engine.search("c", QUERY)) for _ in range(20)]
    writing = asyncio.create_task(engine.upsert("c", points(300, 1500)))
    await asyncio.sleep(0.01)
    os.kill(EngineAddress.read(folder).pid, signal.SIGKILL)
    assert [len(hits) for hits in await asyncio.gather(*calls)] == [5] * 20
    await writing
    assert await engine.count("c", {}) == 1500


async def test_a_call_that_kills_it_twice_is_not_repeated_for_ever(
    engine: IndexEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def killing(client: EngineClient) -> connection.EngineConnection:
        found = await connect(client)
        os.kill(EngineAddress.read(folder).pid, signal.SIGKILL)
        return found

    connect = EngineClient.connect
    monkeypatch.setattr(EngineClient, "connect", killing)
    with pytest.raises(IndexUnavailable, match=r"The process that holds the index in .* stopped"):
        await engine.count("c", {})


async def test_a_cancelled_call_leaves_the_connection_usable(engine: IndexEngine) -> None:
    await engine.upsert("c", points(0, 50))
    for _ in range(5):
        searching = asyncio.create_task(engine.search("c", QUERY))
        await asyncio.sleep(0)
        searching.cancel()
        assert len(await engine.search("c", QUERY)) == 5
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.001):
            await engine.upsert("c", points(50, 5000))
    assert await engine.count("c", {}) >= 50


ANOTHER_DOOR = """
import asyncio, sys
from pathlib import Path
from storage.index.embedded.client import open_embedded

async def main() -> None:
    async with open_embedded(Path(sys.argv[1])) as engine:
        print(await engine.collections(), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def open_and_kill_another_door(folder: Path) -> bytes:
    """Returns what it printed."""
    with subprocess.Popen(
        [sys.executable, "-c", ANOTHER_DOOR, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
    ) as door:
        assert door.stdout is not None
        line = door.stdout.readline()
        door.kill()
        return line


async def test_a_killed_door_leaves_it_to_the_others(engine: IndexEngine, folder: Path) -> None:
    pid = EngineAddress.read(folder).pid
    assert await asyncio.to_thread(open_and_kill_another_door, folder) == b"['c']\n"
    await engine.upsert("c", points(0, 10))
    assert EngineAddress.read(folder).pid == pid


async def test_many_doors_at_once_start_one_process(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[subprocess.Popen[bytes]] = []
    original: type[subprocess.Popen[bytes]] = subprocess.Popen

    def popen(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        children.append(original(*args, **options))
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    async with AsyncExitStack() as doors:
        engines = await asyncio.gather(
            *(doors.enter_async_context(open_embedded(folder)) for _ in range(10))
        )
        await engines[0].create("c", SCHEMA)
        assert [await engine.collections() for engine in engines] == [["c"]] * 10
        losers = [child for child in children if child.pid != EngineAddress.read(folder).pid]
        assert [await asyncio.to_thread(child.wait, 5) for child in losers] == [EXIT_LOCKED] * len(
            losers
        )
        assert len(losers) == len(children) - 1


async def test_doors_that_come_as_it_leaves_are_served(folder: Path) -> None:
    async def come_and_go(pause: float) -> None:
        for _ in range(5):
            async with open_embedded(folder) as engine:
                await engine.create("c", SCHEMA)
                assert await engine.collections() == ["c"]
            await asyncio.sleep(pause)

    await asyncio.gather(*(come_and_go(pause) for pause in (0.0, 0.002, 0.01)))


async def test_an_address_left_behind_is_not_believed(tmp_path: Path) -> None:
    EngineAddress(port=1, token="old", pid=1).write(tmp_path)
    async with open_embedded(tmp_path) as engine:
        assert await engine.collections() == []


async def test_a_wrong_token_opens_nothing(engine: IndexEngine, folder: Path) -> None:
    address = EngineAddress.read(folder)
    for message in (Hello("wrong"), Hello(""), EngineAddress(1, address.token, 1)):
        reader, writer = await asyncio.open_connection(HOST, address.port)
        writer.write(encode_frame(message) + encode_frame(message))
        if isinstance(message, Hello):
            assert await reader.read() == b""
        writer.close()
    assert await engine.collections() == ["c"]


async def test_an_engine_of_another_version_says_so(
    engine: IndexEngine, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "Hello", partial(Hello, version=0))
    with pytest.raises(IndexUnavailable, match="Another version of Ibid is using this index"):
        async with open_embedded(folder):
            pass


async def test_a_call_that_makes_no_sense_is_refused_alone(engine: IndexEngine) -> None:
    empty = SparseVector([], [])
    with pytest.raises(InvalidInput, match="Expected `float`, got `None`"):
        await engine.upsert("c", [Point(str(UUID(int=1)), cast("list[float]", [None]), empty, {})])
    with pytest.raises(IndexUnavailable, match="The index failed: ValueError"):
        await engine.upsert("c", [Point("nonsense", [1.0, 0.0], empty, {})])
    with pytest.raises(InvalidInput, match="is not a valid name of a collection"):
        await engine.create("../elsewhere", SCHEMA)
    assert await engine.count("c", {}) == 0


async def test_an_interrupt_does_not_reach_it(engine: IndexEngine, folder: Path) -> None:
    pid = EngineAddress.read(folder).pid
    os.kill(pid, signal.SIGINT)
    await engine.upsert("c", points(0, 10))
    assert EngineAddress.read(folder).pid == pid
    assert os.getsid(pid) == pid


async def test_asked_to_end_it_closes_the_index_and_the_next_call_starts_another(
    engine: IndexEngine, folder: Path
) -> None:
    await engine.upsert("c", points(0, 10))
    pid = EngineAddress.read(folder).pid
    os.kill(pid, signal.SIGTERM)
    assert await has_ended(pid)
    assert (folder / "engine.log").read_text() == ""
    assert await engine.count("c", {}) == 10


async def test_one_folder_has_one_engine(engine: IndexEngine, folder: Path) -> None:
    await engine.upsert("c", points(0, 1))
    with pytest.raises(IndexLocked, match=r"Another process is using the index in "):
        EmbeddedEngine(folder)
    with (
        closing(same_shards_elsewhere(folder)) as second,
        pytest.raises(IndexLocked, match=r"Another process is using the index in .*/c"),
    ):
        second.count("c", {})


def same_shards_elsewhere(folder: Path) -> EmbeddedEngine:
    """An engine that found its folder free, but not what is in it."""
    home = folder.with_name("elsewhere")
    home.mkdir()
    (home / "collections").symlink_to(folder / "collections")
    return EmbeddedEngine(home)


async def test_a_damaged_collection_is_named_and_the_others_serve(folder: Path) -> None:
    async with open_embedded(folder) as engine:
        for name in ("good", "bad"):
            await engine.create(name, SCHEMA)
            await engine.upsert(name, points(0, 10))
        pid = EngineAddress.read(folder).pid
    assert await has_ended(pid)
    (segment,) = (folder / "collections" / "bad").rglob("segment.json")
    segment.write_bytes(b"not a segment")
    async with open_embedded(folder) as engine:
        with pytest.raises(IndexDamaged, match=r"/bad is damaged: .* Move it away and run `ibid"):
            await engine.search("bad", QUERY)
        assert len(await engine.search("good", QUERY)) == 5


async def test_a_panic_of_the_engine_is_an_error_like_any_other(folder: Path) -> None:
    with closing(EmbeddedEngine(folder)) as engine:
        engine.create("bad", SCHEMA)
        engine.upsert("bad", points(0, 10))
    for status in (folder / "collections" / "bad").rglob("status.dat"):
        os.truncate(status, 0)
    async with open_embedded(folder) as engine:
        with pytest.raises(IndexDamaged, match="/bad is damaged"):
            await engine.search("bad", QUERY)
        assert await engine.collections() == ["bad"]


async def test_why_it_cannot_start_is_told(tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("{")
    with pytest.raises(
        IndexUnavailable, match=r"could not be started\. .*is damaged: aliases.json"
    ):
        async with open_embedded(tmp_path):
            pass
    with pytest.raises(IndexUnavailable, match="cannot be used"):
        async with open_embedded(tmp_path / "aliases.json"):
            pass


def test_it_starts_quickly_because_it_imports_little() -> None:
    script = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import storage.index.embedded.process\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(*sorted(names - set(sys.stdlib_module_names)))\n"
    )
    root = str(Path(__file__).parents[4])
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        check=True,
        text=True,
    )
    assert set(run.stdout.split()) <= {"msgspec", "typing_extensions", "qdrant_edge", "storage"}
