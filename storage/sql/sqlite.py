"""SQLite with aiosqlite: a file that several processes share, with a way to detect their commits."""

import errno
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple, Self, cast

import aiosqlite
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.errors import DatabaseUnavailable, InvalidInput, StorageFull

_ATTEMPTS, _PAUSE = 200, 0.02
_CONNECTIONS = 15
"""The pool's size. It is fixed: a new connection costs a thread and has no prepared statements yet."""


def build_engine(address: URL) -> AsyncEngine:
    """Create the file's folder and return an engine without connecting; raises `InvalidInput`."""
    if address.drivername != "sqlite+aiosqlite":
        raise InvalidInput(
            "DATABASE_URL cannot be used: it must begin with postgresql:// or sqlite+aiosqlite:///."
        )
    try:
        engine = create_async_engine(address, **_engine_options(address))
    except (ArgumentError, InvalidRequestError) as error:
        reason = str(error).rstrip(".")
        raise InvalidInput(f"DATABASE_URL cannot be used: {reason}.") from error
    _make_folder(Path(address.database or "").parent)
    event.listen(engine.sync_engine, "connect", _set_pragmas)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "invalidate", _release)
    return engine


class SingleCallConnection(aiosqlite.Connection):
    """A connection that executes a statement with one call to its thread; aiosqlite's cursor makes four.

    A transaction begins in the same call as its first statement. When the connection is returned to the
    pool, no rollback follows a commit.
    """

    def __init__(self, database: str, **options: Any) -> None:
        super().__init__(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
        self._thread.daemon = True
        self._begin_statement: str | None = None
        self._is_clean = False

    def cursor(self) -> "_Cursor":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the cursor that SQLAlchemy uses for one statement."""
        return _Cursor(self)

    def begin(self, statement: str) -> None:
        """Store the statement that begins the transaction; it is executed before the next statement."""
        self._begin_statement = statement

    async def commit(self) -> None:
        """Commit. A transaction without statements was never begun."""
        self._begin_statement = None
        await super().commit()
        self._is_clean = True

    async def rollback(self) -> None:
        """Roll back, unless nothing was executed since the last commit or rollback."""
        self._begin_statement = None
        if not self._is_clean:
            await super().rollback()
            self._is_clean = True

    async def run_statement(self, work: Callable[[sqlite3.Cursor], object]) -> "_StatementResult":
        """Execute one statement and return its rows and metadata."""
        opening, self._begin_statement, self._is_clean = self._begin_statement, None, False
        return await self._execute(self._execute_in_thread, work, opening)

    def _execute_in_thread(
        self, work: Callable[[sqlite3.Cursor], object], opening: str | None
    ) -> "_StatementResult":
        with closing(self._conn.cursor()) as cursor:
            if opening:
                cursor.execute(opening)
            work(cursor)
            rows = cursor.fetchall() if cursor.description else []
            return _StatementResult(rows, cursor.description, cursor.rowcount, cursor.lastrowid)


class _StatementResult(NamedTuple):
    rows: list[Any]
    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None


class _Cursor:
    """The part of a cursor's interface that SQLAlchemy's adapter needs."""

    def __init__(self, connection: SingleCallConnection) -> None:
        self._connection = connection
        self._outcome = _StatementResult([])

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        self._outcome = await self._connection.run_statement(
            lambda c: c.execute(statement, parameters)
        )

    async def executemany(self, statement: str, parameters: Sequence[Any]) -> None:
        self._outcome = await self._connection.run_statement(
            lambda c: c.executemany(statement, parameters)
        )

    async def fetchall(self) -> list[Any]:
        return self._outcome.rows

    async def close(self) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._outcome, name)


class CommitCounter:
    """A counter of commits to a file by any process. It needs no call to a thread and takes 5 µs."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def count(self) -> int | None:
        """Return a number that changes after every commit; None if it cannot be read."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, timeout=0, check_same_thread=False)
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return number

    def close(self) -> None:
        """Close the connection; `count` opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def build_commit_counter(engine: AsyncEngine) -> CommitCounter | None:
    """Return the `CommitCounter` of an engine's file; None for Postgres or a database in memory."""
    path = engine.url.database
    is_file = engine.dialect.name == "sqlite" and _is_file(path)
    return CommitCounter(path) if is_file and path else None


def _engine_options(address: URL) -> dict[str, Any]:
    """Return the connection options for SQLAlchemy."""
    how: dict[str, Any] = {"connect_args": {"async_creator_fn": SingleCallConnection}}
    if _is_file(address.database):
        how |= {"pool_size": _CONNECTIONS, "max_overflow": 0}
    return how


def _is_file(path: str | None) -> bool:
    return path not in (None, "", ":memory:")


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # `_begin` begins transactions, not the driver
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=10000")
    _enable_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _enable_wal(cursor: Any) -> None:
    """Switch to WAL mode, with retries.

    Of several processes that create a database at once, one switches the mode. SQLite's busy timeout does
    not apply to this statement.
    """
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


def _begin(connection: Connection) -> None:
    beginning = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    cast("SingleCallConnection", connection.connection.driver_connection).begin(beginning)


def _release(connection: Any, _record: Any, _error: BaseException | None) -> None:
    """Roll back before the connection is closed.

    A connection that is closed during a statement, for example when a client disconnects, would keep its
    lock.
    """
    connection.rollback()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFull(f"There is no disk space left to create {folder}.") from error
        raise DatabaseUnavailable(f"Cannot create {folder}: {error.strerror}.") from error
