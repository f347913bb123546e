"""Uploads taken in: kept first, then ingested by a job."""

import asyncio
from collections.abc import Sequence

from pipelines.corpora import new_corpus
from pipelines.jobs.job import Job, Task, incoming, new_id
from pipelines.jobs.jobs import Jobs
from pipelines.uploads.ingesting import KIND
from pipelines.uploads.names import Sent, checked
from storage.blobs import Blobs
from storage.domain import Principal


class Intake:
    """Refuses at once what could never be ingested; all else is the job's to tell."""

    def __init__(self, jobs: Jobs, blobs: Blobs) -> None:
        self._jobs = jobs
        self._blobs = blobs

    def acting_for(self, principal: Principal) -> "Intake":
        """The same, for somebody else, whose the jobs then are."""
        return Intake(self._jobs.acting_for(principal), self._blobs)

    async def receive(self, files: Sequence[Sent], corpus: str, base_url: str | None) -> Job:
        """Raises `InvalidInput` before anything is kept."""
        new_corpus(corpus, base_url)
        names = await asyncio.to_thread(checked, files)
        job_id = new_id()
        arguments = {"names": names, "base_url": base_url}
        try:
            for number, sent in enumerate(files):
                await self._blobs.write(f"{incoming(job_id)}/{number}", sent.file)
            return await self._jobs.submit(
                Task(id=job_id, kind=KIND, corpus=corpus, arguments=arguments)
            )
        except BaseException:
            await self._blobs.remove(incoming(job_id))
            raise
