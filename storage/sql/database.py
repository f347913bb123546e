"""The relational store: opened migrated, used in short transactions."""

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

from storage.addresses import NO_ADDRESS
from storage.concurrency import to_its_end
from storage.errors import ConnectionLost, InvalidInput
from storage.sql import sqlite
from storage.sql.driver_errors import translated
from storage.sql.postgres_url import is_postgres, parse_postgres_url

P = ParamSpec("P")
T = TypeVar("T")

Session = AsyncSession
"""What a transaction is given out as; repositories take it."""

HEAD = "0011"
"""The newest migration: known here so that opening a current database needs no Alembic."""
URL_NAME, DIRECT = "DATABASE_URL", "DATABASE_DIRECT_URL"
PATIENCE = 15.0
"""Seconds that a database which sleeps, or has no connection free, is waited for."""
_MIGRATING = 1_229_080_900
"""Names, among Postgres's advisory locks, the one of who migrates; it ends with the transaction."""


def retried(
    work: Callable[P, Coroutine[Any, Any, T]],
) -> Callable[P, Coroutine[Any, Any, T]]:
    """For a unit of work: done once more, whole, when its connection died under it.

    Whether a commit that got no answer was kept is not known: what it adds must have its id already.
    """

    @wraps(work)
    async def done(*arguments: P.args, **options: P.kwargs) -> T:
        try:
            return await work(*arguments, **options)
        except ConnectionLost:
            return await work(*arguments, **options)

    return done


class Database:
    """Gives out transactions; one is never held across a model call.

    On SQLite a `transaction` takes the write lock at once, so that reading and then writing cannot
    fail half-way because another process wrote in between; on Postgres what is read to be written
    is locked by whoever reads it. `reading` never waits for a writer.
    """

    def __init__(
        self, engine: AsyncEngine, migrating: AsyncEngine, schema: str | None = None
    ) -> None:
        self.engine = engine
        self._migrating = migrating
        self._schema = schema
        self._commits = sqlite.commits(engine)
        # SQLite has one writer at a time: here they queue, there they would try again and again.
        is_sqlite = engine.dialect.name == "sqlite"
        self._writing = asyncio.Lock() if is_sqlite else nullcontext()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, direct_url: str | None = None, patience: float = PATIENCE
    ) -> AsyncGenerator[Self]:
        """Connect, bring the schema up to date, and let go at the end."""
        async with cls.connect(url, direct_url=direct_url, patience=patience) as database:
            await database.migrate()
            yield database

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, url: str, *, direct_url: str | None = None, patience: float = PATIENCE
    ) -> AsyncGenerator[Self]:
        """The same with the schema left as it is; migrations go by `direct_url`, if there is one."""
        database = cls(*_engines(url, direct_url, patience))
        try:
            yield database
        finally:
            await to_its_end(database.dispose())

    async def dispose(self) -> None:
        """Let go of every connection."""
        if self._commits is not None:
            self._commits.close()
        await self.engine.dispose()
        await self._migrating.dispose()

    @property
    def state(self) -> int | None:
        """Another one after every commit, of whatever process; None where to tell takes a query."""
        return None if self._commits is None else self._commits.count()

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Everything inside is kept, or nothing is."""
        async with self._writing, self._session(sqlite_begin="BEGIN IMMEDIATE") as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncSession]:
        """One consistent view; nothing is written."""
        options: dict[str, Any] = {"sqlite_begin": "BEGIN"}
        if self.engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        async with self._session(**options) as session:
            yield session

    async def migrate(self) -> None:
        """Bring the schema to `HEAD`; costs one query when it is there already."""
        await to_its_end(self._migrate())

    async def revision(self) -> str | None:
        """The migration that the schema is at; None for an empty database."""
        with translated():
            async with self.engine.connect() as connection:
                return await connection.run_sync(_current_revision)

    async def check(self) -> str:
        """What is wrong with the schema, in one sentence; nothing when it is as it should be."""
        revision = await self.revision()
        if revision != HEAD:
            return (
                f"The schema is at {revision or 'nothing'}, not at {HEAD}: run `ibid db upgrade`."
            )
        from storage.sql.migrations import differences  # noqa: PLC0415 - Alembic takes 0.4 s

        with translated():
            async with self.engine.connect() as connection:
                found = await connection.run_sync(differences)
        return f"The schema is not what Ibid made: {'; '.join(found)}." if found else ""

    @asynccontextmanager
    async def migrating(self) -> AsyncGenerator[Any]:
        """A connection, in a transaction of its own, that no other process migrates beside."""
        with translated():
            async with self._migrating.connect() as connection:
                await connection.execution_options(sqlite_begin="BEGIN IMMEDIATE")
                async with connection.begin():
                    if connection.dialect.name == "postgresql":
                        await connection.execute(
                            text("select pg_advisory_xact_lock(:name)"), {"name": _MIGRATING}
                        )
                    else:  # the first statement takes SQLite's lock
                        await connection.execute(text("select 1"))
                    yield connection

    async def _migrate(self) -> None:
        revision = await self.revision()
        if revision != HEAD:
            from storage.sql.migrations import upgrade  # noqa: PLC0415 - Alembic takes 0.4 s

            async with self.migrating() as connection:
                if self._schema and revision is None:
                    await _check_schema(connection, self._schema)
                await connection.run_sync(upgrade)

    @asynccontextmanager
    async def _session(self, **options: Any) -> AsyncGenerator[AsyncSession]:
        engine = self.engine.execution_options(**options)
        with translated():
            session = AsyncSession(engine, expire_on_commit=False)
            try:
                yield session
            except BaseException:
                await to_its_end(session.close())
                raise
            await to_its_end(_keep(session))


async def _check_schema(connection: Any, schema: str) -> None:
    """Tables are made in the first schema of the path that is there: it must be the one that is meant."""
    found = (await connection.execute(text("select current_schema()"))).scalar()
    if found != schema:
        raise InvalidInput(
            f"{URL_NAME} cannot be used: there is no schema {schema!r}: make it with CREATE SCHEMA."
        )


async def _keep(session: AsyncSession) -> None:
    try:
        await session.commit()
    finally:
        await session.close()


def _engines(
    url: str, direct_url: str | None, patience: float
) -> tuple[AsyncEngine, AsyncEngine, str | None]:
    """For requests and for migrations, the same on SQLite; and the schema, if any is named.

    Connects to nothing yet.
    """
    if not is_postgres(url):
        engine = sqlite.build_engine(_parsed(url, make_url))
        return engine, engine, None
    from storage.sql import postgres  # noqa: PLC0415 - the driver takes 0.1 s

    pooled = _parsed(url, parse_postgres_url)
    engine = postgres.build_engine(pooled, patience)
    direct = pooled.direct()
    if direct_url:
        direct = _parsed(direct_url, parse_postgres_url, DIRECT)
        if not direct.options:
            direct = replace(direct, options=pooled.options)
        elif direct.schema != pooled.schema:
            raise InvalidInput(f"{DIRECT} cannot be used: it names another schema than {URL_NAME}.")
    return engine, postgres.build_engine(direct, patience, DIRECT), direct.schema


def _parsed(url: str, parse: Callable[[str], T], name: str = URL_NAME) -> T:
    """Raises `InvalidInput`, which does not repeat the address."""
    try:
        return parse(url)
    except ArgumentError:
        raise InvalidInput(f"{name} cannot be used: {NO_ADDRESS}.") from None
    except ValueError as error:
        raise InvalidInput(f"{name} cannot be used: {error}.") from None


def _current_revision(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    return connection.execute(text("select version_num from alembic_version")).scalar()
