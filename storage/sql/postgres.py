"""Postgres with asyncpg; supports poolers that share connections, and databases that are asleep."""

import asyncio
import getpass
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import chain
from typing import Any, cast

import asyncpg
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.errors import DatabaseUnavailable, InvalidInput
from storage.service_urls import failure
from storage.sql import postgres_tls
from storage.sql.postgres_messages import said_by_postgres
from storage.sql.postgres_url import PostgresURL

_FATAL = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidPasswordError,
    asyncpg.ClientConfigurationError,
    socket.gaierror,
    ssl.SSLError,
)
"""Errors that a retry cannot fix."""
_FAILURES = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.TargetServerAttributeNotMatched,
)
_REFUSED = ("22", "42", "55")
"""Prefixes of the SQLSTATEs of a server that rejects an option."""
_KEPT, _MORE, _RECYCLED = 5, 5, 240
_LONGEST_STATEMENT = 60.0
_PAUSE = 0.25
_connect: Callable[..., Awaitable[Any]] = cast("Any", asyncpg).connect


def build_engine(url: PostgresURL, patience: float, name: str = "DATABASE_URL") -> AsyncEngine:
    """Return an engine without connecting; later it waits `patience` seconds for a database or a connection.

    Statements are unnamed and not cached: behind a pooler in transaction mode everything else fails, in
    some cases only after a migration has changed a table. Behind such a pooler a connection cannot have its
    own options either, so the options of the URL are set in every transaction.
    """
    said = url.parameters
    engine = create_async_engine(
        URL.create("postgresql+asyncpg", _user(url, name), url.password, database=url.database),
        pool_size=_KEPT,
        max_overflow=_MORE,
        pool_timeout=patience,
        pool_recycle=_RECYCLED,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args={
            "host": [host.name for host in url.hosts],
            "port": [host.port for host in url.hosts],
            "ssl": postgres_tls.for_asyncpg(url, name),
            "target_session_attrs": said.get("target_session_attrs", "any"),
            "server_settings": {k: said[k] for k in ("application_name",) if k in said},
            "async_creator_fn": _patient(url, patience),
            "command_timeout": _LONGEST_STATEMENT,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        },
    )
    if url.options:
        event.listen(engine.sync_engine, "begin", partial(_set_options, url.options, name))
    return engine


def _user(url: PostgresURL, name: str) -> str:
    """Return the user that libpq would use; the user of a container often has no name."""
    try:
        return url.user or os.environ.get("PGUSER") or getpass.getuser()
    except (KeyError, OSError):
        raise InvalidInput(f"{name} cannot be used: name a user, as in USER@HOST.") from None


def _set_options(options: Mapping[str, str], name: str, connection: Connection) -> None:
    """Set the options until the end of the transaction."""
    pairs = [
        f"set_config(${number}, ${number + 1}, true)" for number in range(1, 2 * len(options), 2)
    ]
    values = tuple(chain.from_iterable(options.items()))
    try:
        connection.exec_driver_sql(f"select {', '.join(pairs)}", values)
    except DBAPIError as error:
        if not str(getattr(error.orig, "sqlstate", "")).startswith(_REFUSED):
            raise
        reason = str(error.orig).rpartition(">: ")[2]
        raise InvalidInput(f"{name} cannot be used: options: {reason}.") from error


def _patient(url: PostgresURL, patience: float) -> Callable[..., Awaitable[Any]]:
    """Return a function that connects, with retries while the database is asleep, starts or restarts.

    It raises `DatabaseUnavailable`.
    """
    longest = float(url.parameters.get("connect_timeout", 0)) or patience

    async def connected(*arguments: Any, **options: Any) -> Any:
        deadline = time.monotonic() + patience
        while True:
            left = max(min(deadline - time.monotonic(), longest), _PAUSE)
            try:
                connection = await _connect(*arguments, **options, timeout=left)
            except _FAILURES as error:
                if isinstance(error, _FATAL) or time.monotonic() + _PAUSE >= deadline:
                    raise DatabaseUnavailable(_told(error, url, patience)) from error
            else:
                return connection
            await asyncio.sleep(_PAUSE)

    return connected


def _told(error: Exception, url: PostgresURL, patience: float) -> str:
    if isinstance(error, ssl.SSLError):
        return (
            f"The certificate of the database at {url.place} is not trusted ({error}); "
            "set sslrootcert= to its root certificate."
        )
    return f"The database at {url.place} cannot be reached: {_reason(error, patience)}."


def _reason(error: Exception, patience: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {patience:g} seconds"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "none of its servers matches target_session_attrs"
    if isinstance(error, OSError):
        return failure(error)
    return said_by_postgres(str(error)) or "no reason given"
