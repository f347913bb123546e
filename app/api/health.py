"""Whether the server is up, and whether it can answer."""

from litestar import Controller, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import FromQuery

from app.api.hosts import ANY_HOST
from app.api.shutdown import Shutdown
from app.search import Search
from app.wiring import Services
from storage.domain import Value
from storage.errors import ServerStopping


class Health(Value):
    """`release` is the index that serves; null before anything was ingested."""

    status: str
    release: str | None = None


class HealthController(Controller):
    """`/health`: for load balancers and people."""

    path = "/health"
    tags = ("health",)
    opt = ANY_HOST

    @get("/live", summary="Is the process up?", sync_to_thread=False)
    def live(self) -> Health:
        """Touches nothing."""
        return Health(status="live")

    @get("/ready", summary="Can it answer?")
    async def ready(
        self,
        search: NamedDependency[Search],
        services: NamedDependency[Services],
        state: State,
        database: FromQuery[bool] = False,
    ) -> Health:
        """Asks the vector engine which index serves; the SQL database only with `database=true`.

        A database that is billed while it is awake would never sleep if every probe woke it.
        """
        shutdown: Shutdown = state.shutdown
        if shutdown.has_begun:
            raise ServerStopping("The server is stopping.")
        if database:
            await services.database.revision()
        return Health(status="ready", release=await search.release())
