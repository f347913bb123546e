"""The relational store: opened migrated, used in short transactions."""

import asyncio
import errno
import sqlite3
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, event, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    OperationalError,
)
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm.exc import StaleDataError
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.errors import DatabaseUnavailable, IbidError, InvalidInput, StorageFull, Vanished

_ATTEMPTS, _PAUSE = 200, 0.02
HEAD = "0004"
"""The newest migration: known here so that opening a current database needs no Alembic."""


class Database:
    """Gives out transactions; one is never held across a model call.

    On SQLite a `transaction` takes the write lock at once, so that reading and then writing cannot
    fail half-way because another process wrote in between; `reading` never waits for a writer.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncGenerator[Self]:
        """Connect, bring the schema up to date, and let go at the end."""
        engine = _engine(url)
        if engine.dialect.name == "sqlite":
            _make_folder(Path(engine.url.database or "").parent)
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
            event.listen(engine.sync_engine, "invalidate", _release_sqlite)
        database = cls(engine)
        try:
            await database.migrate()
            yield database
        finally:
            await _to_its_end(engine.dispose())

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Everything inside is kept, or nothing is."""
        async with self._session("BEGIN IMMEDIATE") as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """One consistent view; nothing is written."""
        async with self._session("BEGIN") as session:
            yield session

    async def migrate(self) -> None:
        """Bring the schema to `HEAD`; costs one query when it is there already."""
        await _to_its_end(self._migrate())

    async def _migrate(self) -> None:
        with translated():
            async with self.engine.connect() as connection:
                current = await connection.run_sync(_current_revision)
            if current != HEAD:
                from storage.migrations import upgrade  # noqa: PLC0415 - Alembic takes 0.4 s

                options = {"sqlite_begin": "BEGIN IMMEDIATE"}
                async with self.engine.connect() as connection:
                    await connection.execution_options(**options)
                    async with connection.begin():
                        await connection.run_sync(upgrade)

    @asynccontextmanager
    async def _session(self, begin: str) -> AsyncGenerator[AsyncSession]:
        engine = self.engine.execution_options(sqlite_begin=begin)
        with translated():
            session = AsyncSession(engine, expire_on_commit=False)
            try:
                yield session
            except BaseException:
                await _to_its_end(session.close())
                raise
            await _to_its_end(_keep(session))


async def _keep(session: AsyncSession) -> None:
    try:
        await session.commit()
    finally:
        await session.close()


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Also when cancelled meanwhile: a connection that is half reset is lost, with complaints."""
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _engine(url: str) -> AsyncEngine:
    """Connects to nothing yet."""
    try:
        return create_async_engine(url)
    except (ArgumentError, InvalidRequestError, ImportError) as error:
        reason = str(error).rstrip(".")
        raise InvalidInput(f"DATABASE_URL cannot be used: {reason}.") from error


def _current_revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=10000")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _write_ahead(cursor: Any) -> None:
    """Of those that make a database at once, one switches it; for this SQLite never waits."""
    for _ in range(_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(_PAUSE)
        else:
            return
    cursor.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def _release_sqlite(connection: Any, _record: Any, _error: BaseException | None) -> None:
    """Closed in the middle of a statement, as when a client goes away, it would keep its lock."""
    connection.rollback()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFull(f"No space is left to create {folder}.") from error
        raise DatabaseUnavailable(f"Cannot create {folder}: {error.strerror}.") from error


class translated:  # noqa: N801 - reads as the statement it is used in
    """Turns the driver's errors into ours, here and where another library uses the driver."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, UnicodeEncodeError):  # of a name that was never decoded
            raise InvalidInput(f"{error.object[:80]!a} is not text in Unicode.") from error
        if isinstance(error, StaleDataError) or _is_orphan(error):
            raise Vanished("What was being changed was deleted meanwhile.") from error
        if isinstance(error, IbidError) or not isinstance(error, DBAPIError | OSError):
            return
        cause = error.orig if isinstance(error, DBAPIError) else error
        detail = str(cause)
        if "full" in detail or getattr(cause, "errno", None) == errno.ENOSPC:
            raise StorageFull(
                "No space is left for the database; free some and run the command again."
            ) from error
        if isinstance(error, OperationalError | OSError) or type(cause) is sqlite3.DatabaseError:
            raise DatabaseUnavailable(f"The database cannot be used: {detail}.") from error


def _is_orphan(error: BaseException | None) -> bool:
    """Whether what it belongs to is no longer there; SQLite and Postgres say it in these words."""
    return isinstance(error, IntegrityError) and "foreign key" in str(error.orig).lower()
