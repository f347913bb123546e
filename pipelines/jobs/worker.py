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
    INCOMING,
    REQUEST_ID_KEY,
    OpenJobHandlers,
    ProgressReporter,
    Task,
    incoming_prefix,
    submitted_at,
)
from pipelines.jobs.store import (
    APPLICATION_NAME,
    PROGRESS_EVENT,
    QUEUE_NAME,
    UNFINISHED_STATUSES,
    VERSION,
    WORKFLOW_NAME,
    JobStore,
)
from storage.blobs import Blobs
from storage.errors import IbidError, InvalidInput
from storage.locks import Locks, Unlock
from storage.logs import REQUEST_ID, describe_error, log_failure
from storage.sql.driver_errors import translate_driver_errors

_log = logging.getLogger("ibid.jobs")

_MAX_CONCURRENT_JOBS = 2
"""Maximum number of jobs that one process runs at the same time; they are of different corpora."""
_MAX_STARTS_PER_MINUTE = 60
"""Maximum number of jobs that all workers together start in a minute."""
_MOST_ATTEMPTS = 10
"""A job that has killed its process this many times fails."""
_POLL = 0.5
_PROGRESS_INTERVAL = 0.3
_CHECK_SECONDS = 5.0
_RETENTION = timedelta(days=30)
"""How long a finished job is kept, counted from its submission."""
_LOST_AGE = timedelta(days=1)
"""Files of a job that is not in the queue are deleted at this age: a killed server left them."""
_CLEANUP_INTERVAL = 3600.0
_FINISHED_STATUSES = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]

_CANCELLED = re.compile(r"Asyncio task cancelled|Workflow \S+ (?:was cancelled|is no longer owned)")
"""Redundant log messages of DBOS when a job is cancelled or stopped."""

_worker: "Worker | None" = None


class Worker:
    """Runs jobs from the queue and takes over the jobs of dead workers."""

    def __init__(
        self, store: JobStore, locks: Locks, blobs: Blobs, open_kinds: OpenJobHandlers
    ) -> None:
        self._store = store
        self._locks = locks
        self._blobs = blobs
        self._open_kinds = open_kinds
        self._id = str(uuid4())
        self._release_lock: Unlock | None = None
        self._recovery: asyncio.Task[None] | None = None
        self._running = 0
        self._last = time.monotonic()

    async def start(self) -> None:
        """Start to run jobs; raise `InvalidInput` if this process already has a worker."""
        global _worker  # noqa: PLW0603
        if _worker is not None:
            raise InvalidInput(
                "This process already runs a worker. Start another process for another worker."
            )
        _worker = self
        try:
            # Held until this process ends, even by a crash, so that other workers can detect that.
            self._release_lock = await self._locks.try_acquire(_worker_lock_name(self._id))
            await asyncio.to_thread(self._launch)
        except BaseException:
            _worker = None
            raise
        self._recovery = asyncio.create_task(self._recover_dead_workers())

    async def stop(self) -> None:
        """Stop the worker; another worker will finish the jobs that were running."""
        global _worker  # noqa: PLW0603
        if self._recovery:
            self._recovery.cancel()
            await asyncio.wait([self._recovery])
        await asyncio.to_thread(DBOS.destroy)
        if self._release_lock:
            await self._release_lock()
        _worker = None

    async def wait_until_idle(self, seconds: float) -> None:
        """Return after `seconds` without jobs; never return if the job store is shared."""
        while True:
            await asyncio.sleep(_CHECK_SECONDS)
            is_idle = not self._running and time.monotonic() - self._last >= seconds
            if is_idle and not self._store.is_shared and not await asyncio.to_thread(_has_jobs):
                return

    async def perform(self, task: Task) -> dict[str, Any]:
        """Run a job and return its outcome. An expected error is an outcome as well and is not retried."""
        self._running += 1
        try:
            return await self._run_handler(task)
        finally:
            self._running -= 1
            self._last = time.monotonic()

    async def _run_handler(self, task: Task) -> dict[str, Any]:
        log, began = ProgressReporter(), time.monotonic()
        reporting = asyncio.create_task(_report_progress(log))
        outcome: dict[str, Any] = {}
        try:
            async with self._open_kinds() as kinds:
                if task.kind not in kinds:
                    raise InvalidInput(f"There is no handler for jobs of the kind {task.kind!r}.")
                report = await kinds[task.kind].run(task, log)
            outcome["report"] = report.model_dump(mode="json")
        except IbidError as error:
            outcome["error"] = str(error)
            outcome["logged"] = describe_error(error)
        finally:
            reporting.cancel()
            await asyncio.wait([reporting])
        outcome["course"] = log.progress.model_dump(mode="json")
        outcome["seconds"] = round(time.monotonic() - began, 3)
        return outcome

    async def remove_files(self, job_id: UUID) -> None:
        """Delete the files that were sent with the job."""
        await self._blobs.remove(incoming_prefix(job_id))

    async def _remove_lost_files(self) -> None:
        """Delete the files of jobs that were never queued; failures are logged and retried in an hour."""
        try:
            job_ids = [UUID(name) for name in await self._blobs.list_names(INCOMING)]
            old = [
                job_id for job_id in job_ids if datetime.now(UTC) - submitted_at(job_id) > _LOST_AGE
            ]
            for job_id in {*old} - await asyncio.to_thread(_unfinished, old):
                await self.remove_files(job_id)
        except IbidError as error:
            log_failure(_log, "lost_files_not_cleared", error, {})

    def _launch(self) -> None:
        with translate_driver_errors():
            DBOS(
                config={
                    "name": APPLICATION_NAME,
                    "system_database_url": self._store.url,
                    "dbos_system_schema": self._store.schema,
                    "application_version": VERSION,
                    "executor_id": self._id,
                    "serializer": DBOSPortableJSONSerializer(),
                    "log_level": "WARNING",
                }
            )
            dbos_logger.addFilter(_replace_dbos_message)
            DBOS.launch()
            DBOS.register_queue(
                QUEUE_NAME,
                worker_concurrency=_MAX_CONCURRENT_JOBS,
                partition_concurrency=1,
                limiter={"limit": _MAX_STARTS_PER_MINUTE, "period": 60},
                polling_interval_sec=_POLL,
            )

    async def _recover_dead_workers(self) -> None:
        """Requeue the jobs of workers that no longer hold their lock, and delete old jobs."""
        forgotten = -_CLEANUP_INTERVAL
        while True:
            if time.monotonic() - forgotten >= _CLEANUP_INTERVAL:
                await asyncio.to_thread(_delete_old_jobs)
                await self._remove_lost_files()
                forgotten = time.monotonic()
            # In a thread, because DBOS's async calls replace the loop's executor and shut it down.
            for worker in await asyncio.to_thread(_running_worker_ids) - {self._id}:
                async with self._locks.try_hold(_worker_lock_name(worker)) as is_dead:
                    if is_dead:
                        await asyncio.to_thread(_requeue, worker)
            await asyncio.sleep(_CHECK_SECONDS)


@DBOS.workflow(name=WORKFLOW_NAME, max_recovery_attempts=_MOST_ATTEMPTS)
async def run_job(kind: str, corpus: str | None, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a job in two steps, so that its files are deleted only after the outcome is stored."""
    REQUEST_ID.set(arguments.get(REQUEST_ID_KEY))
    handler_arguments = {name: value for name, value in arguments.items() if name != REQUEST_ID_KEY}
    outcome = await _work(kind, corpus, handler_arguments)
    await _clear()  # not reached if the job was cancelled meanwhile
    _log_outcome(kind, corpus, outcome)
    return outcome


@DBOS.step(name="work", preemptible=True)
async def _work(kind: str, corpus: str | None, arguments: dict[str, Any]) -> dict[str, Any]:
    assert _worker is not None
    task = Task(id=_job_id(), kind=kind, corpus=corpus, arguments=arguments)
    return await _worker.perform(task)


@DBOS.step(name="clear")
async def _clear() -> None:
    assert _worker is not None
    await _worker.remove_files(_job_id())


def _replace_dbos_message(record: logging.LogRecord) -> bool:
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


def _log_outcome(kind: str, corpus: str | None, outcome: dict[str, Any]) -> None:
    fields = {"job_id": DBOS.workflow_id, "kind": kind, "corpus": corpus}
    fields |= {"seconds": outcome.get("seconds"), **outcome.get("logged", {})}
    if "error" in outcome:
        _log.warning("job_failed", extra=fields)
    else:
        _log.info("job_completed", extra=fields)


def _running_worker_ids() -> set[str]:
    """Return the IDs of the workers of running jobs, dead workers included."""
    running = DBOS.list_workflows(
        status="PENDING", name=WORKFLOW_NAME, load_input=False, load_output=False
    )
    return {job.executor_id for job in running if job.executor_id}


def _has_jobs() -> bool:
    """Return whether any job is queued or running."""
    return bool(
        DBOS.list_workflows(
            status=UNFINISHED_STATUSES, load_input=False, load_output=False, limit=1
        )
    )


def _requeue(worker: str) -> None:
    """Put the jobs of a dead worker back into the queue.

    `resume_workflow` is not safe if two workers call it at once, and it does not count the attempts.
    """
    DBOS._recover_pending_workflows([worker])  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]


def _delete_old_jobs() -> None:
    """Delete old jobs that are over; otherwise the store would keep every job."""
    before = (datetime.now(UTC) - _RETENTION).isoformat()
    old = DBOS.list_workflows(
        status=_FINISHED_STATUSES,
        name=WORKFLOW_NAME,
        end_time=before,
        load_input=False,
        load_output=False,
    )
    if old:
        DBOS.delete_workflows([job.workflow_id for job in old])


def _unfinished(job_ids: Collection[UUID]) -> set[UUID]:
    if not job_ids:
        return set()
    known = DBOS.list_workflows(
        workflow_ids=[*map(str, job_ids)], load_input=False, load_output=False
    )
    return {UUID(job.workflow_id) for job in known if job.status not in _FINISHED_STATUSES}


def _job_id() -> UUID:
    assert DBOS.workflow_id is not None
    return UUID(DBOS.workflow_id)


async def _report_progress(log: ProgressReporter) -> None:
    reported = None
    while True:
        if log.progress is not reported:
            reported = log.progress
            await DBOS.set_event_async(PROGRESS_EVENT, reported.model_dump(mode="json"))
        await asyncio.sleep(_PROGRESS_INTERVAL)


def _worker_lock_name(worker: str) -> str:
    return f"worker {worker}"
