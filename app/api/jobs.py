"""Uploads, and the jobs that ingest them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Request, Response, delete, get, post
from litestar.datastructures import State, UploadFile
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi import ResponseSpec
from litestar.params import Body, FromPath, QueryParameter
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_202_ACCEPTED

from app.api.pagination import Offset
from app.api.sse import frame, framed
from app.corpora.service import Library
from app.worker_process import WorkerSupervisor
from pipelines.jobs.models import Job
from pipelines.jobs.queue import Jobs
from pipelines.uploads.filenames import Sent
from pipelines.uploads.receiver import Intake
from storage.domain import Value


@dataclass
class UploadForm:
    """Files, or zip archives of files, and the corpus they go into."""

    files: list[UploadFile] = field(default_factory=list[UploadFile])
    corpus: str = "default"
    base_url: str | None = None


class JobList(Value):
    """Jobs, last asked for first."""

    jobs: tuple[Job, ...]


class UploadController(Controller):
    """`POST /api/v1/sources`: apart, for its bodies may be larger."""

    @post("/sources", tags=["sources"], summary="Upload sources", status_code=HTTP_202_ACCEPTED)
    async def upload(
        self,
        data: Annotated[UploadForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        intake: NamedDependency[Intake],
        library: NamedDependency[Library],
        working: NamedDependency[WorkerSupervisor],
    ) -> Job:
        """Kept at once, ingested by a job; a name that was sent before is replaced."""
        await library.check_open(data.corpus)
        sent = [Sent(file.filename, file.file) for file in data.files]
        job = await intake.receive(sent, data.corpus, data.base_url or None)
        working.begin()
        return job


def uploads_up_to(limit: int) -> type[UploadController]:
    """Its bodies may have more bytes than those of all else."""

    class Limited(UploadController):
        request_max_body_size = limit

    return Limited


class JobController(Controller):
    """`/api/v1/jobs`: for those who asked for them, or may edit their corpus; else they are not there."""

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
        """Last asked for first."""
        return JobList(jobs=tuple(await jobs.recent(limit, offset)))

    @get(
        "/{job_id:uuid}",
        summary="Read or watch a job",
        responses={HTTP_200_OK: ResponseSpec(Job, description="The job just now")},
    )
    async def read(
        self,
        job_id: FromPath[UUID],
        jobs: NamedDependency[Jobs],
        request: Request[object, object, State],
    ) -> Response[Job] | Stream:
        """JSON; or, to a client that accepts `text/event-stream`, the job as it goes on."""
        if "text/event-stream" not in request.headers.get("accept", ""):
            return Response(await jobs.get(job_id))
        await jobs.get(job_id)
        return framed(_frames(jobs.watch(job_id)), request.app.state.heartbeat)

    @delete("/{job_id:uuid}", summary="Cancel a job", status_code=HTTP_200_OK)
    async def cancel(self, job_id: FromPath[UUID], jobs: NamedDependency[Jobs]) -> Job:
        """What was ingested by then stays."""
        return await jobs.cancel(job_id)


async def _frames(jobs: AsyncGenerator[Job, Any]) -> AsyncGenerator[bytes]:
    """`progress` while it goes on; the last one is named by how it ended."""
    async with aclosing(jobs):
        async for job in jobs:
            event = job.status if job.is_over else "progress"
            yield frame(event, job.model_dump_json())
