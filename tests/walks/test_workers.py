"""Processes that run jobs: killed, sharing a queue, beside an ingestion."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from app.wiring import Services, open_services
from pipelines.corpora import corpus_lock_name
from pipelines.jobs.models import Job
from storage.locks import Locks
from tests.app.api.calls import API, JSON
from tests.app.api.uploads import upload_files, wait_for_job
from tests.app.cli.commands import SCRIPT, environment, run_script
from tests.app.cli.test_serve import is_gone, run_server, wait_until
from tests.bench.meters import process_ids
from tests.walks.pages import SECTIONS, build_archive, build_page, build_upload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

MANY = 300
LONG = 900
"""Pages that are ingested for long enough that somebody who looks sees it."""


@contextmanager
def run_command(home: Path, *arguments: str | Path) -> Generator[subprocess.Popen[str]]:
    """A command that is killed at the end, with its children, if it has not ended by itself."""
    process = subprocess.Popen(
        [SCRIPT, *arguments],
        env=environment(home),
        cwd=home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def wait_until_ingesting(client: httpx.Client, job: JSON) -> None:
    """Its first pages are written, and its last are not read yet."""
    deadline = time.monotonic() + 60
    while not (job["phase"] == "ingesting" and LONG // 4 <= job["done"] < LONG):
        assert time.monotonic() < deadline, job
        assert job["status"] in ("queued", "running"), job
        time.sleep(0.02)
        answer = client.get(f"{API}/jobs/{job['id']}")
        assert answer.status_code == 200, answer.text
        job = answer.json()


async def assert_whole(services: Services, pages: int) -> None:
    (shelf,) = await services.library.corpora()
    assert (shelf.sources, shelf.passages) == (pages, pages * SECTIONS)
    assert await (await services.indexes.serving()).count() == shelf.passages


def workers_of(server: int) -> list[int]:
    """Processes of a server that run its jobs."""
    found, _ = process_ids(server)
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found}
    return [pid for pid, line in lines.items() if b"app.worker_process" in line]


async def wait_until_ended(services: Services, *jobs: Job) -> list[Job]:
    return await wait_for_jobs(services, jobs, lambda now: all(job.is_over for job in now))


async def wait_until_running(services: Services, *jobs: Job) -> list[Job]:
    return await wait_for_jobs(
        services, jobs, lambda now: all(job.status == "running" for job in now)
    )


async def wait_for_jobs(
    services: Services, jobs: Sequence[Job], fulfilled: Callable[[list[Job]], bool]
) -> list[Job]:
    async with asyncio.timeout(200):
        while True:
            now = [await services.jobs.get(job.id) for job in jobs]
            if fulfilled(now):
                return now
            await asyncio.sleep(0.1)


async def test_a_job_whose_server_is_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with run_server(home) as (server, client):
        job = upload_files(client, {"docs.zip": build_archive(LONG)}).json()
        wait_until_ingesting(client, job)
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
    with run_server(home) as (_, client):
        ended = wait_for_job(client, job["id"], 120)
    assert ended["status"] == "done", ended
    assert ended["report"]["unchanged"] > 0, "what was done is not done again"
    assert ended["report"]["unchanged"] + ended["report"]["added"] == LONG
    async with open_services(Settings(ibid_home=home)) as services:
        await assert_whole(services, LONG)


@pytest.mark.skipif(sys.platform != "linux", reason="children are told by /proc")
async def test_a_server_whose_worker_is_killed_goes_on_with_another(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with run_server(home) as (server, client):
        job = upload_files(client, {"docs.zip": build_archive(LONG)}).json()
        wait_until_ingesting(client, job)
        (worker,) = workers_of(server.pid)
        os.kill(worker, signal.SIGKILL)
        assert client.get("/health/ready").status_code == 200
        ended = wait_for_job(client, job["id"], 120)
        assert ended["status"] == "done", ended
        assert ended["report"]["unchanged"] + ended["report"]["added"] == LONG
        (another,) = workers_of(server.pid)
        assert another != worker
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=30)
        assert (server.returncode, "Traceback" in output) == (0, False), output
        assert 'worker_ended reason="the worker ended with code -9; it is restarted"' in output
        wait_until(is_gone, server.pid)


async def test_a_job_is_left_by_a_server_that_stops_and_taken_by_a_worker(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with run_server(home) as (server, client):
        job = upload_files(client, {"docs.zip": build_archive(LONG)}).json()
        wait_until_ingesting(client, job)
        server.send_signal(signal.SIGINT)
        output, _ = server.communicate(timeout=30)
        assert (server.returncode, "Traceback" in output) == (0, False), output
    async with open_services(Settings(ibid_home=home)) as services:
        left = (await services.jobs.recent())[0]
        assert left.status == "running"
        with run_command(home, "worker"):
            (ended,) = await wait_until_ended(services, left)
        assert ended.status == "done"
        assert str(ended.id) == job["id"]
        await assert_whole(services, LONG)


async def test_two_workers_share_a_queue_and_one_takes_over_from_the_other(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with open_services(Settings(ibid_home=home)) as services:
        archive = build_archive(150)
        jobs = [
            await services.intake.receive(build_upload("docs.zip", archive), f"corpus{n}", None)
            for n in range(4)
        ]
        with run_command(home, "worker") as first, run_command(home, "worker"):
            async with AsyncExitStack() as held:
                for number in range(4):
                    corpus = services.locks.hold(corpus_lock_name(f"corpus{number}"))
                    await held.enter_async_context(corpus)
                # Each takes two and waits for the corpus: so all four run only where both work.
                await wait_until_running(services, *jobs)
                os.killpg(first.pid, signal.SIGKILL)
            ended = await wait_until_ended(services, *jobs)
        assert [job.status for job in ended] == ["done"] * 4
        for shelf in await services.library.corpora():
            assert (shelf.sources, shelf.passages) == (150, 150 * SECTIONS)
        assert await (await services.indexes.serving()).count() == 4 * 150 * SECTIONS


async def test_a_worker_stops_when_it_is_told_to(tmp_path: Path) -> None:
    with run_command(tmp_path / "home", "worker") as worker:
        assert worker.stderr
        assert "The worker is running" in await asyncio.to_thread(worker.stderr.readline)
        worker.send_signal(signal.SIGTERM)
        output, told = worker.communicate(timeout=30)
        assert (worker.returncode, output, told) == (0, "", "")


async def test_two_ingestions_of_one_corpus_lose_nothing(tmp_path: Path) -> None:
    home, folders = tmp_path / "home", [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
        for number in range(MANY):
            (folder / f"{number}.md").write_text(build_page(f"{folder.name} {number}"))
    with (
        run_command(home, "ingest", folders[0], "--json") as one,
        run_command(home, "ingest", folders[1], "--json") as two,
    ):
        async with Locks.create(home / "locks", None).hold(corpus_lock_name("default")):
            for ingestion in (one, two):
                assert ingestion.stderr
                told = await asyncio.to_thread(ingestion.stderr.readline)
                assert told == "ibid: Waiting: another process is ingesting into default.\n"
        outputs = [one.communicate(timeout=120), two.communicate(timeout=120)]
    assert [json.loads(output)["added"] for output, _ in outputs] == [MANY, MANY]
    assert [told for _, told in outputs] == ["", ""]
    async with open_services(Settings(ibid_home=home)) as services:
        await assert_whole(services, 2 * MANY)


async def test_jobs_are_shown_and_cancelled_on_the_command_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "no jobs" in run_script(home, "jobs").stdout
    locks = Locks.create(home / "locks", None)
    with run_server(home) as (_, client):
        async with locks.hold(corpus_lock_name("default")):
            job = upload_files(client, {"docs.zip": build_archive(1)}).json()
            while job["phase"] != "waiting":
                assert job["status"] in ("queued", "running"), job
                await asyncio.sleep(0.05)
                job = client.get(f"{API}/jobs/{job['id']}").json()
            cancelled = run_script(home, "jobs", "cancel", job["id"], "--json")
            assert json.loads(cancelled.stdout)["status"] == "cancelled"
            again = run_script(home, "jobs", "cancel", job["id"])
    assert again.returncode == 2
    assert again.stderr == "ibid: The job cannot be cancelled: it is cancelled.\n"
    listed = json.loads(run_script(home, "jobs", "list", "--json").stdout)
    assert [one["id"] for one in listed["jobs"]] == [job["id"]]
    assert "upload into default: cancelled, waiting" in run_script(home, "jobs").stdout
    assert "cancelled" in run_script(home, "jobs", "show", job["id"]).stdout
