"""The job queue: any process can submit, watch and cancel jobs."""

import asyncio
from collections.abc import AsyncGenerator
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pipelines.jobs.access import access_of
from pipelines.jobs.models import ASKED_BY, Job, JobProgress, Status, Task, asked_at, incoming
from pipelines.jobs.store import COURSE, NOT_OVER, QUEUE, VERSION, WORKFLOW, JobStore
from storage.blobs import Blobs
from storage.domain import LOCAL, Principal
from storage.errors import InvalidInput, NotFound, for_clients
from storage.logs import REQUEST_ID
from storage.sql.database import Database
from storage.sql.driver_errors import translated

if TYPE_CHECKING:
    from dbos import DBOSClient, WorkflowStatus

_PAUSE = 0.25
_PAGE = 200
"""Number of jobs in one page of a listing."""
_EVERY_CORPUS = "*"
"""The queue partition of jobs for all corpora; it is not a valid name of a corpus."""
_STATUS: dict[str, Status] = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "SUCCESS": "done",
    "CANCELLED": "cancelled",
}


class Jobs:
    """Reads and writes the queue; the workers may run in other processes.

    Users see the jobs that they submitted and those of corpora that they may edit. Admins see all jobs.
    """

    def __init__(
        self, state: JobStore, blobs: Blobs, database: Database, principal: Principal = LOCAL
    ) -> None:
        self.state = state
        self._blobs = blobs
        self._database = database
        self._principal = principal
        self._queue = _Queue(state)

    def acting_for(self, principal: Principal) -> "Jobs":
        """Return a copy for another principal that shares the connection."""
        other = copy(self)
        other._principal = principal  # noqa: SLF001 - it is one of us
        return other

    async def submit(self, task: Task) -> Job:
        """Add a task to the queue and return its job.

        Jobs of one corpus run one at a time, in the order of their IDs: on SQLite the timestamps of the
        queue have a resolution of only one second.
        """
        client = await self._queue.opened()
        with translated():
            await client.enqueue_async(
                {
                    "workflow_name": WORKFLOW,
                    "queue_name": QUEUE,
                    "workflow_id": str(task.id),
                    "app_version": VERSION,
                    "queue_partition_key": task.corpus or _EVERY_CORPUS,
                    "authenticated_user": self._principal.name,
                },
                task.kind,
                task.corpus,
                {**task.arguments, ASKED_BY: REQUEST_ID.get()},
            )
        return await self.get(task.id)

    async def under_way(self, kind: str) -> Job | None:
        """Return the oldest unfinished job of a kind, or None."""
        if not self.state.is_there:
            return None
        client = await self._queue.opened()
        found = await _listed(client, status=NOT_OVER, load_output=False)
        jobs = [await self._job(client, status) for status in found]
        return min((job for job in jobs if job.kind == kind), key=lambda job: job.id, default=None)

    async def recent(self, limit: int = 50, offset: int = 0) -> list[Job]:
        """Return the jobs that the principal may see, newest first."""
        if not self.state.is_there:
            return []
        client = await self._queue.opened()
        wanted = await self._wanted(client, limit, offset)
        found = await _listed(client, workflow_ids=wanted) if wanted else []
        jobs = [await self._job(client, status) for status in found]
        return sorted(jobs, key=lambda job: job.id, reverse=True)

    async def get(self, job_id: UUID) -> Job:
        """Return a job; raise `NotFound` if there is none or the principal may not see it."""
        if not self.state.is_there:
            raise NotFound("job", job_id)
        client = await self._queue.opened()
        found = await _listed(client, workflow_ids=[str(job_id)])
        access = await access_of(self._principal, self._database)
        if not found or not access.opens(*_whose(found[0])):
            raise NotFound("job", job_id)
        return await self._job(client, found[0])

    async def cancel(self, job_id: UUID) -> Job:
        """Cancel a job; its worker stops within a second or two.

        Raise `NotFound` like `get`, and `InvalidInput` if the job is over.
        """
        job = await self.get(job_id)
        if job.is_over:
            raise InvalidInput(f"The job cannot be cancelled: it is {job.status}.")
        client = await self._queue.opened()
        with translated():
            await client.cancel_workflow_async(str(job_id))
        await self._blobs.remove(incoming(job_id))
        return await self.get(job_id)

    async def watch(self, job_id: UUID) -> AsyncGenerator[Job]:
        """Yield the job now and after each change.

        End when the job is over, and when the principal may no longer see it.
        """
        told = await self.get(job_id)
        yield told
        while not told.is_over:
            await asyncio.sleep(_PAUSE)
            try:
                job = await self.get(job_id)
            except NotFound:
                return
            if job != told:
                told = job
                yield told

    async def close(self) -> None:
        """Close the connection to the job store."""
        await self._queue.close()

    async def _wanted(self, client: "DBOSClient", limit: int, offset: int) -> list[str]:
        """Return the IDs of one page of the visible jobs; invisible jobs do not count for `offset`."""
        access, start, seen = await access_of(self._principal, self._database), 0, list[str]()
        while len(seen) < offset + limit:
            page = await _listed(
                client,
                limit=_PAGE,
                offset=start,
                sort_desc=True,
                load_input=False,
                load_output=False,
            )
            seen += [one.workflow_id for one in page if access.opens(*_whose(one))]
            if len(page) < _PAGE:
                break
            start += _PAGE
        return seen[offset : offset + limit]

    async def _job(self, client: "DBOSClient", status: "WorkflowStatus") -> Job:
        outcome: dict[str, Any] = status.output or {}
        told: dict[str, Any] | None = outcome.get("course")
        if told is None and status.status != "ENQUEUED":
            with translated():
                told = await client.get_event_async(status.workflow_id, COURSE, 0)
        job = _job(status, outcome, JobProgress.model_validate(told) if told else None)
        if job.error is None or "admin" in self._principal.rights:
            return job
        return job.model_copy(update={"error": for_clients(job.error)})


class _Queue:
    """A connection to the job store, opened on first use and shared by all principals."""

    def __init__(self, state: JobStore) -> None:
        self._state = state
        self._client: DBOSClient | None = None
        self._opening = asyncio.Lock()

    async def opened(self) -> "DBOSClient":
        """Return the client, opened if necessary; raise `DatabaseUnavailable`."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._state.open)
            return self._client

    async def close(self) -> None:
        """Close the client; the next call of `opened` opens a new one."""
        client, self._client = self._client, None
        if client:
            await asyncio.to_thread(client.destroy)


async def _listed(client: "DBOSClient", **options: Any) -> "list[WorkflowStatus]":
    with translated():
        return await client.list_workflows_async(name=WORKFLOW, **options)


def _whose(status: "WorkflowStatus") -> tuple[str | None, str | None, datetime]:
    """Return the submitter of a job, its corpus and the submission time.

    The time comes from the ID, because the queue may store it with a resolution of one second only.
    """
    asked = asked_at(UUID(status.workflow_id))
    return status.authenticated_user, status.queue_partition_key, asked


def _job(status: "WorkflowStatus", outcome: dict[str, Any], course: JobProgress | None) -> Job:
    assert status.input is not None
    kind, corpus, _ = status.input["args"]
    error: str | None = outcome.get("error")
    now = "failed" if error else _STATUS.get(status.status, "failed")
    if now == "failed" and not error:
        error = "An internal error occurred. See the log for details."
    at = course or JobProgress(phase="queued", at=_moment(status.created_at))
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
