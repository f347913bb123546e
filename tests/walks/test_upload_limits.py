"""What one upload, and all of a user's in a day, may take: told at once, or by a job that changes nothing."""

import os
import shutil
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from tempfile import gettempdir
from uuid import uuid4

import pytest

from app.settings import Settings
from app.wiring import Services, build_upload_limits, build_worker
from pipelines.jobs.models import Job
from pipelines.jobs.worker import Worker
from pipelines.uploads.filenames import SentFile
from pipelines.uploads.limits import UploadLimits
from pipelines.uploads.receiver import UploadReceiver
from pipelines.uploads.unpacking import unpack_archive
from storage.domain import LOCAL, Principal
from storage.errors import SourceUnreadable, StorageFull, UploadQuotaSpent
from tests.walks.pages import SECTIONS, build_archive, build_page, build_upload
from tests.walks.test_jobs import wait_for_job

EDITOR = Principal(name="eve", rights=frozenset({"ask", "ingest"}))


@pytest.fixture
async def worker(settings: Settings) -> AsyncIterator[Worker]:
    worker = build_worker(settings)
    await worker.start()
    yield worker
    await worker.stop()


def limited_receiver(
    services: Services, principal: Principal = EDITOR, **limits: int
) -> UploadReceiver:
    """What takes uploads from somebody for whom these limits hold."""
    return replace(services.intake, principal=principal, limits=UploadLimits(**limits))


async def upload_and_wait(services: Services, intake: UploadReceiver, pages: int) -> Job:
    """Uploads of different sizes are different pages."""
    job = await intake.receive(build_upload("docs.zip", build_archive(pages)), "default", None)
    job = await wait_for_job(services, job)
    assert not Path(gettempdir(), f"ibid-{job.id}").exists()
    return job


async def test_an_upload_of_too_many_passages_changes_nothing(
    services: Services, worker: Worker
) -> None:
    intake = limited_receiver(services, passages=3 * SECTIONS)
    assert (await upload_and_wait(services, intake, 3)).status == "done"
    job = await upload_and_wait(services, intake, 7)
    assert job.status == "failed"
    assert "more than 18 passages" in str(job.error)
    assert "UPLOAD_PASSAGES_LIMIT" in str(job.error)
    (shelf,) = await services.library.corpora()
    assert (shelf.sources, shelf.passages) == (3, 3 * SECTIONS), "what served serves on"
    again = await upload_and_wait(services, intake, 6)
    assert again.report, again
    assert (again.report["added"], again.report["unchanged"]) == (3, 3), (
        "what is there is not counted"
    )
    whole = await upload_and_wait(services, limited_receiver(services, LOCAL, passages=1), 1)
    assert whole.status == "done", "an admin is held to what was set only"


async def test_a_day_has_so_many_bytes(services: Services) -> None:
    data = build_archive(1)
    intake = limited_receiver(services, daily_bytes=len(build_page("Beacon 0")) + 1)
    await intake.receive(build_upload("docs.zip", data), "default", None)
    with pytest.raises(UploadQuotaSpent, match="DAILY_UPLOAD_BYTES_PER_USER") as refused:
        await intake.receive(build_upload("docs.zip", data), "default", None)
    assert 0 <= (refused.value.retry_after or 0) <= 24 * 60 * 60
    another = replace(intake, principal=EDITOR.model_copy(update={"name": "adam"}))
    await another.receive(build_upload("docs.zip", data), "default", None)
    for _ in range(2):
        await replace(intake, principal=LOCAL).receive(
            build_upload("docs.zip", data), "default", None
        )


async def test_a_day_has_so_many_passages(services: Services, worker: Worker) -> None:
    intake = limited_receiver(services, daily_passages=4 * SECTIONS)
    assert (await upload_and_wait(services, intake, 3)).status == "done"
    job = await upload_and_wait(services, intake, 5)
    assert job.status == "failed"
    assert "DAILY_UPLOAD_PASSAGES_PER_USER" in str(job.error)
    assert (await upload_and_wait(services, intake, 4)).status == "done", (
        "what was refused is not counted"
    )


def test_limits_that_are_set_hold_for_admins_too(tmp_path: Path) -> None:
    usual = build_upload_limits(Settings(ibid_home=tmp_path))
    assert usual.for_principal(LOCAL).passages is None
    assert usual.for_principal(LOCAL).daily_bytes is None
    assert usual.for_principal(EDITOR).passages == 20_000
    chosen = build_upload_limits(Settings(ibid_home=tmp_path, upload_passages_limit=7))
    assert chosen.for_principal(LOCAL).passages == 7
    assert chosen.for_principal(LOCAL).daily_passages is None


def test_bytes_are_counted_while_an_archive_is_unpacked(tmp_path: Path) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number}.md", "x" * 1_000)
    path = tmp_path / "docs.zip"
    path.write_bytes(packed.getvalue())
    assert len(unpack_archive(path, tmp_path / "whole", 4_000)) == 4
    with pytest.raises(SourceUnreadable, match="exceeds the limit of an upload"):
        unpack_archive(path, tmp_path / "cut", 2_500)


async def test_what_a_killed_worker_left_goes_after_a_day(
    services: Services, worker: Worker
) -> None:
    old, new = (Path(gettempdir(), f"ibid-{uuid4()}") for _ in range(2))
    for folder in (old, new):
        (folder / "0").mkdir(parents=True)
    os.utime(old, (0, 0))
    await upload_and_wait(services, services.intake, 1)
    assert (old.exists(), new.exists()) == (False, True)
    shutil.rmtree(new)


async def test_an_upload_that_would_fill_the_disk_is_refused(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.uploads.limits._MIN_FREE_BYTES", 10**18)
    with pytest.raises(StorageFull, match="free"):
        await services.intake.receive([SentFile("a.md", BytesIO(b"# A"))], "default", None)
