"""Jobs and releases are seen by whom they concern; for all others they are not there."""

from pathlib import Path
from uuid import UUID

import pytest

from app.wiring import REINDEX, Services
from pipelines.jobs.models import Job, Task, new_id
from pipelines.jobs.store import QUEUE_NAME, VERSION, WORKFLOW_NAME
from storage.domain import RIGHTS, Principal
from storage.errors import Forbidden, NotFound
from tests.library import PAGES, write_docs
from tests.walks.pages import build_upload

ADMIN = Principal(name="root", rights=RIGHTS["admin"])
SENDER = Principal(name="ada", rights=RIGHTS["editor"])
COLLEAGUE = Principal(name="bob", rights=RIGHTS["editor"], groups=frozenset({"staff"}))
READER = Principal(name="carol", rights=RIGHTS["reader"], groups=frozenset({"staff"}))
STRANGE_EDITOR = Principal(name="eve", rights=RIGHTS["editor"])
STRANGE_KEY = Principal(name="key:ci", rights=frozenset({"ingest"}))
EVERYBODY = (ADMIN, SENDER, COLLEAGUE, READER, STRANGE_EDITOR, STRANGE_KEY)


@pytest.fixture
async def closed(services: Services) -> Services:
    """An empty corpus for Ada and the staff."""
    await services.library.create("closed", None, "en")
    await services.library.set_readers("closed", ["user:ada", "group:staff"])
    return services


async def submit_upload(services: Services, principal: Principal, corpus: str = "closed") -> Job:
    intake = services.acting_for(principal).intake
    return await intake.receive(build_upload("plan.md", b"# The plan"), corpus, None)


async def submit_without_owner(services: Services, corpus: str | None) -> UUID:
    client, job_id = await services.jobs._queue.get_client(), new_id()
    await client.enqueue_async(
        {
            "workflow_name": WORKFLOW_NAME,
            "queue_name": QUEUE_NAME,
            "workflow_id": str(job_id),
            "app_version": VERSION,
            "queue_partition_key": corpus or "*",
        },
        "upload",
        corpus,
        {},
    )
    return job_id


async def who_sees(services: Services, job_id: UUID) -> set[str]:
    """Found, listed, watched and cancellable, or none of it."""
    seeing: set[str] = set()
    for principal in EVERYBODY:
        jobs = services.acting_for(principal).jobs
        is_listed = job_id in {job.id for job in await jobs.recent()}
        if is_listed:
            assert (await jobs.get(job_id)).id == job_id
            assert (await anext(jobs.watch(job_id))).id == job_id
            seeing.add(principal.name)
            continue
        for attempt in (jobs.get(job_id), anext(jobs.watch(job_id)), jobs.cancel(job_id)):
            with pytest.raises(NotFound) as raised:
                await attempt
            assert str(raised.value) == f"There is no job '{job_id}'."
    return seeing


async def test_a_job_is_seen_by_who_sent_it_and_who_edits_its_corpus(closed: Services) -> None:
    job = await submit_upload(closed, SENDER)
    assert await who_sees(closed, job.id) == {"root", "ada", "bob"}
    assert (await closed.acting_for(COLLEAGUE).jobs.cancel(job.id)).status == "cancelled"
    public = await submit_upload(closed, STRANGE_KEY, "manual")
    assert await who_sees(closed, public.id) == {"root", "key:ci"}, "before the corpus is there"
    await closed.library.create("manual", None, "en")
    assert await who_sees(closed, public.id) == {"root", "ada", "bob", "eve", "key:ci"}


async def test_a_job_outlives_access_and_corpus_for_who_sent_it(closed: Services) -> None:
    job = await submit_upload(closed, SENDER)
    await closed.library.set_readers("closed", [])
    assert await who_sees(closed, job.id) == {"root", "ada"}
    await closed.library.set_readers("closed", ["group:staff"])
    await closed.library.delete("closed")
    assert await who_sees(closed, job.id) == {"root", "ada"}
    await closed.library.create("closed", None, "en")
    assert await who_sees(closed, job.id) == {"root", "ada"}, "of another corpus by that name"
    assert "eve" in await who_sees(closed, (await submit_upload(closed, SENDER)).id)


async def test_a_job_of_an_earlier_version_has_no_owner(closed: Services) -> None:
    job_id = await submit_without_owner(closed, "closed")
    assert await who_sees(closed, job_id) == {"root", "ada", "bob"}
    assert await who_sees(closed, await submit_without_owner(closed, None)) == {"root"}


async def test_pages_of_jobs_are_cut_from_what_may_be_seen(
    closed: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.jobs.queue._PAGE", 2)
    await closed.library.create("manual", None, "en")
    mine: list[UUID] = []
    for _ in range(3):
        await submit_upload(closed, SENDER)
        mine.append((await submit_upload(closed, STRANGE_EDITOR, "manual")).id)
    jobs = closed.acting_for(STRANGE_EDITOR).jobs
    pages = [[job.id for job in await jobs.recent(1, offset)] for offset in range(4)]
    assert sorted(key for page in pages for key in page) == sorted(mine)
    assert pages[-1] == []
    assert len(await closed.jobs.recent(50)) == 6


async def test_watching_ends_with_the_access(closed: Services) -> None:
    job = await submit_upload(closed, SENDER)
    watching = closed.acting_for(COLLEAGUE).jobs.watch(job.id)
    assert (await anext(watching)).id == job.id
    await closed.library.set_readers("closed", [])
    assert [job async for job in watching] == []


@pytest.fixture
async def two(services: Services, tmp_path: Path) -> Services:
    """The public manual, and a copy of one page of it that is closed."""
    docs = write_docs(tmp_path / "docs")
    await services.ingestion.run([docs], "manual")
    await services.ingestion.run([docs / "tides.txt"], "closed")
    await services.library.set_readers("closed", ["group:staff"])
    return services


async def test_releases_count_what_may_be_seen(two: Services) -> None:
    def counted(principal: Principal) -> list[tuple[int, int]]:
        return [(one.sources, one.passages) for one in releases[principal.name]]

    await two.reindexing.reindex()
    releases = {who.name: await two.acting_for(who).reindexing.releases() for who in EVERYBODY}
    everything, public = counted(ADMIN), counted(STRANGE_EDITOR)
    assert [sources for sources, _ in everything] == [len(PAGES) + 1] * 2
    assert [sources for sources, _ in public] == [len(PAGES)] * 2
    assert all(fewer < more for (_, fewer), (_, more) in zip(public, everything, strict=True))
    assert counted(COLLEAGUE) == everything
    assert counted(STRANGE_KEY) == public


async def test_a_release_holds_every_corpus_and_is_an_admins_to_build(two: Services) -> None:
    for principal in EVERYBODY[1:]:
        reindexing = two.acting_for(principal).reindexing
        for attempt in (reindexing.reindex(), reindexing.rollback()):
            with pytest.raises(Forbidden, match="admin"):
                await attempt
    task = Task(id=new_id(), kind=REINDEX, corpus=None, arguments={})
    job = await two.acting_for(ADMIN).jobs.submit(task)
    assert await who_sees(two, job.id) == {"root"}
