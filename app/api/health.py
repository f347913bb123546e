"""Endpoints for health probes: whether the server is up, and whether it can answer."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from litestar import Controller, Request, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery

from app.api.allowed_hosts import ANY_HOST
from app.api.auth import sign_in
from app.api.shutdown import ShutdownMiddleware
from app.retrieval.search import Search
from app.wiring import Services
from storage.domain import Value
from storage.errors import ServerStopping


class Health(Value):
    """The state of the server. `release` is the active index, or null before anything was ingested."""

    status: str
    release: str | None = None


class DatabaseProbe:
    """A check whether the database answers. It caches success and shares one query among callers."""

    def __init__(self, seconds: float = 30) -> None:
        self._seconds = seconds
        self._valid_until = 0.0
        self._task: asyncio.Task[object] | None = None

    async def check(self, query: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Await `query` unless it succeeded recently. Raise its errors; they are not cached."""
        if time.monotonic() < self._valid_until:
            return
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(query())
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._task)
        self._valid_until = time.monotonic() + self._seconds


class HealthController(Controller):
    """`/health`, for load balancers and people."""

    path = "/health"
    tags = ("health",)
    opt = ANY_HOST

    @get("/live", summary="Check whether the process runs", sync_to_thread=False)
    def live(self) -> Health:
        """Return at once, without using any service."""
        return Health(status="live")

    @get("/ready", summary="Check whether the server can answer")
    async def ready(
        self,
        search: NamedDependency[Search],
        services: NamedDependency[Services],
        state: State,
        request: Request[Any, Any, Any],
        database: FromQuery[bool] = False,
    ) -> Health:
        """Ask the vector engine for the active index and, with `database=true`, check the SQL database.

        A database that is billed while it is active would never suspend if every probe queried it. So
        `database=true` needs sign-in where sign-in is on, and success is cached for 30 seconds.
        """
        shutdown: ShutdownMiddleware = state.shutdown
        if shutdown.has_begun:
            raise ServerStopping("The server is stopping.")
        if database:
            if state.signs_in:
                await sign_in(request)
            probe: DatabaseProbe = state.probe
            await probe.check(services.database.revision)
        return Health(status="ready", release=await search.serving_release())
