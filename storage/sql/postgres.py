"""Postgres with asyncpg; supports poolers that share connections, and databases that are suspended."""

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
from storage.service_urls import system_reason
from storage.sql import postgres_tls
from storage.sql.postgres_messages import clean_postgres_message
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
_OPTION_REFUSED = ("22", "42", "55")
"""Prefixes of the SQLSTATEs of a server that rejects an option."""
_POOL_SIZE, _MAX_OVERFLOW, _POOL_RECYCLE = 5, 5, 240
_COMMAND_TIMEOUT = 60.0
_PAUSE = 0.25
_connect: Callable[..., Awaitable[Any]] = cast("Any", asyncpg).connect


def build_engine(
    url: PostgresURL, connect_timeout: float, name: str = "DATABASE_URL"
) -> AsyncEngine:
    """Return an engine without connecting; later it waits `connect_timeout` seconds for a connection.

    Statements are unnamed and not cached: behind a pooler in transaction mode everything else fails, in
    some cases only after a migration has changed a table. Behind such a pooler a connection cannot have its
    own options either, so the options of the URL are set in every transaction.
    """
    parameters = url.parameters
    engine = create_async_engine(
        URL.create("postgresql+asyncpg", _user(url, name), url.password, database=url.database),
        pool_size=_POOL_SIZE,
        max_overflow=_MAX_OVERFLOW,
        pool_timeout=connect_timeout,
        pool_recycle=_POOL_RECYCLE,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args={
            "host": [host.name for host in url.hosts],
            "port": [host.port for host in url.hosts],
            "ssl": postgres_tls.asyncpg_ssl(url, name),
            "target_session_attrs": parameters.get("target_session_attrs", "any"),
            "server_settings": {k: parameters[k] for k in ("application_name",) if k in parameters},
            "async_creator_fn": _connect_with_retries(url, connect_timeout),
            "command_timeout": _COMMAND_TIMEOUT,
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
        if not str(getattr(error.orig, "sqlstate", "")).startswith(_OPTION_REFUSED):
            raise
        reason = str(error.orig).rpartition(">: ")[2]
        raise InvalidInput(f"{name} cannot be used: options: {reason}.") from error


def _connect_with_retries(
    url: PostgresURL, connect_timeout: float
) -> Callable[..., Awaitable[Any]]:
    """Return a function that connects, with retries while the database is suspended, starts or restarts.

    It raises `DatabaseUnavailable`.
    """
    longest = float(url.parameters.get("connect_timeout", 0)) or connect_timeout

    async def connected(*arguments: Any, **options: Any) -> Any:
        deadline = time.monotonic() + connect_timeout
        while True:
            left = max(min(deadline - time.monotonic(), longest), _PAUSE)
            try:
                connection = await _connect(*arguments, **options, timeout=left)
            except _FAILURES as error:
                if isinstance(error, _FATAL) or time.monotonic() + _PAUSE >= deadline:
                    raise DatabaseUnavailable(
                        _error_message(error, url, connect_timeout)
                    ) from error
            else:
                return connection
            await asyncio.sleep(_PAUSE)

    return connected


def _error_message(error: Exception, url: PostgresURL, connect_timeout: float) -> str:
    if isinstance(error, ssl.SSLError):
        return (
            f"The certificate of the database at {url.host_and_port} is not trusted ({error}); "
            "set sslrootcert= to its root certificate."
        )
    return (
        f"The database at {url.host_and_port} cannot be reached: {_reason(error, connect_timeout)}."
    )


def _reason(error: Exception, connect_timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {connect_timeout:g} seconds"
    if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
        return "none of its servers matches target_session_attrs"
    if isinstance(error, OSError):
        return system_reason(error)
    return clean_postgres_message(str(error)) or "no reason given"
