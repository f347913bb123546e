"""Endpoints for jobs: list, watch and cancel."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK

from app.api.pagination import Offset
from app.api.sse import encode_event, sse_response
from pipelines.jobs.models import Job
from pipelines.jobs.queue import Jobs
from storage.domain import Value


class JobList(Value):
    """Jobs, newest first."""

    jobs: tuple[Job, ...]


class JobController(Controller):
    """`/api/v1/jobs`. Users see the jobs that they submitted and the jobs of corpora that they may edit."""

    path = "/jobs"
    tags = ("jobs",)
    opt = {"right": None}  # noqa: RUF012 - Litestar declares it so

    @get("/", summary="List jobs")
    async def recent(
        self,
        jobs: NamedDependency[Jobs],
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        offset: Offset = 0,
    ) -> JobList:
        """List jobs, newest first."""
        return JobList(jobs=tuple(await jobs.recent(limit, offset)))

    @get(
        "/{job_id:uuid}",
        summary="Read or watch a job",
        responses={HTTP_200_OK: ResponseSpec(Job, description="The current state of the job")},
    )
    async def read(
        self,
        job_id: FromPath[UUID],
        jobs: NamedDependency[Jobs],
        request: Request[object, object, State],
    ) -> Response[Job] | Stream:
        """Return a job as JSON, or as a stream of its progress if the client accepts `text/event-stream`."""
        if "text/event-stream" not in request.headers.get("accept", ""):
            return Response(await jobs.get(job_id))
        await jobs.get(job_id)
        return sse_response(_frames(jobs.watch(job_id)), request.app.state.heartbeat)

    @delete("/{job_id:uuid}", summary="Cancel a job", status_code=HTTP_200_OK)
    async def cancel(self, job_id: FromPath[UUID], jobs: NamedDependency[Jobs]) -> Job:
        """Cancel a job. What it has ingested so far stays."""
        return await jobs.cancel(job_id)


async def _frames(jobs: AsyncGenerator[Job, Any]) -> AsyncGenerator[bytes]:
    """Yield `progress` events while the job runs, and at its end an event named after its status."""
    async with aclosing(jobs):
        async for job in jobs:
            event = job.status if job.is_over else "progress"
            yield encode_event(job.model_dump_json(), event)
