"""Releases: which index serves, and building another."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.status_codes import HTTP_202_ACCEPTED

from app.wiring import REINDEX, Services
from app.worker_process import WorkerSupervisor
from pipelines.jobs.models import Job, Task, new_id
from pipelines.jobs.queue import Jobs
from pipelines.releases import Proposal, Reindexing, ReleaseSummary
from storage.domain import Value

_ASKING = "asking for a reindex"


class ReleaseList(Value):
    """Newest first; `proposal` says that what is configured differs from what serves."""

    releases: tuple[ReleaseSummary, ...]
    proposal: Proposal | None


class ReleaseController(Controller):
    """`/api/v1/releases`."""

    path = "/releases"
    tags = ("releases",)
    opt = {"right": "ingest"}  # noqa: RUF012 - Litestar declares it so

    @get("/", summary="List releases")
    async def all(self, reindexing: NamedDependency[Reindexing]) -> ReleaseList:
        """The one that serves, and those that are kept or being built; counted is what you may read."""
        return ReleaseList(
            releases=tuple(await reindexing.releases()), proposal=await reindexing.proposal()
        )

    @post("/", summary="Reindex", status_code=HTTP_202_ACCEPTED, opt={"right": "admin"})
    async def reindex(
        self,
        jobs: NamedDependency[Jobs],
        services: NamedDependency[Services],
        working: NamedDependency[WorkerSupervisor],
    ) -> Job:
        """Builds what is configured beside what serves, then lets it serve: a job.

        The one that is queued or running already, where there is one.
        """
        async with services.locks.held(_ASKING):
            task = Task(id=new_id(), kind=REINDEX, corpus=None, arguments={})
            job = await jobs.under_way(REINDEX) or await jobs.submit(task)
        working.begin()
        return job
