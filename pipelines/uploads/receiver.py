"""The receiver of uploads: stores them and submits a job that ingests them."""

import asyncio
import shutil
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.corpora import new_corpus
from pipelines.jobs.models import Job, Task, incoming_prefix, new_id
from pipelines.jobs.queue import Jobs
from pipelines.readers.sandbox.service import Sandbox
from pipelines.uploads.filenames import SentFile, check_names, check_unique, is_archive
from pipelines.uploads.limits import UploadLimits, UploadQuota, check_disk
from pipelines.uploads.unpacking import LIST, ArchiveListing
from pipelines.uploads.upload_job import KIND
from storage.blobs import Blobs
from storage.domain import LOCAL, Principal
from storage.errors import InvalidInput, SourceUnreadable


@dataclass(frozen=True, slots=True)
class UploadReceiver:
    """Receives uploads. It rejects those that can never be ingested; the job reports all other errors."""

    jobs: Jobs
    blobs: Blobs
    quota: UploadQuota
    limits: UploadLimits
    principal: Principal = LOCAL

    def acting_for(self, principal: Principal) -> "UploadReceiver":
        """Return a copy for another principal, who owns the jobs and whose limits apply."""
        return replace(self, jobs=self.jobs.acting_for(principal), principal=principal)

    async def receive(self, files: Sequence[SentFile], corpus: str, base_url: str | None) -> Job:
        """Store the files and submit a job that ingests them.

        Raise `InvalidInput`, `UploadTooLarge`, `StorageFull` or `UploadQuotaSpent` before anything is
        stored.
        """
        new_corpus(corpus, base_url)
        names = check_names(files)
        limits = self.limits.for_principal(self.principal)
        size = await _check_files(files, names, limits)
        check_disk(size)
        await self.quota.take(limits, self.principal.name, size=size)
        job_id = new_id()
        arguments = {
            "names": names,
            "base_url": base_url,
            "user": self.principal.name,
            "limits": limits.model_dump(mode="json"),
        }
        try:
            for number, sent in enumerate(files):
                await self.blobs.write(f"{incoming_prefix(job_id)}/{number}", sent.file)
            return await self.jobs.submit(
                Task(id=job_id, kind=KIND, corpus=corpus, arguments=arguments)
            )
        except BaseException:
            await self.blobs.remove(incoming_prefix(job_id))
            raise


async def _check_files(
    files: Sequence[SentFile], names: Sequence[str], limits: UploadLimits
) -> int:
    """Check the files and return their total size in bytes, as archives declare it.

    Raise the same errors as `receive`.
    """
    inside: list[str] = []
    size = 0
    with closing(Sandbox(LIST, ArchiveListing)) as sandbox:
        for name, sent in zip(names, files, strict=True):
            if is_archive(name):
                listing = await _list_archive(name, sent, sandbox)
                inside += listing.names
                size += listing.size
            else:
                inside.append(name)
                size += sent.file.seek(0, 2)
                sent.file.seek(0)
            limits.check_files(len(inside))
            limits.check_bytes(size)
    check_unique(inside)
    return size


async def _list_archive(
    name: str, sent: SentFile, sandbox: Sandbox[ArchiveListing]
) -> ArchiveListing:
    """List an archive in the sandbox's process, which needs a copy that it can open."""
    with TemporaryDirectory(prefix="ibid-") as folder:
        copy = Path(folder, "archive.zip")
        await asyncio.to_thread(_copy, sent, copy)
        try:
            listing = await sandbox.call(copy)
        except SourceUnreadable as error:
            raise InvalidInput(f"{name}: {error}") from error
    if not listing.names:
        raise InvalidInput(f"{name} contains no file that Ibid reads.")
    return listing


def _copy(sent: SentFile, to: Path) -> None:
    with to.open("wb") as copy:
        shutil.copyfileobj(sent.file, copy, 1 << 20)
    sent.file.seek(0)
