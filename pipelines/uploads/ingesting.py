"""The job that ingests an upload, and keeps the originals of what it ingested."""

import asyncio
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast
from uuid import UUID

from pipelines.corpora import lock_of
from pipelines.discovery import Upload
from pipelines.ingestion import Ingestion, Report
from pipelines.jobs.job import Log, Task, incoming
from pipelines.reading.archives import opened_archive
from pipelines.uploads.names import is_archive, members
from storage.blobs import Blobs
from storage.database import Database
from storage.errors import NotFound
from storage.locks import Locks
from storage.repositories import Corpora, Sources
from storage.tables import Source

KIND = "upload"


class UploadJob:
    """Unpack, wait for one's turn, ingest, keep: each may be done again after a kill."""

    def __init__(
        self, ingestion: Ingestion, database: Database, blobs: Blobs, locks: Locks
    ) -> None:
        self._ingestion = ingestion
        self._database = database
        self._blobs = blobs
        self._locks = locks

    async def run(self, task: Task, log: Log) -> Report:
        """What the ingestion reports; raises what the ingestion raises."""
        corpus = cast("str", task.corpus)
        with TemporaryDirectory(prefix="ibid-") as folder:
            log.enter("unpacking")
            uploads = await self._unpacked(task, Path(folder))
            log.enter("ingesting")
            report = await self._ingestion.run(
                uploads,
                corpus,
                base_url=task.arguments["base_url"],
                progress=partial(_advance, log),
                enters=log.enter,
            )
            log.fail(*report.failed)
            failed = {failure.path for failure in report.failed}
            log.enter("keeping")
            await self._keep([u for u in uploads if u.name not in failed], corpus, log)
        return report.model_copy(update={"failed": log.course.failures})

    async def _unpacked(self, task: Task, folder: Path) -> list[Upload]:
        """Every file in a folder of its own: names that differ only in case are two files."""
        names = cast("list[str]", task.arguments["names"])
        uploads: list[Upload] = []
        for number, name in enumerate(names):
            key = f"{incoming(task.id)}/{number}"
            if is_archive(name):
                archive = folder / f"{number}.zip"
                await self._blobs.fetch(key, archive)
                uploads += await asyncio.to_thread(_extracted, archive, folder / str(number))
            else:
                path = folder / str(number) / name
                path.parent.mkdir(parents=True)
                await self._blobs.fetch(key, path)
                uploads.append(Upload(path, name))
        return uploads

    async def _keep(self, uploads: Sequence[Upload], corpus: str, log: Log) -> None:
        """Originals of what serves, and of nothing that was deleted meanwhile."""
        async with self._locks.held(lock_of(corpus)):
            async with self._database.reading() as session:
                sources = await Sources(session).of(corpus)
            live = {source.location: source.id for source in sources if source.is_live}
            for done, upload in enumerate(uploads, 1):
                source_id = live.get(Upload.locate(upload.name))
                if source_id:
                    with upload.path.open("rb") as file:
                        await self._blobs.write(original(source_id), file)
                log.advance(done, len(uploads))
        async with self._database.reading() as session:
            is_gone = await Corpora(session).find(corpus) is None
        for source_id in live.values() if is_gone else ():
            await self._blobs.remove(original(source_id))


def original(source_id: UUID) -> str:
    """Where the bytes of a source's live version are kept."""
    return f"originals/{source_id}"


def is_upload(source: Source) -> bool:
    """Whether it was sent."""
    return Upload.named(source.location) is not None


async def copies_of(sources: Iterable[Source], blobs: Blobs, folder: Path) -> dict[UUID, Upload]:
    """Of those that were sent, what was sent, each in a folder of its own; some may be lost."""
    copies: dict[UUID, Upload] = {}
    for source in sources:
        if name := Upload.named(source.location):
            path = folder / str(source.id) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(NotFound):
                await blobs.fetch(original(source.id), path)
                copies[source.id] = Upload(path, name)
    return copies


def _extracted(path: Path, folder: Path) -> list[Upload]:
    uploads: list[Upload] = []
    with path.open("rb") as file, opened_archive(file) as archive:
        for number, (info, name) in enumerate(members(archive)):
            target = folder / str(number) / name
            target.parent.mkdir(parents=True)
            with archive.open(info) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
            uploads.append(Upload(target, name))
    return uploads


def _advance(log: Log, done: int, total: int) -> None:
    """Its turn has come, if it waited."""
    if log.course.phase != "ingesting":
        log.enter("ingesting")
    log.advance(done, total)
