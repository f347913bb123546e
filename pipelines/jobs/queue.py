"""The job queue: any process can submit, watch and cancel jobs."""

import asyncio
from collections.abc import AsyncGenerator
from copy import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pipelines.jobs.access import get_job_access
from pipelines.jobs.models import (
    REQUEST_ID_KEY,
    Job,
    JobProgress,
    Status,
    Task,
    incoming_prefix,
    submitted_at,
)
from pipelines.jobs.store import (
    PROGRESS_EVENT,
    QUEUE_NAME,
    UNFINISHED_STATUSES,
    VERSION,
    WORKFLOW_NAME,
    JobStore,
)
from storage.blobs import Blobs
from storage.domain import LOCAL, Principal
from storage.errors import InvalidInput, NotFound, redact_for_clients
from storage.logs import REQUEST_ID
from storage.sql.database import Database
from storage.sql.driver_errors import translate_driver_errors

if TYPE_CHECKING:
    from dbos import DBOSClient, WorkflowStatus

_POLL_SECONDS = 0.25
_PAGE = 200
"""Number of jobs in one page of a listing."""
_ALL_CORPORA = "*"
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
        self, store: JobStore, blobs: Blobs, database: Database, principal: Principal = LOCAL
    ) -> None:
        self.store = store
        self._blobs = blobs
        self._database = database
        self._principal = principal
        self._queue = _Queue(store)

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
        client = await self._queue.get_client()
        with translate_driver_errors():
            await client.enqueue_async(
                {
                    "workflow_name": WORKFLOW_NAME,
                    "queue_name": QUEUE_NAME,
                    "workflow_id": str(task.id),
                    "app_version": VERSION,
                    "queue_partition_key": task.corpus or _ALL_CORPORA,
                    "authenticated_user": self._principal.name,
                },
                task.kind,
                task.corpus,
                {**task.arguments, REQUEST_ID_KEY: REQUEST_ID.get()},
            )
        return await self.get(task.id)

    async def oldest_unfinished(self, kind: str) -> Job | None:
        """Return the oldest unfinished job of a kind, or None."""
        if not self.store.may_have_jobs:
            return None
        client = await self._queue.get_client()
        found = await _list_workflows(client, status=UNFINISHED_STATUSES, load_output=False)
        jobs = [await self._load_job(client, status) for status in found]
        return min((job for job in jobs if job.kind == kind), key=lambda job: job.id, default=None)

    async def recent(self, limit: int = 50, offset: int = 0) -> list[Job]:
        """Return the jobs that the principal may see, newest first."""
        if not self.store.may_have_jobs:
            return []
        client = await self._queue.get_client()
        job_ids = await self._visible_ids(client, limit, offset)
        found = await _list_workflows(client, workflow_ids=job_ids) if job_ids else []
        jobs = [await self._load_job(client, status) for status in found]
        return sorted(jobs, key=lambda job: job.id, reverse=True)

    async def get(self, job_id: UUID) -> Job:
        """Return a job; raise `NotFound` if there is none or the principal may not see it."""
        if not self.store.may_have_jobs:
            raise NotFound("job", job_id)
        client = await self._queue.get_client()
        found = await _list_workflows(client, workflow_ids=[str(job_id)])
        access = await get_job_access(self._principal, self._database)
        if not found or not access.may_see(*_job_owner(found[0])):
            raise NotFound("job", job_id)
        return await self._load_job(client, found[0])

    async def cancel(self, job_id: UUID) -> Job:
        """Cancel a job; its worker stops within a second or two.

        Raise `NotFound` like `get`, and `InvalidInput` if the job is over.
        """
        job = await self.get(job_id)
        if job.is_over:
            raise InvalidInput(f"The job cannot be cancelled: it is {job.status}.")
        client = await self._queue.get_client()
        with translate_driver_errors():
            await client.cancel_workflow_async(str(job_id))
        await self._blobs.remove(incoming_prefix(job_id))
        return await self.get(job_id)

    async def watch(self, job_id: UUID) -> AsyncGenerator[Job]:
        """Yield the job now and after each change.

        End when the job is over, and when the principal may no longer see it.
        """
        latest = await self.get(job_id)
        yield latest
        while not latest.is_over:
            await asyncio.sleep(_POLL_SECONDS)
            try:
                job = await self.get(job_id)
            except NotFound:
                return
            if job != latest:
                latest = job
                yield latest

    async def close(self) -> None:
        """Close the connection to the job store."""
        await self._queue.close()

    async def _visible_ids(self, client: "DBOSClient", limit: int, offset: int) -> list[str]:
        """Return the IDs of one page of the visible jobs; invisible jobs do not count for `offset`."""
        access, start, seen = await get_job_access(self._principal, self._database), 0, list[str]()
        while len(seen) < offset + limit:
            page = await _list_workflows(
                client,
                limit=_PAGE,
                offset=start,
                sort_desc=True,
                load_input=False,
                load_output=False,
            )
            seen += [
                workflow.workflow_id for workflow in page if access.may_see(*_job_owner(workflow))
            ]
            if len(page) < _PAGE:
                break
            start += _PAGE
        return seen[offset : offset + limit]

    async def _load_job(self, client: "DBOSClient", status: "WorkflowStatus") -> Job:
        outcome: dict[str, Any] = status.output or {}
        progress: dict[str, Any] | None = outcome.get("course")
        if progress is None and status.status != "ENQUEUED":
            with translate_driver_errors():
                progress = await client.get_event_async(status.workflow_id, PROGRESS_EVENT, 0)
        job = _build_job(
            status, outcome, JobProgress.model_validate(progress) if progress else None
        )
        if job.error is None or "admin" in self._principal.rights:
            return job
        return job.model_copy(update={"error": redact_for_clients(job.error)})


class _Queue:
    """A connection to the job store, opened on first use and shared by all principals."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._client: DBOSClient | None = None
        self._opening = asyncio.Lock()

    async def get_client(self) -> "DBOSClient":
        """Return the client, opened if necessary; raise `DatabaseUnavailable`."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._store.open)
            return self._client

    async def close(self) -> None:
        """Close the client; the next call of `get_client` opens a new one."""
        client, self._client = self._client, None
        if client:
            await asyncio.to_thread(client.destroy)


async def _list_workflows(client: "DBOSClient", **options: Any) -> "list[WorkflowStatus]":
    with translate_driver_errors():
        return await client.list_workflows_async(name=WORKFLOW_NAME, **options)


def _job_owner(status: "WorkflowStatus") -> tuple[str | None, str | None, datetime]:
    """Return the submitter of a job, its corpus and the submission time.

    The time comes from the ID, because the queue may store it with a resolution of one second only.
    """
    requested_at = submitted_at(UUID(status.workflow_id))
    return status.authenticated_user, status.queue_partition_key, requested_at


def _build_job(
    status: "WorkflowStatus", outcome: dict[str, Any], progress: JobProgress | None
) -> Job:
    assert status.input is not None
    kind, corpus, _ = status.input["args"]
    error: str | None = outcome.get("error")
    now = "failed" if error else _STATUS.get(status.status, "failed")
    if now == "failed" and not error:
        error = "An internal error occurred. See the log for details."
    at = progress or JobProgress(phase="queued", at=_to_datetime(status.created_at))
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
        created_at=_to_datetime(status.created_at),
        updated_at=max(at.at, _to_datetime(status.updated_at)),
    )


def _to_datetime(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
