"""The one place that knows every class: settings in, open services out."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import SecretStr

from app.chat.engine import Engine as TurnEngine
from app.chat.relevance import Relevance
from app.chat.service import ChatService
from app.chat.verification import Verifier
from app.chat.verification.judge import LLMJudge
from app.chat.verification.local import LocalVerifier
from app.evaluation.gate import GoldenGate
from app.library import Library
from app.search import Search
from app.settings import Settings
from pipelines.fingerprint import fingerprint
from pipelines.ingestion import Ingestion
from pipelines.jobs.job import Kind, Plain
from pipelines.jobs.jobs import Jobs
from pipelines.jobs.state import State
from pipelines.releases import Reindexing
from pipelines.uploads.ingesting import KIND as UPLOAD
from pipelines.uploads.ingesting import UploadJob
from pipelines.uploads.intake import Intake
from storage.blobs import Blobs
from storage.database import Database
from storage.domain import Fingerprint
from storage.embeddings import DIMENSION, LOCAL_MODEL, LocalEmbedding
from storage.errors import InvalidInput
from storage.index.client import open_embedded
from storage.index.engine import Engine
from storage.index.passages import Embeddings
from storage.indexes import Indexes
from storage.locks import Locks

if TYPE_CHECKING:
    from pipelines.jobs.worker import Worker

REINDEX = "reindex"
"""The kind of job that builds a release."""


@dataclass(frozen=True, slots=True)
class Services:
    """What every door opens: REST, command line and notebook alike."""

    search: Search
    chat: ChatService
    ingestion: Ingestion
    reindexing: Reindexing
    library: Library
    database: Database
    indexes: Indexes
    turns: TurnEngine
    jobs: Jobs
    intake: Intake
    blobs: Blobs
    locks: Locks
    verifier: Verifier


@asynccontextmanager
async def open_services(settings: Settings | None = None) -> AsyncGenerator[Services]:
    """Everything connected, and let go at the end; reads the environment when given no settings."""
    settings = settings or Settings()
    if settings.embedding == "cohere":
        _required(settings.cohere_api_key, "EMBEDDING=cohere", "COHERE_API_KEY")
    configured = configured_fingerprint(settings)
    llm = build_llm(settings)
    async with open_engine(settings) as engine, Database.open(settings.database) as database:
        words = LocalEmbedding()
        indexes = Indexes(database, engine, build_embeddings(settings))
        search = Search(database, indexes)
        verifier = build_verifier(settings, words, llm)
        relevance = Relevance(settings.strictness, words)
        turns = TurnEngine(search, llm, verifier, settings.verify, relevance)
        blobs, locks = Blobs(settings.blobs), build_locks(settings)
        jobs = Jobs(build_state(settings), blobs)
        try:
            yield Services(
                search=search,
                chat=ChatService(database, turns),
                ingestion=Ingestion(database, indexes, configured, locks),
                reindexing=Reindexing(
                    database,
                    indexes,
                    configured,
                    locks,
                    kept=settings.releases_kept,
                    gate=GoldenGate(
                        settings.golden_folder, database, indexes, settings.gate_margin
                    ),
                ),
                library=Library(database, indexes, blobs, locks),
                database=database,
                indexes=indexes,
                turns=turns,
                jobs=jobs,
                intake=Intake(jobs, blobs),
                blobs=blobs,
                locks=locks,
                verifier=verifier,
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
            REINDEX: Plain("building", lambda progress: services.reindexing.run(progress=progress)),
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


def open_engine(settings: Settings) -> AbstractAsyncContextManager[Engine]:
    """The Qdrant server that is set, or the engine embedded in `IBID_HOME`."""
    if settings.qdrant_url:
        from storage.index.server import open_server  # noqa: PLC0415 - qdrant_client takes 0.8 s

        return open_server(settings.qdrant_url, _revealed(settings.qdrant_api_key))
    return open_embedded(settings.index_folder)


def configured_fingerprint(settings: Settings) -> Fingerprint:
    """Of a release built now; needs no key."""
    embedding, dimension = LOCAL_MODEL, DIMENSION
    if settings.embedding == "cohere":
        from storage.cohere import dimension_of  # noqa: PLC0415 - the SDK takes a second

        embedding = settings.cohere_embed_model
        dimension = dimension_of(embedding)
    return fingerprint(
        embedding,
        dimension,
        on_disk=settings.vectors_on_disk,
        quantized=settings.vectors_int8,
    )


def build_embeddings(settings: Settings) -> Embeddings:
    """Builds what a release was embedded with, whatever is configured for the next one."""
    local = LocalEmbedding()

    def build(made: Fingerprint) -> BaseEmbedding:
        if made.embedding == local.model_name:
            return local
        name = f"An index built with {made.embedding}"
        key = _required(settings.cohere_api_key, name, "COHERE_API_KEY")
        from storage.cohere import HostedEmbedding  # noqa: PLC0415 - the SDK takes a second

        return HostedEmbedding.named(made.embedding, key, settings.cohere_base_url)

    return build


def build_llm(settings: Settings) -> LLM:
    """What writes answers; raises `InvalidInput` without its key."""
    chosen = settings.llm or ("openrouter" if settings.openrouter_api_key else "extractive")
    if chosen == "extractive":
        from app.llms.extractive import ExtractiveLLM  # noqa: PLC0415

        return ExtractiveLLM(embedding=LocalEmbedding())
    key = _required(settings.openrouter_api_key, "LLM=openrouter", "OPENROUTER_API_KEY")
    from app.llms.openrouter import HostedLLM  # noqa: PLC0415 - the SDK takes a second

    models = [name.strip() for name in settings.openrouter_models.split(",") if name.strip()]
    return HostedLLM.over(models, key, settings.openrouter_base_url)


def build_verifier(settings: Settings, words: LocalEmbedding, llm: LLM) -> Verifier:
    """What judges claims; by default words, numbers and names, with no model."""
    return LLMJudge(llm) if settings.verifier == "llm" else LocalVerifier(words)


def _required(key: SecretStr | None, choice: str, name: str) -> str:
    revealed = _revealed(key)
    if not revealed:
        raise InvalidInput(f"{choice} needs {name}, which is not set.")
    return revealed


def _revealed(key: SecretStr | None) -> str | None:
    return key.get_secret_value() if key else None
