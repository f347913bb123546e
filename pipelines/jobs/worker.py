"""The worker that runs jobs. It is a global variable, because DBOS registers workflows per process."""

import asyncio
import logging
import re
import time
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from dbos import DBOS, DBOSPortableJSONSerializer
from dbos._error import DBOSAwaitedWorkflowCancelledError, DBOSWorkflowCancelledError
from dbos._logger import dbos_logger

from pipelines.jobs.models import (
    ASKED_BY,
    INCOMING,
    OpenKinds,
    ProgressReporter,
    Task,
    asked_at,
    incoming,
)
from pipelines.jobs.store import COURSE, NAME, NOT_OVER, QUEUE, VERSION, WORKFLOW, JobStore
from storage.blobs import Blobs
from storage.errors import IbidError, InvalidInput
from storage.locks import Locks, Release
from storage.logs import REQUEST_ID, describe, log_failure
from storage.sql.driver_errors import translated

_log = logging.getLogger("ibid.jobs")

_AT_ONCE = 2
"""Maximum number of jobs that one process runs at the same time; they are of different corpora."""
_STARTS = 60
"""Maximum number of jobs that all workers together start in a minute."""
_MOST_ATTEMPTS = 10
"""A job that has killed its process this many times fails."""
_POLL = 0.5
_TELL = 0.3
_LOOK = 5.0
_KEPT = timedelta(days=30)
"""How long a finished job is kept, counted from its submission."""
_LOST = timedelta(days=1)
"""Files of a job that is not in the queue are deleted at this age: a killed server left them."""
_FORGETTING = 3600.0
_OVER = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]

_CANCELLED = re.compile(r"Asyncio task cancelled|Workflow \S+ (?:was cancelled|is no longer owned)")
"""Redundant log messages of DBOS when a job is cancelled or stopped."""

_working: "Worker | None" = None


class Worker:
    """Runs jobs from the queue and takes over the jobs of dead workers."""

    def __init__(self, state: JobStore, locks: Locks, blobs: Blobs, open_kinds: OpenKinds) -> None:
        self._state = state
        self._locks = locks
        self._blobs = blobs
        self._open_kinds = open_kinds
        self._id = str(uuid4())
        self._alive: Release | None = None
        self._looking: asyncio.Task[None] | None = None
        self._in_hand = 0
        self._last = time.monotonic()

    async def start(self) -> None:
        """Start to run jobs; raise `InvalidInput` if this process already has a worker."""
        global _working  # noqa: PLW0603
        if _working is not None:
            raise InvalidInput(
                "This process already runs a worker. Start another process for another worker."
            )
        _working = self
        try:
            # Held until this process ends, even by a crash, so that other workers can detect that.
            self._alive = await self._locks.take(_lock_of(self._id))
            await asyncio.to_thread(self._launch)
        except BaseException:
            _working = None
            raise
        self._looking = asyncio.create_task(self._look_for_the_dead())

    async def stop(self) -> None:
        """Stop the worker; another worker will finish the jobs that were running."""
        global _working  # noqa: PLW0603
        if self._looking:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await asyncio.to_thread(DBOS.destroy)
        if self._alive:
            await self._alive()
        _working = None

    async def rested(self, seconds: float) -> None:
        """Return after so many seconds without jobs; never return if the job store is shared."""
        while True:
            await asyncio.sleep(_LOOK)
            is_idle = not self._in_hand and time.monotonic() - self._last >= seconds
            if is_idle and not self._state.is_shared and not await asyncio.to_thread(_waiting):
                return

    async def perform(self, task: Task) -> dict[str, Any]:
        """Run a job and return its outcome. An expected error is an outcome as well and is not retried."""
        self._in_hand += 1
        try:
            return await self._performed(task)
        finally:
            self._in_hand -= 1
            self._last = time.monotonic()

    async def _performed(self, task: Task) -> dict[str, Any]:
        log, began = ProgressReporter(), time.monotonic()
        telling = asyncio.create_task(_tell(log))
        outcome: dict[str, Any] = {}
        try:
            async with self._open_kinds() as kinds:
                if task.kind not in kinds:
                    raise InvalidInput(f"There is no handler for jobs of the kind {task.kind!r}.")
                report = await kinds[task.kind].run(task, log)
            outcome["report"] = report.model_dump(mode="json")
        except IbidError as error:
            outcome["error"] = str(error)
            outcome["logged"] = describe(error)
        finally:
            telling.cancel()
            await asyncio.wait([telling])
        outcome["course"] = log.course.model_dump(mode="json")
        outcome["seconds"] = round(time.monotonic() - began, 3)
        return outcome

    async def clear(self, job_id: UUID) -> None:
        """Delete the files that were sent with the job."""
        await self._blobs.remove(incoming(job_id))

    async def _clear_lost(self) -> None:
        """Delete the files of jobs that were never queued; failures are logged and retried in an hour."""
        try:
            sent = [UUID(name) for name in await self._blobs.names(INCOMING)]
            old = [job_id for job_id in sent if datetime.now(UTC) - asked_at(job_id) > _LOST]
            for job_id in {*old} - await asyncio.to_thread(_unfinished, old):
                await self.clear(job_id)
        except IbidError as error:
            log_failure(_log, "lost_files_not_cleared", error, {})

    def _launch(self) -> None:
        with translated():
            DBOS(
                config={
                    "name": NAME,
                    "system_database_url": self._state.url,
                    "dbos_system_schema": self._state.schema,
                    "application_version": VERSION,
                    "executor_id": self._id,
                    "serializer": DBOSPortableJSONSerializer(),
                    "log_level": "WARNING",
                }
            )
            dbos_logger.addFilter(_take_over)
            DBOS.launch()
            DBOS.register_queue(
                QUEUE,
                worker_concurrency=_AT_ONCE,
                partition_concurrency=1,
                limiter={"limit": _STARTS, "period": 60},
                polling_interval_sec=_POLL,
            )

    async def _look_for_the_dead(self) -> None:
        """Requeue the jobs of workers that no longer hold their lock, and delete old jobs."""
        forgotten = -_FORGETTING
        while True:
            if time.monotonic() - forgotten >= _FORGETTING:
                await asyncio.to_thread(_forget)
                await self._clear_lost()
                forgotten = time.monotonic()
            # In a thread, because DBOS's async calls replace the loop's executor and shut it down.
            for worker in await asyncio.to_thread(_at_work) - {self._id}:
                async with self._locks.tried(_lock_of(worker)) as is_dead:
                    if is_dead:
                        await asyncio.to_thread(_requeue, worker)
            await asyncio.sleep(_LOOK)


@DBOS.workflow(name=WORKFLOW, max_recovery_attempts=_MOST_ATTEMPTS)
async def run_job(kind: str, corpus: str | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a job in two steps, so that its files are deleted only after the outcome is stored."""
    REQUEST_ID.set(arguments.get(ASKED_BY))
    own = {name: value for name, value in arguments.items() if name != ASKED_BY}
    outcome = await _work(kind, corpus, own)
    await _clear()  # not reached if the job was cancelled meanwhile
    _tell_outcome(kind, corpus, outcome)
    return outcome


@DBOS.step(name="work", preemptible=True)
async def _work(kind: str, corpus: str | None, arguments: dict[str, Any]) -> dict[str, Any]:
    assert _working is not None
    task = Task(id=_job_id(), kind=kind, corpus=corpus, arguments=arguments)
    return await _working.perform(task)


@DBOS.step(name="clear")
async def _clear() -> None:
    assert _working is not None
    await _working.clear(_job_id())


def _take_over(record: logging.LogRecord) -> bool:
    """Replace DBOS's log messages about cancelled and failed jobs by Ibid's own."""
    if _CANCELLED.match(record.getMessage()):
        return False
    error = record.exc_info[1] if record.exc_info else None
    if error is None or not record.getMessage().startswith("Exception encountered in"):
        return True
    fields = {"job_id": DBOS.workflow_id}
    if isinstance(error, DBOSWorkflowCancelledError | DBOSAwaitedWorkflowCancelledError):
        _log.info("job_cancelled", extra=fields)
    else:
        log_failure(_log, "job_failed", error, fields)
    return False


def _tell_outcome(kind: str, corpus: str | None, outcome: dict[str, Any]) -> None:
    fields = {"job_id": DBOS.workflow_id, "kind": kind, "corpus": corpus}
    fields |= {"seconds": outcome.get("seconds"), **outcome.get("logged", {})}
    if "error" in outcome:
        _log.warning("job_failed", extra=fields)
    else:
        _log.info("job_completed", extra=fields)


def _at_work() -> set[str]:
    """Return the IDs of the workers of running jobs, dead workers included."""
    running = DBOS.list_workflows(
        status="PENDING", name=WORKFLOW, load_input=False, load_output=False
    )
    return {job.executor_id for job in running if job.executor_id}


def _waiting() -> bool:
    """Return whether any job is queued or running."""
    return bool(DBOS.list_workflows(status=NOT_OVER, load_input=False, load_output=False, limit=1))


def _requeue(worker: str) -> None:
    """Put the jobs of a dead worker back into the queue.

    `resume_workflow` is not safe if two workers call it at once, and it does not count the attempts.
    """
    DBOS._recover_pending_workflows([worker])  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _forget() -> None:
    """Delete old jobs that are over; otherwise the store would keep every job for ever."""
    before = (datetime.now(UTC) - _KEPT).isoformat()
    old = DBOS.list_workflows(
        status=_OVER, name=WORKFLOW, end_time=before, load_input=False, load_output=False
    )
    if old:
        DBOS.delete_workflows([job.workflow_id for job in old])


def _unfinished(job_ids: Collection[UUID]) -> set[UUID]:
    if not job_ids:
        return set()
    known = DBOS.list_workflows(
        workflow_ids=[*map(str, job_ids)], load_input=False, load_output=False
    )
    return {UUID(job.workflow_id) for job in known if job.status not in _OVER}


def _job_id() -> UUID:
    assert DBOS.workflow_id is not None
    return UUID(DBOS.workflow_id)


async def _tell(log: ProgressReporter) -> None:
    told = None
    while True:
        if log.course is not told:
            told = log.course
            await DBOS.set_event_async(COURSE, told.model_dump(mode="json"))
        await asyncio.sleep(_TELL)


def _lock_of(worker: str) -> str:
    return f"worker {worker}"
