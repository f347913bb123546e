"""Locks: one holder by name, in whatever process, and none once it is gone."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from storage.errors import DatabaseUnavailable
from storage.locks import FileLocks, Locks, PostgresLocks
from tests.postgres import Postgres

HOLDER = """
import asyncio, sys
from pathlib import Path
from storage.locks import Locks
from tests.postgres import Postgres

async def hold():
    async with Locks.create(Path(sys.argv[1]), sys.argv[2] or None).hold("lamp"):
        print("held", flush=True)
        await asyncio.sleep(60)

asyncio.run(hold())
"""


@pytest.fixture(params=["files", pytest.param("postgres", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest) -> str | None:
    if request.param == "files":
        return None
    server: Postgres = request.getfixturevalue("postgres")
    return server.url()


async def test_one_holds_it_and_the_next_waits(tmp_path: Path, url: str | None) -> None:
    one, two = Locks.create(tmp_path, url), Locks.create(tmp_path, url)
    waited: list[str] = []
    async with one.hold("lamp"):
        async with two.try_hold("lamp") as is_free, two.try_hold("horn") as other_is_free:
            assert (is_free, other_is_free) == (False, True)
        waiting = asyncio.create_task(_hold(two, waited))
        await asyncio.sleep(0.3)
        assert waited == ["waits"]
    await waiting
    assert waited == ["waits", "held"]
    async with one.try_hold("lamp") as is_free:
        assert is_free


async def _hold(locks: Locks, told: list[str]) -> None:
    async with locks.hold("lamp", lambda: told.append("waits")):
        told.append("held")


async def test_who_is_killed_holds_nothing(tmp_path: Path, url: str | None) -> None:
    command = (sys.executable, "-c", HOLDER, str(tmp_path), url or "")
    holder = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert holder.stdout
    assert await holder.stdout.readline() == b"held\n"
    locks = Locks.create(tmp_path, url)
    async with locks.try_hold("lamp") as is_free:
        assert not is_free
    holder.kill()
    await holder.communicate()
    async with asyncio.timeout(60), locks.hold("lamp"):
        pass


async def test_a_waiter_that_is_cancelled_leaves_no_lock(tmp_path: Path) -> None:
    locks = FileLocks(tmp_path)
    async with locks.hold("lamp"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3), locks.hold("lamp"):
                pass
    async with locks.try_hold("lamp") as is_free:
        assert is_free


async def test_where_nothing_can_be_locked_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseUnavailable, match="Cannot create a lock"):
        await FileLocks(tmp_path / "file").try_acquire("lamp")
    with pytest.raises(DatabaseUnavailable, match=r"^JOBS_DATABASE_URL .*Connection refused\.$"):
        await PostgresLocks("postgresql://127.0.0.1:1/none").try_acquire("lamp")
