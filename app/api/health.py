"""Whether the server is up, and whether it can answer."""

from litestar import Controller, get
from litestar.di import NamedDependency

from app.search import Search
from storage.domain import Value


class Health(Value):
    """`release` is the index that serves; null before anything was ingested."""

    status: str
    release: str | None = None


class HealthController(Controller):
    """`/health`: for load balancers and people."""

    path = "/health"
    tags = ("health",)

    @get("/live", summary="Is the process up?", sync_to_thread=False)
    def live(self) -> Health:
        """Touches nothing."""
        return Health(status="live")

    @get("/ready", summary="Can it answer?")
    async def ready(self, search: NamedDependency[Search]) -> Health:
        """Asks the vector engine which index serves."""
        return Health(status="ready", release=await search.release())
