"""Where requests are counted: in each process, in files for those of a machine, on a server for all."""

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
from storage.addresses import place as place_of
from storage.errors import InvalidInput

_log = logging.getLogger("ibid.limits")

PERIOD = 60
"""Seconds after which what was counted is over."""
_REST = 10.0
"""Seconds for which a store that failed is left alone: every request would wait for it in vain."""
_PATIENCE = 1.0
"""Seconds that a request waits for a server."""


class FileCounts(FileStore):
    """One file for each user and key."""

    async def delete_expired(self) -> None:
        """By age: Litestar's own reads every file, and stops at one that a killed process left."""
        await asyncio.to_thread(_remove, Path(self.path), before=time.time() - PERIOD)


class Counts(MemoryStore):
    """Counts in a store that processes share; in this process without one, and while it fails.

    To let in everybody uncounted, or nobody, would make the store's failure worse than it is.
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
        """What was counted within the period."""
        if shared := self._at_hand():
            with self._trial():
                return await shared.get(key, renew_for)
        return await super().get(key, renew_for)

    async def set(
        self, key: str, value: str | bytes, expires_in: int | timedelta | None = None
    ) -> None:
        """The new count; once in a period, what is over goes."""
        if time.monotonic() >= self._swept + PERIOD:
            self._swept = time.monotonic()
            await self.delete_expired()
        if shared := self._at_hand():
            with self._trial():
                return await shared.set(key, value, expires_in)
        return await super().set(key, value, expires_in)

    async def delete_expired(self) -> None:
        """A server forgets by itself."""
        await super().delete_expired()
        if isinstance(self._shared, FileCounts):
            with self._trial():
                await self._shared.delete_expired()

    async def is_shared(self) -> bool:
        """Whether others find what is counted here, tried for real."""
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
            # The error's text may hold what the URL holds.
            _log.warning(
                "rate_limit_store_failed",
                extra={
                    "store": self.place,
                    "error": type(error).__name__,
                    "reason": "this process counts for itself",
                },
            )


def build_counts(settings: Settings) -> Counts:
    """Connects to nothing yet; raises `InvalidInput` when what is set cannot be used."""
    if not settings.rate_limit_store:
        return Counts()
    if settings.rate_limit_store == "file":
        folder = settings.ibid_home.absolute() / "limits"
        return Counts(FileCounts(folder), (OSError, msgspec.DecodeError), str(folder))
    return _on_server(settings.rate_limit_store)


def _on_server(url: str) -> Counts:
    try:
        from litestar.stores.valkey import ValkeyStore  # noqa: PLC0415 - an extra
        from valkey.asyncio import ConnectionPool, Valkey  # noqa: PLC0415
        from valkey.exceptions import ValkeyError  # noqa: PLC0415
    except ImportError as error:
        raise InvalidInput(
            "RATE_LIMIT_STORE names a server, which needs the package valkey: install ibid[redis]."
        ) from error
    options = {"socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE}
    if url.startswith("rediss:"):
        options["ssl_check_hostname"] = True  # it would take a certificate of any host
    try:
        pool = ConnectionPool.from_url(url, **options)
        pool.make_connection()
    except (TypeError, ValueError) as error:
        raise InvalidInput("RATE_LIMIT_STORE is no address of a Redis or Valkey.") from error
    store = ValkeyStore(Valkey(connection_pool=pool), "ibid", handle_client_shutdown=True)
    return Counts(store, (OSError, ValkeyError), place_of(url))


def _remove(folder: Path, *, before: float) -> None:
    for file in folder.glob("*"):
        with suppress(FileNotFoundError):  # another process was quicker
            if file.stat().st_mtime < before:
                file.unlink()
