"""What the log says of jobs: one line each, however they end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.settings import Settings
from app.wiring import Services, build_worker
from pipelines.jobs.models import Job, JobHandler, ProgressReporter, Task, new_id
from pipelines.jobs.worker import Worker
from storage.domain import Value
from storage.errors import DatabaseUnavailable
from storage.logs import REQUEST_ID
from tests.walks.test_jobs import submit_upload, wait_for_job, wait_for_phase

TEXT = "pLanted9"


class Failing:
    """A kind of job that raises."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def run(self, task: Task, reporter: ProgressReporter) -> Value:
        assert "request_id" not in task.arguments
        raise self._error


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Also DBOS's, which have a handler of their own."""
    caplog.set_level(logging.INFO, logger="ibid")
    monkeypatch.setattr(logging.getLogger("dbos"), "handlers", [caplog.handler])
    caplog.handler.addFilter(_with_request)
    yield caplog
    caplog.handler.removeFilter(_with_request)


def _with_request(record: logging.LogRecord) -> bool:
    record.request_id = REQUEST_ID.get()
    return True


def job_records(lines: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [vars(each) for each in lines.records if each.name in ("ibid.jobs", "dbos")]


async def run_failing_job(services: Services, error: Exception) -> Job:
    @asynccontextmanager
    async def kinds() -> AsyncIterator[dict[str, JobHandler]]:
        yield {"failing": Failing(error)}

    worker = Worker(services.jobs.store, services.locks, services.blobs, kinds)
    token = REQUEST_ID.set("asked-by")
    task = Task(id=new_id(), kind="failing", corpus="docs", arguments={})
    job = await services.jobs.submit(task)
    REQUEST_ID.reset(token)
    await worker.start()
    try:
        return await wait_for_job(services, job)
    finally:
        await worker.stop()


async def test_a_job_that_fails_has_one_line(
    services: Services, lines: pytest.LogCaptureFixture
) -> None:
    job = await run_failing_job(services, DatabaseUnavailable("It is away."))
    assert job.status == "failed"
    (line,) = job_records(lines)
    assert (line["msg"], line["levelname"]) == ("job_failed", "WARNING")
    assert (line["job_id"], line["kind"], line["corpus"]) == (str(job.id), "failing", "docs")
    assert (line["error"], line["reason"]) == ("DatabaseUnavailable", "It is away.")
    assert line["request_id"] == "asked-by"


async def test_a_fault_of_ours_has_one_line_with_its_traceback(
    services: Services, lines: pytest.LogCaptureFixture
) -> None:
    job = await run_failing_job(services, ValueError(TEXT))
    assert job.status == "failed"
    (line,) = job_records(lines)
    assert (line["msg"], line["levelname"]) == ("job_failed", "ERROR")
    assert (line["job_id"], line["error"]) == (str(job.id), "ValueError")
    assert line["exc_info"][0] is ValueError
    assert line["request_id"] == "asked-by"


async def test_a_job_that_is_cancelled_has_one_quiet_line(
    settings: Settings, services: Services, lines: pytest.LogCaptureFixture
) -> None:
    worker = build_worker(settings)
    await worker.start()
    job = await wait_for_phase(services, await submit_upload(services), "ingesting")
    await services.jobs.cancel(job.id)
    async with asyncio.timeout(60):
        while not job_records(lines):  # noqa: ASYNC110 - the worker notices by itself
            await asyncio.sleep(0.02)
    await worker.stop()
    (line,) = job_records(lines)
    assert (line["msg"], line["levelname"]) == ("job_cancelled", "INFO")
    assert line["job_id"] == str(job.id)
    assert not line["exc_info"]
