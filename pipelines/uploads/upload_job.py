"""The job that ingests an upload and stores the original files."""

import shutil
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import cast
from uuid import UUID

from pipelines.corpora import corpus_lock_name
from pipelines.ingestion.diff import SourceChange, SourceFailure, count_passages
from pipelines.ingestion.discovery import UploadedFile
from pipelines.ingestion.service import Ingestion, IngestionReport
from pipelines.jobs.models import ProgressReporter, Task, incoming_prefix, submitted_at
from pipelines.readers.sandbox.service import Sandbox
from pipelines.uploads.filenames import is_archive
from pipelines.uploads.limits import UploadLimits, UploadQuota
from pipelines.uploads.unpacking import UNPACK, UnpackedFile
from storage.blobs import Blobs
from storage.domain import LOCAL
from storage.errors import NotFound, SourceUnreadable, Vanished
from storage.locks import Locks
from storage.sql.database import Database
from storage.sql.repositories.corpora import Corpora
from storage.sql.repositories.sources import Sources
from storage.sql.tables import Source

KIND = "upload"
_STALE_SECONDS = 24 * 60 * 60.0
"""Age in seconds at which a temporary folder is removed, because its job must have ended."""


class UploadJob:
    """Unpacks, ingests and stores an upload; each step can be repeated after the process was killed."""

    def __init__(
        self, ingestion: Ingestion, database: Database, blobs: Blobs, locks: Locks
    ) -> None:
        self._ingestion = ingestion
        self._database = database
        self._quota = UploadQuota(database)
        self._blobs = blobs
        self._locks = locks

    async def run(self, task: Task, reporter: ProgressReporter) -> IngestionReport:
        """Return the ingestion's report.

        Raise the errors of the ingestion, and `UploadTooLarge` or `UploadQuotaSpent`.
        """
        corpus = cast("str", task.corpus)
        await self._check_corpus(task, corpus)
        limits = UploadLimits.model_validate(task.arguments.get("limits", {}))
        user = task.arguments.get("user", LOCAL.name)
        with _job_folder(task) as folder:
            reporter.enter("unpacking")
            uploads = await self._fetch_uploads(task, limits, folder)
            reporter.enter("ingesting")
            report = await self._ingestion.run(
                uploads,
                corpus,
                base_url=task.arguments["base_url"],
                progress=partial(_advance, reporter),
                on_phase=reporter.enter,
                admit=partial(self._check_limits, limits, user),
            )
            reporter.fail(*report.failed)
            failed = {failure.path for failure in report.failed}
            reporter.enter("keeping")
            await self._store_originals(
                [u for u in uploads if u.name not in failed], corpus, reporter
            )
        return report.model_copy(update={"failed": reporter.progress.failures})

    async def _check_corpus(self, task: Task, name: str) -> None:
        """Raise `Vanished` for a non-public corpus that was created after the upload was sent.

        The sender had access to an earlier corpus of that name, or meant to create a new one.
        """
        async with self._database.read_transaction() as session:
            corpus = await Corpora(session).find(name)
        if corpus and corpus.access != "public" and corpus.created_at > submitted_at(task.id):
            raise Vanished(f"The corpus {name!r} was created after this upload. Send it again.")

    async def _fetch_uploads(
        self, task: Task, limits: UploadLimits, folder: Path
    ) -> list[UploadedFile]:
        """Fetch each file into a folder of its own; unpack archives one by one and delete them."""
        names = cast("list[str]", task.arguments["names"])
        uploads: list[UploadedFile] = []
        size = 0
        with closing(Sandbox(UNPACK, list[UnpackedFile])) as sandbox:
            for number, name in enumerate(names):
                path = folder / str(number) / name
                path.parent.mkdir(parents=True)
                await self._blobs.fetch(f"{incoming_prefix(task.id)}/{number}", path)
                if is_archive(name):
                    left = limits.unpacked - size
                    found = await _extract(path, folder / f"{number}.unpacked", left, sandbox)
                    path.unlink()
                    uploads += (UploadedFile(Path(member.path), member.name) for member in found)
                    size += sum(member.size for member in found)
                else:
                    uploads.append(UploadedFile(path, name))
                    size += path.stat().st_size
                limits.check_files(len(uploads))
                limits.check_bytes(size)
        return uploads

    async def _check_limits(
        self, limits: UploadLimits, user: str, changes: Sequence[SourceChange]
    ) -> list[SourceFailure]:
        """Check the limits on passages and return the files that cannot be read.

        Raise `UploadTooLarge` or `UploadQuotaSpent`.
        """
        if limits.most_passages is None:
            return []
        passages, failures = await count_passages(changes, limits.most_passages)
        limits.check_passages(passages)
        await self._quota.take(limits, user, passages=passages)
        return failures

    async def _store_originals(
        self, uploads: Sequence[UploadedFile], corpus: str, reporter: ProgressReporter
    ) -> None:
        """Store the originals of live sources; remove them again if the corpus was deleted meanwhile."""
        async with self._locks.hold(corpus_lock_name(corpus)):
            async with self._database.read_transaction() as session:
                sources = await Sources(session).of_corpus(corpus)
            live = {source.location: source.id for source in sources if source.is_live}
            for done, upload in enumerate(uploads, 1):
                source_id = live.get(UploadedFile.location_for(upload.name))
                if source_id:
                    with upload.path.open("rb") as file:
                        await self._blobs.write(original_blob(source_id), file)
                reporter.advance(done, len(uploads))
        async with self._database.read_transaction() as session:
            is_gone = await Corpora(session).find(corpus) is None
        for source_id in live.values() if is_gone else ():
            await self._blobs.remove(original_blob(source_id))


def original_blob(source_id: UUID) -> str:
    """Return the name of the blob with the original file of a source's live version."""
    return f"originals/{source_id}"


def is_upload(source: Source) -> bool:
    """Return whether the source was uploaded."""
    return UploadedFile.name_from_location(source.location) is not None


async def fetch_originals(
    sources: Iterable[Source], blobs: Blobs, folder: Path
) -> dict[UUID, UploadedFile]:
    """Fetch the originals of uploaded sources, each into a folder of its own; skip missing ones."""
    copies: dict[UUID, UploadedFile] = {}
    for source in sources:
        if name := UploadedFile.name_from_location(source.location):
            path = folder / str(source.id) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(NotFound):
                await blobs.fetch(original_blob(source.id), path)
                copies[source.id] = UploadedFile(path, name)
    return copies


async def _extract(
    archive: Path, folder: Path, limit: int, sandbox: Sandbox[list[UnpackedFile]]
) -> list[UnpackedFile]:
    """Unpack an archive in the sandbox; raise `SourceUnreadable` with the archive's name."""
    try:
        return await sandbox.call(archive, folder, limit)
    except SourceUnreadable as error:
        raise SourceUnreadable(f"{archive.name}: {error}") from error


@contextmanager
def _job_folder(task: Task) -> Generator[Path]:
    """Provide a temporary folder named after the job; remove it afterwards.

    A worker that takes over the job of a killed one empties the folder. Also remove the folders of other
    jobs if they are older than a day.
    """
    folder = Path(gettempdir(), f"ibid-{task.id}")
    for other in folder.parent.glob("ibid-" + "?" * len(str(task.id))):
        if other.lstat().st_mtime < time.time() - _STALE_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _advance(reporter: ProgressReporter, done: int, total: int) -> None:
    """Report the progress; enter the phase `ingesting` again if the job had to wait."""
    if reporter.progress.phase != "ingesting":
        reporter.enter("ingesting")
    reporter.advance(done, total)
