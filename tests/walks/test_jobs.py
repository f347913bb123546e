"""Jobs as they go wrong: cancelled, in each other's way, their corpus gone."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import gettempdir

import pytest

from app.retrieval.request import SearchRequest
from app.settings import Settings
from app.wiring import REINDEX, Services, build_worker, open_services
from pipelines.corpora import corpus_lock_name
from pipelines.jobs.models import Job, JobHandler, SimpleJob, Task, incoming_prefix, new_id
from pipelines.jobs.worker import Worker
from pipelines.jobs.worker import _delete_old_jobs as forget
from pipelines.readers.sandbox.pool import ReaderPool
from pipelines.releases.service import ReleaseService
from storage.domain import Value
from storage.errors import CorpusBusy, DatabaseUnavailable, InvalidInput, NotFound
from tests.bench.meters import process_ids
from tests.library import PAGES
from tests.postgres import Postgres
from tests.walks.pages import SECTIONS, build_archive, build_upload

MANY = 400


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    worker = build_worker(settings)
    await worker.start()
    yield worker
    await worker.stop()


async def submit_upload(services: Services, pages: int = MANY, corpus: str = "default") -> Job:
    return await services.intake.receive(
        build_upload("docs.zip", build_archive(pages)), corpus, None
    )


async def wait_for_phase(services: Services, job: Job, phase: str, done: int = 0) -> Job:
    async with asyncio.timeout(60):
        async for now in services.jobs.watch(job.id):
            if now.phase == phase and now.done >= done:
                return now
    raise AssertionError(f"{now} was never {phase}")


async def wait_for_job(services: Services, job: Job) -> Job:
    async with asyncio.timeout(60):
        async for now in services.jobs.watch(job.id):
            job = now
    return job


async def assert_whole(services: Services, corpus: str = "default") -> None:
    """The index has what SQL says, and each page with all its passages."""
    shelf = next(s for s in await services.library.corpora() if s.name == corpus)
    assert shelf.passages == shelf.sources * SECTIONS
    assert await (await services.indexes.serving()).count(corpus=[corpus]) == shelf.passages


def stored_blobs(settings: Settings, folder: str) -> list[Path]:
    found = settings.ibid_home / "blobs" / folder
    return list(found.iterdir()) if found.exists() else []


async def test_a_job_that_is_cancelled_in_the_queue_never_runs(
    settings: Settings, services: Services
) -> None:
    job = await submit_upload(services, 1)
    assert job.phase == job.status == "queued"
    assert len(stored_blobs(settings, "incoming")) == 1
    assert (await services.jobs.cancel(job.id)).status == "cancelled"
    assert stored_blobs(settings, "incoming") == []
    worker = build_worker(settings)
    await worker.start()
    later = await wait_for_job(services, await submit_upload(services, 1, "later"))
    await worker.stop()
    assert later.status == "done"
    assert (await services.jobs.get(job.id)).status == "cancelled"
    assert [shelf.name for shelf in await services.library.corpora()] == ["later"]


async def test_a_worker_rests_once_all_is_done(
    services: Services, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.jobs.worker._CHECK_SECONDS", 0.05)
    async with services.locks.hold(corpus_lock_name("default")):
        jobs = [await submit_upload(services, 1) for _ in range(2)]
        await wait_for_phase(services, jobs[0], "waiting")
        resting = asyncio.create_task(worker.wait_until_idle(0))
        done, _ = await asyncio.wait([resting], timeout=1)
        assert not done, "one job waits for the corpus, one in the queue"
    await asyncio.wait_for(resting, 60)
    assert [(await services.jobs.get(job.id)).status for job in jobs] == ["done"] * 2


@pytest.mark.slow
async def test_a_job_that_is_cancelled_while_it_waits_changes_nothing(
    services: Services, worker: Worker
) -> None:
    async with services.locks.hold(corpus_lock_name("default")):
        job = await submit_upload(services, 1)
        assert (await wait_for_phase(services, job, "waiting")).status == "running"
        await services.jobs.cancel(job.id)
        await asyncio.sleep(5)  # whoever runs it looks every second or two, and tells nobody
    after = await wait_for_job(services, await submit_upload(services, 1))
    assert (after.status, after.report and after.report["added"]) == ("done", 1)


@pytest.mark.slow
async def test_a_job_that_is_cancelled_while_it_ingests_leaves_whole_pages(
    settings: Settings, services: Services, worker: Worker
) -> None:
    job = await submit_upload(services)
    await wait_for_phase(services, job, "ingesting", 1)
    cancelled = await services.jobs.cancel(job.id)
    assert (cancelled.status, cancelled.phase) == ("cancelled", "ingesting")
    with pytest.raises(InvalidInput, match="is cancelled"):
        await services.jobs.cancel(job.id)
    again = await wait_for_job(services, await submit_upload(services))
    assert again.report
    assert again.report["added"] + again.report["unchanged"] == MANY
    await assert_whole(services)
    assert stored_blobs(settings, "incoming") == []
    assert len(stored_blobs(settings, "originals")) == MANY


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="children are told by /proc")
async def test_cancelling_a_job_ends_the_process_that_reads_for_it(
    services: Services, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = "tests.pipelines.readers:read_badly"
    monkeypatch.setattr("pipelines.ingestion.diff.ReaderPool", partial(ReaderPool, reader=reader))
    job = await services.intake.receive(
        build_upload("stuck.md", b"# It never ends"), "default", None
    )
    await asyncio.to_thread(wait_for, lambda: bool(reader_processes(reader)))
    await services.jobs.cancel(job.id)
    await asyncio.to_thread(wait_for, lambda: not reader_processes(reader))
    folder = Path(gettempdir(), f"ibid-{job.id}")
    await asyncio.to_thread(wait_for, lambda: not folder.exists())


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def reader_processes(reader: str) -> list[int]:
    """Children of this process that work with a reader."""
    processes, _ = process_ids(os.getpid())
    lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in processes}
    return [pid for pid, line in lines.items() if line.exists() and reader in line.read_text()]


@pytest.mark.slow
async def test_a_corpus_that_is_deleted_in_the_middle_of_a_job_fails_it(
    settings: Settings, services: Services, worker: Worker
) -> None:
    job = await submit_upload(services)
    await wait_for_phase(services, job, "ingesting", 1)
    await services.library.delete("default")
    failed = await wait_for_job(services, job)
    assert failed.status == "failed"
    assert "'default' was deleted" in str(failed.error)
    assert await (await services.indexes.serving()).count() == 0
    assert stored_blobs(settings, "incoming") == stored_blobs(settings, "originals") == []
    assert (await wait_for_job(services, await submit_upload(services, 3))).status == "done"
    await assert_whole(services)


async def test_an_upload_is_not_let_into_a_closed_corpus_that_was_made_meanwhile(
    settings: Settings, services: Services
) -> None:
    job = await submit_upload(services, 1, "plans")
    await services.library.create("plans", None, "en")
    await services.library.set_readers("plans", ["user:ada"])
    worker = build_worker(settings)
    await worker.start()
    try:
        over = await wait_for_job(services, job)
    finally:
        await worker.stop()
    assert over.status == "failed"
    assert over.error == "The corpus 'plans' was created after this upload. Send it again."
    assert await services.library.sources(["plans"]) == []
    assert stored_blobs(settings, "incoming") == []


async def test_jobs_of_one_corpus_are_done_in_their_order(
    services: Services, worker: Worker
) -> None:
    jobs = [
        await services.intake.receive(
            build_upload("log.md", f"# Log\n\nThere were {n} gulls.".encode()), "default", None
        )
        for n in range(4)
    ]
    ended = [await wait_for_job(services, job) for job in jobs]
    assert [job.report["changed"] for job in ended if job.report] == [0, 1, 1, 1]
    (passage,) = await services.search.passages("gulls")
    assert "3 gulls" in passage.text


@pytest.mark.slow
async def test_a_job_that_was_over_long_ago_is_forgotten(
    services: Services, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await wait_for_job(services, await submit_upload(services, 1))
    await asyncio.to_thread(forget)
    assert (await services.jobs.get(job.id)).status == "done"
    monkeypatch.setattr("pipelines.jobs.worker._RETENTION", timedelta(seconds=-1))
    await asyncio.to_thread(forget)
    with pytest.raises(NotFound):
        await services.jobs.get(job.id)
    assert await services.jobs.recent() == []
    await assert_whole(services)


@pytest.mark.slow
async def test_what_a_killed_server_left_of_an_upload_is_removed_a_day_later(
    settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued = await submit_upload(services, 1)
    await services.blobs.write(incoming_prefix(new_id()), BytesIO(b"sent"))
    monkeypatch.setattr("pipelines.jobs.worker._LOST_AGE", timedelta(seconds=1))
    await asyncio.sleep(1.1)
    await services.blobs.write(incoming_prefix(recent := new_id()), BytesIO(b"sent a moment ago"))
    worker = build_worker(settings)
    await worker.start()
    job = await wait_for_job(services, queued)
    await worker.stop()
    assert job.status == "done"
    assert [path.name for path in stored_blobs(settings, "incoming")] == [str(recent)]
    await assert_whole(services)


@pytest.mark.slow
async def test_what_was_sent_is_read_again_for_a_release_by_a_new_reader(
    services: Services, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await wait_for_job(services, await submit_upload(services, 2))
    newer_reader = partial(ReaderPool, reader="tests.pipelines.readers:read_newer")
    monkeypatch.setattr("pipelines.ingestion.diff.ReaderPool", newer_reader)
    configured = services.reindexing._configured.model_copy(update={"reader": "new"})
    newer = ReleaseService(
        services.database, services.indexes, configured, services.locks, services.blobs, kept=2
    )
    before = {source.location: source.url for source in await services.library.sources()}
    assert (await newer.reindex()).passages == 2 * SECTIONS
    found = await services.search.passages(SearchRequest("the keeper of this beacon", limit=50))
    assert [passage.metadata for passage in found] == [{"reader": "new"}] * 2 * SECTIONS
    assert {s.location: s.url for s in await services.library.sources()} == before


async def test_a_source_is_not_removed_under_an_ingestion(services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    source = (await services.library.sources())[0]
    async with services.locks.hold(corpus_lock_name("default")):
        with pytest.raises(CorpusBusy, match="being changed"):
            await services.library.delete_source(source.id)
    await services.library.delete_source(source.id)
    assert len(await services.library.sources()) == len(PAGES) - 1


async def test_two_ingestions_at_once_take_turns(services: Services, docs: Path) -> None:
    waited: list[str] = []
    reports = await asyncio.gather(
        services.ingestion.run([docs], on_phase=lambda _: waited.append("first")),
        services.ingestion.run([docs], on_phase=lambda _: waited.append("second")),
    )
    assert sorted((r.added, r.unchanged) for r in reports) == [(0, len(PAGES)), (len(PAGES), 0)]
    assert len(waited) == 1


class CountingJob(Value):
    steps: int


@asynccontextmanager
async def open_handlers(kind: JobHandler) -> AsyncIterator[dict[str, JobHandler]]:
    yield {"sweep": kind}


@pytest.mark.slow
async def test_any_work_can_be_a_job(settings: Settings, services: Services) -> None:
    async def work(progress: object) -> CountingJob:
        assert callable(progress)
        progress(3, 4)
        return CountingJob(steps=3)

    task = Task(id=new_id(), kind="sweep", corpus=None, arguments={})
    unknown = await services.jobs.submit(task)
    worker = build_worker(settings)
    await worker.start()
    assert "no handler for jobs of the kind 'sweep'" in str(
        (await wait_for_job(services, unknown)).error
    )
    await worker.stop()

    kinds = Worker(
        services.jobs.store,
        services.locks,
        services.blobs,
        lambda: open_handlers(SimpleJob("building", work)),
    )
    job = await services.jobs.submit(task.model_copy(update={"id": new_id()}))
    await kinds.start()
    ended = await wait_for_job(services, job)
    await kinds.stop()
    assert (ended.status, ended.phase, ended.done, ended.total) == ("done", "building", 3, 4)
    assert ended.report == {"steps": 3}


@pytest.mark.slow
async def test_jobs_can_be_kept_in_postgres(settings: Settings, postgres: Postgres) -> None:
    shared = settings.model_copy(
        update={"jobs_database_url": postgres.create(f"jobs{new_id().hex}")}
    )
    worker = build_worker(shared)
    async with open_services(shared) as services:
        await worker.start()
        job = await wait_for_job(services, await submit_upload(services, 3))
        await worker.stop()
        assert job.status == "done"
        assert [one.id for one in await services.jobs.recent()] == [job.id]
        await assert_whole(services)
    assert not (settings.ibid_home / "jobs.db").exists()


async def test_a_database_that_is_not_there_is_told(settings: Settings) -> None:
    url = "postgresql://127.0.0.1:1/jobs"
    async with open_services(settings.model_copy(update={"jobs_database_url": url})) as services:
        with pytest.raises(DatabaseUnavailable):
            await submit_upload(services, 1)
    assert stored_blobs(settings, "incoming") == []


async def test_a_process_works_for_one_home(worker: Worker, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="already runs a worker"):
        await build_worker(Settings(ibid_home=tmp_path / "other")).start()


async def test_a_home_without_jobs_says_so(settings: Settings, services: Services) -> None:
    assert await services.jobs.recent() == []
    with pytest.raises(NotFound, match="no job"):
        await services.jobs.get(new_id())
    assert not (settings.ibid_home / "jobs.db").exists()


async def test_a_reindex_is_a_job(worker: Worker, services: Services, docs: Path) -> None:
    await services.ingestion.run([docs])
    task = Task(id=new_id(), kind=REINDEX, corpus=None, arguments={})
    job = await wait_for_job(services, await services.jobs.submit(task))
    assert (job.status, job.report and job.report["release"]) == ("done", "ibid-2")
    assert await services.search.serving_release() == "ibid-2"
