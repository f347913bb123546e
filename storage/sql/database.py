"""The relational database: migrated when it is opened, and used in short transactions."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, Self, TypeVar

from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession

from storage.concurrency import run_to_completion
from storage.errors import ConnectionLost, InvalidInput
from storage.service_urls import INVALID_ADDRESS
from storage.sql import sqlite
from storage.sql.driver_errors import translate_driver_errors
from storage.sql.postgres_url import is_postgres, parse_postgres_url

P = ParamSpec("P")
T = TypeVar("T")

Session = AsyncSession
"""The session that a transaction yields and that repositories take."""

HEAD = "0011"
"""The newest migration. The constant makes it possible to open a current database without Alembic."""
URL_NAME, DIRECT_URL_NAME = "DATABASE_URL", "DATABASE_DIRECT_URL"
CONNECT_TIMEOUT = 15.0
"""Seconds to wait for a database that is suspended or has no free connection."""
_MIGRATION_LOCK = 1_229_080_900
"""The Postgres advisory lock for migrations; it is released at the end of the transaction."""


def retry_on_lost_connection(
    work: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Retry a unit of work once, from its start, if its connection was lost.

    It is unknown whether a commit without a response took effect, so the rows that the work adds must
    already have their ids.
    """

    @wraps(work)
    async def done(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return await work(*arguments, **options)
        except ConnectionLost:
            return await work(*arguments, **options)

    return done


class Database:
    """A database that yields transactions; never hold one during a model call.

    On SQLite, `transaction` takes the write lock at once, so that a write after a read cannot fail
    because another process has written in between. On Postgres, code that reads rows in order to change
    them locks these rows itself. `read_transaction` never waits for a writer.
    """

    def __init__(
        self, engine: AsyncEngine, migrating: AsyncEngine, schema: str | None = None
    ) -> None:
        self.engine = engine
        self._migration_engine = migrating
        self._schema = schema
        self._commit_counter = sqlite.build_commit_counter(engine)
        # SQLite allows one writer at a time: this lock lets them queue, without it they would have to retry.
        is_sqlite = engine.dialect.name == "sqlite"
        self._write_lock = asyncio.Lock() if is_sqlite else nullcontext()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, direct_url: str | None = None, connect_timeout: float = CONNECT_TIMEOUT
    ) -> AsyncGenerator[Self]:
        """Connect, migrate the schema to the newest revision, and close the connections at the end."""
        async with cls.connect(
            url, direct_url=direct_url, connect_timeout=connect_timeout
        ) as database:
            await database.migrate()
            yield database

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str, *, direct_url: str | None = None, connect_timeout: float = CONNECT_TIMEOUT
    ) -> AsyncGenerator[Self]:
        """Connect without a migration of the schema, and close the connections at the end.

        Migrations use `direct_url`, if there is one.
        """
        database = cls(*_engines(url, direct_url, connect_timeout))
        try:
            yield database
        finally:
            await run_to_completion(database.dispose())

    async def dispose(self) -> None:
        """Close every connection."""
        if self._commit_counter is not None:
            self._commit_counter.close()
        await self.engine.dispose()
        await self._migration_engine.dispose()

    @property
    def commit_count(self) -> int | None:
        """A number that changes after every commit of any process; None if it would need a query."""
        return None if self._commit_counter is None else self._commit_counter.count()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Yield a session; commit everything at the end, or nothing if an error is raised."""
        async with self._write_lock, self._session(sqlite_begin="BEGIN IMMEDIATE") as session:
            yield session

    @asynccontextmanager
    async def read_transaction(self) -> AsyncGenerator[AsyncSession]:
        """Yield a session that sees one consistent snapshot and must not write."""
        options: dict[str, Any] = {"sqlite_begin": "BEGIN"}
        if self.engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._session(**options) as session:
            yield session

    async def migrate(self) -> None:
        """Migrate the schema to `HEAD`; takes one query if it is up to date."""
        await run_to_completion(self._migrate())

    async def revision(self) -> str | None:
        """Return the schema's migration; None for an empty database."""
        with translate_driver_errors():
            async with self.engine.connect() as connection:
                return await connection.run_sync(_current_revision)

    async def check(self) -> str:
        """Return what is wrong with the schema, in one sentence; an empty string if it is correct."""
        revision = await self.revision()
        if revision != HEAD:
            return f"The schema is at revision {revision or 'none'}, not at {HEAD}. Run `ibid db upgrade`."
        from storage.sql.migrations import differences  # noqa: PLC0415 - Alembic takes 0.4 s

        with translate_driver_errors():
            async with self.engine.connect() as connection:
                found = await connection.run_sync(differences)
        return (
            f"The schema differs from the one that Ibid creates: {'; '.join(found)}."
            if found
            else ""
        )

    @asynccontextmanager
    async def migration_transaction(self) -> AsyncGenerator[Any]:
        """Yield a connection in a transaction, with a lock so that only one process migrates at a time."""
        with translate_driver_errors():
            async with self._migration_engine.connect() as connection:
                await connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
                async with connection.begin():
                    if connection.dialect.name == "postgresql":
                        await connection.execute(
                            text("select pg_advisory_xact_lock(:name)"), {"name": _MIGRATION_LOCK}
                        )
                    else:  # the first statement takes SQLite's lock
                        await connection.execute(text("select 1"))
                    yield connection

    async def _migrate(self) -> None:
        revision = await self.revision()
        if revision != HEAD:
            from storage.sql.migrations import upgrade  # noqa: PLC0415 - Alembic takes 0.4 s

            async with self.migration_transaction() as connection:
                if self._schema and revision is None:
                    await _check_schema(connection, self._schema)
                await connection.run_sync(upgrade)

    @asynccontextmanager
    async def _session(self, **options: Any) -> AsyncGenerator[AsyncSession]:
        engine = self.engine.execution_options(**options)
        with translate_driver_errors():
            session = AsyncSession(engine, expire_on_commit=False)
            try:
                yield session
            except BaseException:
                await run_to_completion(session.close())
                raise
            await run_to_completion(_commit(session))


async def _check_schema(connection: Any, schema: str) -> None:
    """Raise `InvalidInput` if the schema does not exist.

    Postgres would create the tables in the next schema of the search path that exists.
    """
    found = (await connection.execute(text("select current_schema()"))).scalar()
    if found != schema:
        raise InvalidInput(
            f"{URL_NAME} cannot be used: schema {schema!r} does not exist: use CREATE SCHEMA."
        )


async def _commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    finally:
        await session.close()


def _engines(
    url: str, direct_url: str | None, connect_timeout: float
) -> tuple[AsyncEngine, AsyncEngine, str | None]:
    """Return the engines for requests and for migrations, and the schema if the URL names one.

    On SQLite both engines are the same. This does not connect yet.
    """
    if not is_postgres(url):
        engine = sqlite.build_engine(_parse_url(url, make_url))
        return engine, engine, None
    from storage.sql import postgres  # noqa: PLC0415 - the driver takes 0.1 s

    pooled = _parse_url(url, parse_postgres_url)
    engine = postgres.build_engine(pooled, connect_timeout)
    direct = pooled.direct()
    if direct_url:
        direct = _parse_url(direct_url, parse_postgres_url, DIRECT_URL_NAME)
        if not direct.options:
            direct = replace(direct, options=pooled.options)
        elif direct.schema != pooled.schema:
            raise InvalidInput(
                f"{DIRECT_URL_NAME} cannot be used: its schema differs from that of {URL_NAME}."
            )
    return engine, postgres.build_engine(direct, connect_timeout, DIRECT_URL_NAME), direct.schema


def _parse_url(url: str, parse: Callable[[str], T], name: str = URL_NAME) -> T:
    """Parse the URL; raises `InvalidInput`, whose message does not repeat the URL."""
    try:
        return parse(url)
    except ArgumentError:
        raise InvalidInput(f"{name} cannot be used: {INVALID_ADDRESS}.") from None
    except ValueError as error:
        raise InvalidInput(f"{name} cannot be used: {error}.") from None


def _current_revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()
