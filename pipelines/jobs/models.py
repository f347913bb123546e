"""Data types of jobs: their state, their progress, their arguments and their handlers."""

import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from itertools import count
from typing import Literal, Protocol
from uuid import UUID

from pydantic import Field

from pipelines.ingestion.diff import SourceFailure
from pipelines.ingestion.service import Progress
from storage.domain import Metadata, Value

REQUEST_ID_KEY = "request_id"
"""Key in a task's arguments in the queue: the ID of the request that submitted it, for the log."""
INCOMING = "incoming"
"""Prefix of the blobs that hold the files sent with jobs."""

_counter = count()

Status = Literal["queued", "running", "done", "failed", "cancelled"]


class Job(Value):
    """A background job and its progress."""

    id: UUID
    kind: str
    corpus: str | None
    status: Status
    phase: str
    """The current or last step: queued, unpacking, waiting, ingesting, ..."""
    done: int = 0
    total: int | None = None
    """The number of items to process; None until it is known."""
    failures: tuple[SourceFailure, ...] = ()
    """Sources that could not be ingested; the job continues without them."""
    report: Metadata | None = None
    """The result, once the job is done."""
    error: str | None = None
    """Why the whole job failed."""
    created_at: datetime
    updated_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether the job is done, failed or cancelled."""
        return self.status in ("done", "failed", "cancelled")


class JobProgress(Value):
    """The progress of a running job."""

    phase: str = "starting"
    done: int = 0
    total: int | None = None
    failures: tuple[SourceFailure, ...] = ()
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class ProgressReporter:
    """Records the progress of a running job; `progress` is always the latest state."""

    def __init__(self) -> None:
        self.progress = JobProgress()

    def enter(self, phase: str) -> None:
        """Start a new phase and reset the counts."""
        self.progress = JobProgress(phase=phase, failures=self.progress.failures)

    def advance(self, done: int, total: int) -> None:
        """Record how many items are done, and how many there are."""
        self.progress = self.progress.model_copy(
            update={"done": done, "total": total, "at": datetime.now(UTC)}
        )

    def fail(self, *failures: SourceFailure) -> None:
        """Add sources that could not be ingested; the job continues without them."""
        all_failures = (*self.progress.failures, *failures)
        self.progress = self.progress.model_copy(
            update={"failures": all_failures, "at": datetime.now(UTC)}
        )


class Task(Value):
    """The kind and the arguments of a job, as the queue stores them."""

    id: UUID
    kind: str
    corpus: str | None
    arguments: Metadata


class JobHandler(Protocol):
    """A handler for one kind of job. It may be stopped at any point, and then runs again from the start."""

    async def run(self, task: Task, reporter: ProgressReporter) -> Value:
        """Do the work and return the report."""
        ...


class SimpleJob:
    """A job without arguments that reports nothing but its progress, such as a reindex."""

    def __init__(self, phase: str, work: Callable[[Progress], Awaitable[Value]]) -> None:
        self._phase = phase
        self._work = work

    async def run(self, task: Task, reporter: ProgressReporter) -> Value:  # noqa: ARG002
        """Do the work and return its report."""
        reporter.enter(self._phase)
        return await self._work(reporter.advance)


def new_id() -> UUID:
    """Return a UUID of version 7: later IDs sort after earlier ones, also within one second."""
    moment, random = time.time_ns() // 1_000_000, secrets.randbits(62)
    return UUID(int=moment << 80 | 7 << 76 | next(_counter) % 4096 << 64 | 2 << 62 | random)


def submitted_at(job_id: UUID) -> datetime:
    """Return the time at which the ID was created, which is when the job was submitted."""
    return datetime.fromtimestamp((job_id.int >> 80) / 1_000, UTC)


def incoming_prefix(job_id: UUID) -> str:
    """Return the blob prefix of the files that were sent with a job."""
    return f"{INCOMING}/{job_id}"


OpenJobHandlers = Callable[[], AbstractAsyncContextManager[dict[str, JobHandler]]]
"""Opens the resources of jobs on the current event loop; yields the handlers by the name of their kind."""
