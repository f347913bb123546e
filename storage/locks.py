"""Named locks between processes; a lock is released when its holder dies."""

import asyncio
import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from storage.errors import DatabaseUnavailable
from storage.index.embedded.files import try_lock_file
from storage.sql import libpq
from storage.sql.postgres_messages import clean_postgres_message

_PAUSE = 0.2

Unlock = Callable[[], Awaitable[None]]


class Locks(ABC):
    """Locks that all processes of an installation share: files on one machine, or Postgres on several."""

    @staticmethod
    def create(folder: Path, url: str | None) -> "Locks":
        """Return locks in the store of the jobs: in `url`, or as files in `folder` if `url` is None."""
        return PostgresLocks(url) if url else FileLocks(folder)

    @abstractmethod
    async def try_acquire(self, name: str) -> Unlock | None:
        """Try to take a lock. Return its release function, or None if this or another process holds it."""

    @asynccontextmanager
    async def hold(
        self, name: str, on_wait: Callable[[], None] | None = None
    ) -> AsyncGenerator[None]:
        """Hold a lock, and wait for it if necessary; `on_wait` is called once before the wait."""
        release = await self.try_acquire(name)
        if release is None and on_wait:
            on_wait()
        while release is None:
            await asyncio.sleep(_PAUSE)
            release = await self.try_acquire(name)
        try:
            yield
        finally:
            await release()

    @asynccontextmanager
    async def try_hold(self, name: str) -> AsyncGenerator[bool]:
        """Try to take a lock without waiting. Yield whether this succeeded; if so, hold it in the block."""
        release = await self.try_acquire(name)
        try:
            yield release is not None
        finally:
            if release:
                await release()


class FileLocks(Locks):
    """Empty files in a folder, locked by the operating system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def try_acquire(self, name: str) -> Unlock | None:
        """Try to take a lock. Its file is never removed.

        Otherwise two processes could lock two different files of the same name.
        """
        digest = hashlib.sha256(name.encode(errors="replace")).hexdigest()[:24]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = try_lock_file(self._folder / f"{digest}.lock")
        except OSError as error:
            raise DatabaseUnavailable(
                f"Cannot create a lock in {self._folder}: {error.strerror}."
            ) from error
        return None if descriptor is None else _unlock_file(descriptor)


class PostgresLocks(Locks):
    """Advisory locks, each on its own connection: a pooler that shares connections would lose them."""

    def __init__(self, url: str) -> None:
        self._arguments: dict[str, Any] = {
            "connect_timeout": 15,
            **libpq.connect_arguments(libpq.require_jobs_url(url)),
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 4,
        }

    async def try_acquire(self, name: str) -> Unlock | None:
        """Try to take a lock.

        Keepalives detect a connection to an unreachable machine after about half a minute.
        """
        import psycopg  # noqa: PLC0415 - only where jobs are kept in Postgres

        key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)
        try:
            connection = await psycopg.AsyncConnection.connect(autocommit=True, **self._arguments)
            cursor = await connection.execute("select pg_try_advisory_lock(%s)", (key,))
            row = await cursor.fetchone()
        except psycopg.Error as error:
            reason = clean_postgres_message(str(error))
            raise DatabaseUnavailable(f"{libpq.SETTING_NAME} cannot be used: {reason}.") from error
        if row and row[0]:
            return connection.close
        await connection.close()
        return None


def _unlock_file(descriptor: int) -> Unlock:
    async def release() -> None:
        os.close(descriptor)

    return release
