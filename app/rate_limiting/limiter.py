"""Stores of request counts: in the process, in files shared by one machine, or on a Redis server."""

import asyncio
import logging
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import msgspec
from litestar.stores.base import Store
from litestar.stores.file import FileStore
from litestar.stores.memory import MemoryStore

from app.settings import Settings
from storage.errors import InvalidInput
from storage.service_urls import place as place_of

_log = logging.getLogger("ibid.limits")

PERIOD = 60
"""Length of a counting period in seconds."""
_REST = 10.0
"""Seconds without calls to a store that failed. Otherwise every request would wait for its timeout."""
_PATIENCE = 1.0
"""Timeout in seconds for a request to the Redis server."""


class FileCounts(FileStore):
    """A store with one file per user and key."""

    async def delete_expired(self) -> None:
        """Delete old files by age. Litestar's version reads every file and fails on truncated ones."""
        await asyncio.to_thread(_remove, Path(self.path), before=time.time() - PERIOD)


class Counts(MemoryStore):
    """A store that counts in `shared`, or in this process if there is no shared store or while it fails.

    Counting in the process limits the damage of a failure: accepting or refusing all requests is worse.
    """

    def __init__(
        self,
        shared: Store | None = None,
        failures: tuple[type[Exception], ...] = (),
        place: str = "",
    ) -> None:
        super().__init__()
        self._shared = shared
        self._failures = failures
        self.place = place
        self._rests_until = 0.0
        self._swept = 0.0

    async def __aexit__(self, *_: object) -> None:
        if self._shared:
            await self._shared.__aexit__(None, None, None)

    async def get(self, key: str, renew_for: int | timedelta | None = None) -> bytes | None:
        """Return the count of the current period."""
        if shared := self._at_hand():
            with self._trial():
                return await shared.get(key, renew_for)
        return await super().get(key, renew_for)

    async def set(
        self, key: str, value: str | bytes, expires_in: int | timedelta | None = None
    ) -> None:
        """Store a new count. Delete expired counts once per period."""
        if time.monotonic() >= self._swept + PERIOD:
            self._swept = time.monotonic()
            await self.delete_expired()
        if shared := self._at_hand():
            with self._trial():
                return await shared.set(key, value, expires_in)
        return await super().set(key, value, expires_in)

    async def delete_expired(self) -> None:
        """Delete expired counts in this process and in files. A Redis server expires them itself."""
        await super().delete_expired()
        if isinstance(self._shared, FileCounts):
            with self._trial():
                await self._shared.delete_expired()

    async def is_shared(self) -> bool:
        """Write and read a test count. Return whether the shared store works."""
        await self.set("doctor", b"1", PERIOD)
        return await self.get("doctor") == b"1" and self._at_hand() is not None

    def _at_hand(self) -> Store | None:
        return self._shared if time.monotonic() >= self._rests_until else None

    @contextmanager
    def _trial(self) -> Generator[None]:
        try:
            yield
        except self._failures as error:
            self._rests_until = time.monotonic() + _REST
            # The error's message may contain the URL's password.
            _log.warning(
                "rate_limit_store_failed",
                extra={
                    "store": self.place,
                    "error": type(error).__name__,
                    "reason": "this process counts for itself",
                },
            )


def build_counts(settings: Settings) -> Counts:
    """Build the store without connecting. Raise `InvalidInput` if `RATE_LIMIT_STORE` cannot be used."""
    if not settings.rate_limit_store:
        return Counts()
    if settings.rate_limit_store == "file":
        folder = settings.ibid_home.absolute() / "limits"
        return Counts(FileCounts(folder), (OSError, msgspec.DecodeError), str(folder))
    return _on_server(settings.rate_limit_store)


def _on_server(url: str) -> Counts:
    try:
        from litestar.stores.valkey import ValkeyStore  # noqa: PLC0415 - an extra
        from valkey.asyncio import ConnectionPool, Valkey, ValkeyError  # noqa: PLC0415
    except ImportError as error:
        raise InvalidInput(
            "RATE_LIMIT_STORE names a server, which needs the package valkey: install ibid[redis]."
        ) from error
    options = {"socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE}
    if url.startswith("rediss:"):
        options["ssl_check_hostname"] = True  # the default accepts a certificate for any host
    try:
        pool = ConnectionPool.from_url(url, **options)
        pool.make_connection()
    except (TypeError, ValueError) as error:
        raise InvalidInput("RATE_LIMIT_STORE is no address of a Redis or Valkey.") from error
    store = ValkeyStore(Valkey(connection_pool=pool), "ibid", handle_client_shutdown=True)
    return Counts(store, (OSError, ValkeyError), place_of(url))


def _remove(folder: Path, *, before: float) -> None:
    for file in folder.glob("*"):
        with suppress(FileNotFoundError):  # another process has deleted it
            if file.stat().st_mtime < before:
                file.unlink()
