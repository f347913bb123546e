"""Endpoints for releases: list them, and build a new one."""

from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.status_codes import HTTP_202_ACCEPTED

from app.wiring import REINDEX, Services
from app.worker_process import WorkerSupervisor
from pipelines.jobs.models import Job, Task, new_id
from pipelines.jobs.queue import Jobs
from pipelines.releases.service import Proposal, ReleaseService, ReleaseSummary
from storage.domain import Value

_REINDEX_LOCK = "asking for a reindex"


class ReleaseList(Value):
    """Releases, newest first. `proposal` is set if the configuration differs from the active release."""

    releases: tuple[ReleaseSummary, ...]
    proposal: Proposal | None


class ReleaseController(Controller):
    """`/api/v1/releases`."""

    path = "/releases"
    tags = ("releases",)
    opt = {"right": "ingest"}  # noqa: RUF012 - Litestar declares it so

    @get("/", summary="List releases")
    async def all(self, reindexing: NamedDependency[ReleaseService]) -> ReleaseList:
        """List the active release and those that are kept or being built. Counts cover what you may read."""
        return ReleaseList(
            releases=tuple(await reindexing.releases()), proposal=await reindexing.proposal()
        )

    @post(
        "/",
        summary="Build and activate a release",
        status_code=HTTP_202_ACCEPTED,
        opt={"right": "admin"},
    )
    async def reindex(
        self,
        jobs: NamedDependency[Jobs],
        services: NamedDependency[Services],
        supervisor: NamedDependency[WorkerSupervisor],
    ) -> Job:
        """Submit a job that builds a release with the current configuration and then activates it.

        If such a job is already queued or running, return that one.
        """
        async with services.locks.hold(_REINDEX_LOCK):
            task = Task(id=new_id(), kind=REINDEX, corpus=None, arguments={})
            job = await jobs.oldest_unfinished(REINDEX) or await jobs.submit(task)
        supervisor.start_worker()
        return job
