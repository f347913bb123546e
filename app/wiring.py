"""The one place that knows every class: settings in, open services out."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import SecretStr

from app.chat.engine import Engine as TurnEngine
from app.chat.service import ChatService
from app.library import Library
from app.search import Search
from app.settings import Settings
from pipelines.jobs.job import Kind
from pipelines.jobs.jobs import Jobs
from pipelines.jobs.state import State
from pipelines.serial import SerialIngestion
from pipelines.uploads.ingesting import KIND as UPLOAD
from pipelines.uploads.ingesting import UploadJob
from pipelines.uploads.intake import Intake
from storage.blobs import Blobs
from storage.database import Database
from storage.embeddings import DIMENSION, LocalEmbedding
from storage.errors import IndexMismatch, InvalidInput
from storage.index.client import open_embedded
from storage.index.engine import Engine
from storage.index.passages import PassageIndex
from storage.locks import Locks
from storage.repositories import Releases

if TYPE_CHECKING:
    from pipelines.jobs.worker import Worker


@dataclass(frozen=True, slots=True)
class Services:
    """What every door opens: REST, command line and notebook alike."""

    search: Search
    chat: ChatService
    ingestion: SerialIngestion
    library: Library
    database: Database
    index: PassageIndex
    turns: TurnEngine
    jobs: Jobs
    intake: Intake
    blobs: Blobs
    locks: Locks


@asynccontextmanager
async def open_services(settings: Settings | None = None) -> AsyncGenerator[Services]:
    """Everything connected, and let go at the end; reads the environment when given no settings."""
    settings = settings or Settings()
    embedding, dimension = build_embedding(settings)
    llm = build_llm(settings, embedding)
    async with open_engine(settings) as engine, Database.open(settings.database) as database:
        index = PassageIndex(
            engine,
            embedding,
            dimension=dimension,
            on_disk=settings.vectors_on_disk,
            quantized=settings.vectors_int8,
        )
        await _check_embedding(database, index)
        search = Search(database, index)
        turns = TurnEngine(search, llm)
        blobs, locks = Blobs(settings.blobs), build_locks(settings)
        jobs = Jobs(build_state(settings), blobs)
        try:
            yield Services(
                search=search,
                chat=ChatService(database, turns),
                ingestion=SerialIngestion(database, index, locks),
                library=Library(database, index, blobs, locks),
                database=database,
                index=index,
                turns=turns,
                jobs=jobs,
                intake=Intake(jobs, blobs),
                blobs=blobs,
                locks=locks,
            )
        finally:
            await jobs.close()


@asynccontextmanager
async def open_kinds(settings: Settings) -> AsyncGenerator[dict[str, Kind]]:
    """What jobs can do, with services of their own: they run on another event loop."""
    async with open_services(settings) as services:
        yield {
            UPLOAD: UploadJob(
                services.ingestion, services.database, services.blobs, services.locks
            ),
        }


def build_worker(settings: Settings) -> "Worker":
    """Runs jobs once it is started."""
    from pipelines.jobs.worker import Worker  # noqa: PLC0415 - DBOS takes a second or two

    return Worker(
        build_state(settings),
        build_locks(settings),
        Blobs(settings.blobs),
        lambda: open_kinds(settings),
    )


def build_state(settings: Settings) -> State:
    """Where jobs are kept."""
    return State(settings.ibid_home.absolute(), settings.jobs_database_url)


def build_locks(settings: Settings) -> Locks:
    """Kept beside the jobs."""
    return Locks.of(settings.ibid_home.absolute() / "locks", settings.jobs_database_url)


async def _check_embedding(database: Database, index: PassageIndex) -> None:
    """Vectors of one embedding mean nothing to another, even of the same length."""
    collection = await index.release()
    if collection is None:
        return
    async with database.reading() as session:
        release = await Releases(session).find(collection)
    if release is not None and release.embedding != index.embedding.model_name:
        raise IndexMismatch(
            f"The index was built with {release.embedding}, not {index.embedding.model_name}. "
            "Set EMBEDDING and its model back, or use another IBID_HOME and ingest again."
        )


def open_engine(settings: Settings) -> AbstractAsyncContextManager[Engine]:
    """The Qdrant server that is set, or the engine embedded in `IBID_HOME`."""
    if settings.qdrant_url:
        from storage.index.server import open_server  # noqa: PLC0415 - qdrant_client takes 0.8 s

        return open_server(settings.qdrant_url, _revealed(settings.qdrant_api_key))
    return open_embedded(settings.index_folder)


def build_embedding(settings: Settings) -> tuple[BaseEmbedding, int]:
    """What turns text into vectors, and their length; raises `InvalidInput` without its key."""
    if settings.embedding == "local":
        return LocalEmbedding(), DIMENSION
    key = _required(settings.cohere_api_key, "EMBEDDING=cohere", "COHERE_API_KEY")
    from storage.cohere import DIMENSIONS, HostedEmbedding  # noqa: PLC0415 - the SDK takes a second

    model = settings.cohere_embed_model
    return HostedEmbedding.named(model, key, settings.cohere_base_url), DIMENSIONS[model]


def build_dimension(settings: Settings) -> int:
    """The length of the vectors that would be made; needs no key."""
    if settings.embedding == "cohere":
        settings = settings.model_copy(update={"cohere_api_key": SecretStr("none is needed")})
    return build_embedding(settings)[1]


def build_llm(settings: Settings, embedding: BaseEmbedding) -> LLM:
    """What writes answers; raises `InvalidInput` without its key."""
    chosen = settings.llm or ("openrouter" if settings.openrouter_api_key else "extractive")
    if chosen == "extractive":
        from app.llms.extractive import ExtractiveLLM  # noqa: PLC0415

        return ExtractiveLLM(embedding=embedding)
    key = _required(settings.openrouter_api_key, "LLM=openrouter", "OPENROUTER_API_KEY")
    from app.llms.openrouter import HostedLLM  # noqa: PLC0415 - the SDK takes a second

    models = [name.strip() for name in settings.openrouter_models.split(",") if name.strip()]
    return HostedLLM.over(models, key, settings.openrouter_base_url)


def _required(key: SecretStr | None, choice: str, name: str) -> str:
    revealed = _revealed(key)
    if not revealed:
        raise InvalidInput(f"{choice} needs {name}, which is not set.")
    return revealed


def _revealed(key: SecretStr | None) -> str | None:
    return key.get_secret_value() if key else None
