"""What a job is, and what it is made of."""

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

ASKED_BY = "request_id"
"""Among a task's arguments in the queue: the request that asked for it, for the log."""
INCOMING = "incoming"
"""Above the files that were sent with jobs, among the blobs."""

_counter = count()

Status = Literal["queued", "running", "done", "failed", "cancelled"]


class Job(Value):
    """A piece of work that was asked for, and how far it has come."""

    id: UUID
    kind: str
    corpus: str | None
    status: Status
    phase: str
    """What it does just now, or did last: queued, unpacking, waiting, ingesting, ..."""
    done: int = 0
    total: int | None = None
    """None until it is known how much there is to do."""
    failures: tuple[SourceFailure, ...] = ()
    """Single sources that could not be ingested; the job goes on without them."""
    report: Metadata | None = None
    """What was done, once it is."""
    error: str | None = None
    """Why the whole job failed."""
    created_at: datetime
    updated_at: datetime

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return self.status in ("done", "failed", "cancelled")


class JobProgress(Value):
    """How far a running job has come."""

    phase: str = "starting"
    done: int = 0
    total: int | None = None
    failures: tuple[SourceFailure, ...] = ()
    at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class ProgressReporter:
    """Where a running job says what it does; whoever watches reads the latest `course`."""

    def __init__(self) -> None:
        self.course = JobProgress()

    def enter(self, phase: str) -> None:
        """A new phase, of which nothing is done yet."""
        self.course = JobProgress(phase=phase, failures=self.course.failures)

    def advance(self, done: int, total: int) -> None:
        """How many of how many."""
        self.course = self.course.model_copy(
            update={"done": done, "total": total, "at": datetime.now(UTC)}
        )

    def fail(self, *failures: SourceFailure) -> None:
        """Sources that the job goes on without."""
        told = (*self.course.failures, *failures)
        self.course = self.course.model_copy(update={"failures": told, "at": datetime.now(UTC)})


class Task(Value):
    """What was asked for, as it is kept in the queue."""

    id: UUID
    kind: str
    corpus: str | None
    arguments: Metadata


class JobHandler(Protocol):
    """One kind of work. It may be stopped anywhere, and is then done again from its start."""

    async def run(self, task: Task, log: ProgressReporter) -> Value:
        """Gives the report."""
        ...


class SimpleJob:
    """A kind with no arguments and nothing to tell but its progress, such as a reindex."""

    def __init__(self, phase: str, work: Callable[[Progress], Awaitable[Value]]) -> None:
        self._phase = phase
        self._work = work

    async def run(self, task: Task, log: ProgressReporter) -> Value:  # noqa: ARG002
        """The report of the work itself."""
        log.enter(self._phase)
        return await self._work(log.advance)


def new_id() -> UUID:
    """Later ones sort after earlier ones (UUID version 7): of what comes in one second, too."""
    moment, random = time.time_ns() // 1_000_000, secrets.randbits(62)
    return UUID(int=moment << 80 | 7 << 76 | next(_counter) % 4096 << 64 | 2 << 62 | random)


def asked_at(job_id: UUID) -> datetime:
    """When an id was made."""
    return datetime.fromtimestamp((job_id.int >> 80) / 1_000, UTC)


def incoming(job_id: UUID) -> str:
    """Where files that were sent with a job wait for it, among the blobs."""
    return f"{INCOMING}/{job_id}"


OpenKinds = Callable[[], AbstractAsyncContextManager[dict[str, JobHandler]]]
"""Opens all that jobs need, on the event loop they run on; by the name of the kind."""
