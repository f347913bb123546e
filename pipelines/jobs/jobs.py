"""The jobs there are: asked for, watched and cancelled from any process."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pipelines.jobs.job import Course, Job, Status, Task, incoming
from pipelines.jobs.state import COURSE, NOT_OVER, QUEUE, VERSION, WORKFLOW, State
from storage.blobs import Blobs
from storage.errors import InvalidInput, NotFound
from storage.translation import translated

if TYPE_CHECKING:
    from dbos import DBOSClient, WorkflowStatus

_PAUSE = 0.25
_STATUS: dict[str, Status] = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "SUCCESS": "done",
    "CANCELLED": "cancelled",
}


class Jobs:
    """Reads and writes the queue; whoever runs jobs may be another process."""

    def __init__(self, state: State, blobs: Blobs) -> None:
        self.state = state
        self._blobs = blobs
        self._client: DBOSClient | None = None
        self._opening = asyncio.Lock()

    async def submit(self, task: Task) -> Job:
        """Jobs of one corpus are run one after the other, in the order of their ids.

        For on SQLite the queue tells moments apart by the second only.
        """
        client = await self._opened()
        with translated():
            await client.enqueue_async(
                {
                    "workflow_name": WORKFLOW,
                    "queue_name": QUEUE,
                    "workflow_id": str(task.id),
                    "app_version": VERSION,
                    "queue_partition_key": task.corpus or "*",
                },
                task.kind,
                task.corpus,
                task.arguments,
            )
        return await self.get(task.id)

    async def under_way(self, kind: str) -> Job | None:
        """The first of a kind that is not over yet."""
        if not self.state.is_there:
            return None
        client = await self._opened()
        with translated():
            found = await client.list_workflows_async(
                name=WORKFLOW, status=NOT_OVER, load_output=False
            )
        jobs = [await self._job(client, status) for status in found]
        return min((job for job in jobs if job.kind == kind), key=lambda job: job.id, default=None)

    async def recent(self, limit: int = 50, offset: int = 0) -> list[Job]:
        """Last asked for first; none when nothing ever was."""
        if not self.state.is_there:
            return []
        client = await self._opened()
        with translated():
            found = await client.list_workflows_async(
                name=WORKFLOW, limit=limit, offset=offset, sort_desc=True
            )
        jobs = [await self._job(client, status) for status in found]
        return sorted(jobs, key=lambda job: job.id, reverse=True)

    async def get(self, job_id: UUID) -> Job:
        """Raises `NotFound`."""
        if not self.state.is_there:
            raise NotFound("job", job_id)
        client = await self._opened()
        with translated():
            found = await client.list_workflows_async(name=WORKFLOW, workflow_ids=[str(job_id)])
        if not found:
            raise NotFound("job", job_id)
        return await self._job(client, found[0])

    async def cancel(self, job_id: UUID) -> Job:
        """What runs it stops within a second or two; raises `NotFound`, or `InvalidInput` if over."""
        job = await self.get(job_id)
        if job.is_over:
            raise InvalidInput(f"The job is {job.status}: there is nothing to cancel.")
        client = await self._opened()
        with translated():
            await client.cancel_workflow_async(str(job_id))
        await self._blobs.remove(incoming(job_id))
        return await self.get(job_id)

    async def watch(self, job_id: UUID) -> AsyncGenerator[Job]:
        """The job now, and each time it has come further; ends when it is over."""
        told = await self.get(job_id)
        yield told
        while not told.is_over:
            await asyncio.sleep(_PAUSE)
            job = await self.get(job_id)
            if job != told:
                told = job
                yield told

    async def close(self) -> None:
        """Lets go of the database."""
        client, self._client = self._client, None
        if client:
            await asyncio.to_thread(client.destroy)

    async def _opened(self) -> "DBOSClient":
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self.state.open)
            return self._client

    async def _job(self, client: "DBOSClient", status: "WorkflowStatus") -> Job:
        outcome: dict[str, Any] = status.output or {}
        told: dict[str, Any] | None = outcome.get("course")
        if told is None and status.status != "ENQUEUED":
            with translated():
                told = await client.get_event_async(status.workflow_id, COURSE, 0)
        return _job(status, outcome, Course.model_validate(told) if told else None)


def _job(status: "WorkflowStatus", outcome: dict[str, Any], course: Course | None) -> Job:
    assert status.input is not None
    kind, corpus, _ = status.input["args"]
    error: str | None = outcome.get("error")
    now = "failed" if error else _STATUS.get(status.status, "failed")
    if now == "failed" and not error:
        error = "Something went wrong in Ibid itself; the log says what."
    at = course or Course(phase="queued", at=_moment(status.created_at))
    return Job(
        id=UUID(status.workflow_id),
        kind=kind,
        corpus=corpus,
        status=now,
        phase="queued" if now == "queued" else at.phase,
        done=at.done,
        total=at.total,
        failures=at.failures,
        report=outcome.get("report"),
        error=error,
        created_at=_moment(status.created_at),
        updated_at=max(at.at, _moment(status.updated_at)),
    )


def _moment(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
