"""SQLite by aiosqlite: a file that many processes share, and that tells when one of them wrote."""

import errno
import sqlite3
import time
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import ArgumentError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.errors import DatabaseUnavailable, InvalidInput, StorageFull

_ATTEMPTS, _PAUSE = 200, 0.02


def build_engine(address: URL) -> AsyncEngine:
    """Makes the file's folder and connects to nothing yet; raises `InvalidInput`."""
    try:
        engine = create_async_engine(address)
    except (ArgumentError, InvalidRequestError, ImportError) as error:
        reason = str(error).rstrip(".")
        raise InvalidInput(f"DATABASE_URL cannot be used: {reason}.") from error
    if engine.dialect.name == "sqlite":
        _make_folder(Path(address.database or "").parent)
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
        event.listen(engine.sync_engine, "invalidate", _release)
    return engine


class Commits:
    """Counts what was committed to a file, by whatever process, without a trip to a thread: 5 µs."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def count(self) -> int | None:
        """Differs from the one before when anybody has committed since; None when that is not known."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, timeout=0, check_same_thread=False)
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            return None
        return number

    def close(self) -> None:
        """May be used again afterwards."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def commits(engine: AsyncEngine) -> Commits | None:
    """Those of an engine's file; None for another database, or one in memory."""
    path = engine.url.database
    is_file = engine.dialect.name == "sqlite" and path not in (None, "", ":memory:")
    return Commits(path) if is_file and path else None


def _prepare(connection: Any, _record: Any) -> None:
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


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))


def _release(connection: Any, _record: Any, _error: BaseException | None) -> None:
    """Closed in the middle of a statement, as when a client goes away, it would keep its lock."""
    connection.rollback()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise StorageFull(f"No space is left to create {folder}.") from error
        raise DatabaseUnavailable(f"Cannot create {folder}: {error.strerror}.") from error
