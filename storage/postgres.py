"""Postgres by asyncpg, also behind a pooler that shares connections, also while it is asleep."""

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
from sqlalchemy import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.errors import DatabaseUnavailable, InvalidInput

_DRIVERS = ("postgres", "postgresql", "postgresql+asyncpg")
"""What a URL may begin with, when no other driver is asked for."""
_OF_LIBPQ = (
    "application_name",
    "channel_binding",
    "connect_timeout",
    "gssencmode",
    "options",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
)
"""What a URL may say to libpq, and asyncpg or a pooler would trip over."""
_FATAL = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidPasswordError,
    asyncpg.ClientConfigurationError,
    socket.gaierror,
    ssl.SSLError,
)
"""What waiting does not mend."""
_KEPT, _MORE, _RECYCLED = 5, 5, 240
_LONGEST_STATEMENT = 60.0
_PAUSE = 0.25
_connect: Callable[..., Awaitable[Any]] = asyncpg.connect  # pyright: ignore[reportUnknownVariableType]


def direct(url: URL) -> URL:
    """The endpoint behind Neon's pooled one: for migrations, which want a session of their own."""
    name, dot, domain = (url.host or "").partition(".")
    return url.set(host=name.removesuffix("-pooler") + dot + domain)


def build_engine(url: URL, patience: float) -> AsyncEngine:
    """Connects to nothing yet; later waits `patience` seconds for a database, or a connection.

    Statements are unnamed and cached nowhere: behind a pooler in transaction mode every other way
    fails, some of them only after a migration has changed a table.
    """
    if url.drivername not in _DRIVERS:
        raise InvalidInput(
            f"DATABASE_URL cannot be used: write postgresql://, not {url.drivername}."
        )
    return create_async_engine(
        url.set(drivername="postgresql+asyncpg").difference_update_query(_OF_LIBPQ),
        pool_size=_KEPT,
        max_overflow=_MORE,
        pool_timeout=patience,
        pool_recycle=_RECYCLED,
        pool_pre_ping=True,
        pool_use_lifo=True,
        connect_args={
            **_encryption(url),
            "async_creator_fn": _patient(patience),
            "command_timeout": _LONGEST_STATEMENT,
            "statement_cache_size": 0,
            "prepared_statement_cache_size": 0,
            "prepared_statement_name_func": lambda: "",
        },
    )


def _encryption(url: URL) -> dict[str, Any]:
    """Any `sslmode` that asks for encryption gets it verified: what a stranger reads is not secret."""
    mode, roots = url.query.get("sslmode", "prefer"), url.query.get("sslrootcert")
    if mode == "disable":
        return {"ssl": False}
    if mode in ("allow", "prefer"):
        return {}
    if mode not in ("require", "verify-ca", "verify-full"):
        raise InvalidInput(
            "DATABASE_URL cannot be used: sslmode is one of disable, allow, prefer, require, "
            "verify-ca and verify-full."
        )
    try:
        return {"ssl": ssl.create_default_context(cafile=str(roots) if roots else None)}
    except OSError as error:
        raise InvalidInput(f"DATABASE_URL cannot be used: sslrootcert: {error}.") from error


def _patient(patience: float) -> Callable[..., Awaitable[Any]]:
    """A database that sleeps, starts or restarts is waited for; raises `DatabaseUnavailable`."""

    async def connected(*arguments: Any, **options: Any) -> Any:
        deadline = time.monotonic() + patience
        while True:
            left = max(deadline - time.monotonic(), _PAUSE)
            try:
                connection = await _connect(*arguments, **options, timeout=left)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if isinstance(error, _FATAL) or time.monotonic() + _PAUSE >= deadline:
                    raise DatabaseUnavailable(_reason(error, patience)) from error
            else:
                return connection
            await asyncio.sleep(_PAUSE)

    return connected


def _reason(error: Exception, patience: float) -> str:
    if isinstance(error, ssl.SSLError):
        return (
            f"The database's certificate is not trusted ({error}); name its root in sslrootcert=."
        )
    told = str(error) or f"no answer in {patience:g} seconds"
    return f"The database cannot be reached: {told.rstrip('.')}."
