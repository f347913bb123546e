"""Endpoints for sources: uploads, lists, canonical texts, originals, and passages in their context."""

from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

from litestar import Controller, Response, delete, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery, QueryParameter
from litestar.status_codes import HTTP_202_ACCEPTED

from app.api.downloads import file_response
from app.api.pagination import MAX_INTEGER, Offset
from app.corpora.service import CorpusService, PassageInContext
from app.worker_process import WorkerSupervisor
from pipelines.jobs.models import Job
from pipelines.uploads.filenames import SentFile
from pipelines.uploads.receiver import UploadReceiver
from storage.domain import Value
from storage.sql.tables import Source, SourceText


class SourceList(Value):
    """Sources, sorted by corpus and location."""

    sources: tuple[Source, ...]


@dataclass
class UploadForm:
    """Files or zip archives, and the corpus to ingest them into."""

    files: list[UploadFile] = field(default_factory=list[UploadFile])
    corpus: str = "default"
    base_url: str | None = None


class UploadController(Controller):
    """`POST /api/v1/sources`. It is a separate controller because its bodies may be larger."""

    @post("/sources", tags=["sources"], summary="Upload sources", status_code=HTTP_202_ACCEPTED)
    async def upload(
        self,
        data: Annotated[UploadForm, Body(media_type=RequestEncodingType.MULTI_PART)],
        intake: NamedDependency[UploadReceiver],
        library: NamedDependency[CorpusService],
        supervisor: NamedDependency[WorkerSupervisor],
    ) -> Job:
        """Store files and submit a job that ingests them. A file replaces an earlier one of the same name."""
        await library.check_visible(data.corpus)
        sent = [SentFile(file.filename, file.file) for file in data.files]
        job = await intake.receive(sent, data.corpus, data.base_url or None)
        supervisor.start_worker()
        return job


class SourceController(Controller):
    """`/api/v1/sources` and `/passages`."""

    @get("/passages/{passage_id:uuid}", tags=["sources"], summary="Read a passage in its context")
    async def passage(
        self, passage_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> PassageInContext:
        """Return a passage with the canonical text before and after it."""
        return await library.passage(passage_id)

    @get("/sources", tags=["sources"], summary="List sources")
    async def sources(
        self,
        library: NamedDependency[CorpusService],
        corpus: FromQuery[list[str] | None] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
        offset: Offset = 0,
    ) -> SourceList:
        """List the sources that are searchable now."""
        return SourceList(sources=tuple(await library.sources(corpus or (), limit, offset)))

    @get("/sources/{source_id:uuid}", tags=["sources"], summary="Read a source")
    async def source(
        self, source_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> Source:
        """Return a source. If it was removed, `removed_at` says when."""
        return await library.source(source_id)

    @delete("/sources/{source_id:uuid}", tags=["sources"], summary="Remove a source")
    async def remove(
        self, source_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> None:
        """Remove a source from the index, and its uploaded file. Answers keep their quotes of it."""
        await library.delete_source(source_id)

    @get("/sources/{source_id:uuid}/original", tags=["sources"], summary="Open an uploaded file")
    async def original(
        self, source_id: FromPath[UUID], library: NamedDependency[CorpusService]
    ) -> Response[bytes]:
        """Return an uploaded file unchanged. HTML is shown as plain text, so that its scripts do not run."""
        source, data = await library.original(source_id)
        return file_response(source.location, data)

    @get("/sources/{source_id:uuid}/text", tags=["sources"], summary="Read a canonical text")
    async def text(
        self,
        source_id: FromPath[UUID],
        library: NamedDependency[CorpusService],
        version: Annotated[int | None, QueryParameter(ge=1, le=MAX_INTEGER)] = None,
    ) -> SourceText:
        """Return the text to check quotes against: `quote == text[start:end]`, in code points."""
        return await library.text(source_id, version)
