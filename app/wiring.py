"""The composition root: builds and opens all services from the settings."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.chat.limits import TurnLimit
from app.chat.service import ChatService
from app.chat.turn_engine import TurnEngine
from app.chat.turn_runner import TurnRunner
from app.conversations.service import ConversationService
from app.corpora.service import CorpusService
from app.evaluation.gate import GoldenGate
from app.providers.context import ProviderContext, open_http
from app.providers.embeddings import (
    GivenEmbedding,
    build_embeddings,
    check_embedding,
    configured_fingerprint,
)
from app.providers.llms import build_hosted, build_llm, build_rewriter
from app.providers.rerankers import build_reranker
from app.providers.verifiers import build_verifier
from app.retrieval.calibration import Calibrator
from app.retrieval.relevance import Relevance
from app.retrieval.search import NO_FILTER, Search
from app.settings import Settings
from app.settings.required import require, secret_value
from app.usage.budgets import Budget, MonthlyCalls, UsageService
from app.users.claim_policy import build_claim_policy
from app.users.service import UserService
from app.verification import Verifier
from pipelines.ingestion.service import Ingestion
from pipelines.jobs.models import JobHandler, SimpleJob
from pipelines.jobs.queue import Jobs
from pipelines.jobs.store import JobStore
from pipelines.releases.service import ReleaseService
from pipelines.uploads.limits import UploadLimits, UploadQuota
from pipelines.uploads.receiver import UploadReceiver
from pipelines.uploads.upload_job import KIND as UPLOAD
from pipelines.uploads.upload_job import UploadJob
from storage.blobs import Blobs
from storage.domain import Principal
from storage.embeddings.local import LocalEmbedding
from storage.index.embedded.client import open_embedded
from storage.index.engine import IndexEngine
from storage.index.releases import Indexes
from storage.locks import Locks
from storage.private import make_private
from storage.sql.database import Database
from storage.system_folders import ensure_temporary_folder

if TYPE_CHECKING:
    from llama_index.core.base.embeddings.base import BaseEmbedding
    from llama_index.core.llms import LLM
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.vector_stores.qdrant import QdrantVectorStore

    from pipelines.jobs.worker import Worker

REINDEX = "reindex"
"""The kind of the job that builds a release."""


@dataclass(frozen=True, slots=True)
class Services:
    """The services that the REST API, the command line and notebooks share.

    They act for the local user until `acting_for` is called.
    """

    search: Search
    chat: ChatService
    history: ConversationService
    people: UserService
    ingestion: Ingestion
    reindexing: ReleaseService
    library: CorpusService
    database: Database
    indexes: Indexes
    turns: TurnRunner
    jobs: Jobs
    intake: UploadReceiver
    blobs: Blobs
    locks: Locks
    verifier: Verifier
    usages: UsageService

    def acting_for(self, principal: Principal) -> "Services":
        """Return the services for another user. What that user may not see does not exist for them."""
        return replace(
            self,
            search=self.search.acting_for(principal),
            chat=self.chat.acting_for(principal),
            turns=self.turns.acting_for(principal),
            history=self.history.acting_for(principal),
            library=self.library.acting_for(principal),
            reindexing=self.reindexing.acting_for(principal),
            jobs=self.jobs.acting_for(principal),
            intake=self.intake.acting_for(principal),
        )

    async def open_vector_store(
        self, corpora: Sequence[str] = (), *, filters: Mapping[str, str] = NO_FILTER
    ) -> "QdrantVectorStore":
        """Return LlamaIndex's own vector store over these passages, read-only, or over all that are readable.

        It follows the serving release, and raises `IndexMismatch` once that is embedded with another model.
        Queries need the embedding that `serving_embedding` returns. `filters` are those of `Search`.
        """
        from app.retrieval.vector_store import (  # noqa: PLC0415 - qdrant_client takes a second
            open_vector_store,
        )

        return await open_vector_store(self.search, self.indexes, corpora, filters)

    async def serving_embedding(self) -> "BaseEmbedding":
        """Return the embedding of the release that serves; raise `NotFound` if nothing was ingested."""
        return (await self.indexes.serving()).embedding


@asynccontextmanager
async def open_services(
    settings: Settings | None = None,
    *,
    llm: "LLM | None" = None,
    embedding: "BaseEmbedding | None" = None,
    reranker: "BaseNodePostprocessor | None" = None,
    verifier: Verifier | None = None,
) -> AsyncGenerator[Services]:
    """Open all services, and close them at the end. Without `settings`, read them from the environment.

    Objects that are given replace the configured models in these services, but not in the process of a
    worker, which has only the settings. `embedding` is that of the next release, and is called once here
    to measure its dimension.
    """
    settings = settings or Settings()
    prepare_home(settings)
    given = await GivenEmbedding.measure(embedding) if embedding else None
    if given is None:
        check_embedding(settings)
    configured = configured_fingerprint(settings, given)
    async with (
        open_http(settings) as http,
        open_engine(settings) as engine,
        open_database(settings) as database,
    ):
        calls = MonthlyCalls(database, settings.cohere_calls_per_month)
        context = ProviderContext(settings, http, calls)
        local, hosted = LocalEmbedding(), build_hosted(context, llm)
        llm = build_llm(context, hosted)
        indexes = Indexes(database, engine, build_embeddings(context, given))
        search = Search(database, indexes, build_reranker(context, reranker))
        verifier = verifier or build_verifier(settings, local, llm)
        relevance = Relevance(settings.strictness, local)
        calibrate = Calibrator(database, indexes, relevance)
        rewriter = build_rewriter(hosted)
        turn_engine = TurnEngine(search, llm, verifier, settings.verify, relevance, rewriter)
        budget = Budget(
            daily=settings.daily_budget,
            monthly=settings.monthly_budget,
            daily_per_user=settings.daily_budget_per_user,
        )
        turns = TurnRunner(database, turn_engine, budget, TurnLimit(settings.turn_limit))
        blobs, locks = Blobs(settings.blobs), build_locks(settings)
        jobs = Jobs(build_job_store(settings), blobs, database)
        try:
            yield Services(
                search=search,
                chat=ChatService(turns),
                history=ConversationService(database),
                people=build_user_service(settings, database),
                ingestion=Ingestion(database, indexes, configured, locks, calibrate),
                reindexing=ReleaseService(
                    database,
                    indexes,
                    configured,
                    locks,
                    blobs,
                    kept=settings.releases_kept,
                    gate=GoldenGate(
                        settings.golden_folder, database, indexes, settings.gate_margin
                    ),
                    calibrate=calibrate,
                ),
                library=CorpusService(database, indexes, blobs, locks),
                database=database,
                indexes=indexes,
                turns=turns,
                jobs=jobs,
                intake=UploadReceiver(
                    jobs, blobs, UploadQuota(database), build_upload_limits(settings)
                ),
                blobs=blobs,
                locks=locks,
                verifier=verifier,
                usages=UsageService(database, budget),
            )
        finally:
            await turns.wait_until_stored()
            await jobs.close()


@asynccontextmanager
async def open_job_handlers(settings: Settings) -> AsyncGenerator[dict[str, JobHandler]]:
    """Yield a handler for each kind of job, with services of its own: jobs run on another event loop."""
    async with open_services(settings) as services:
        yield {
            UPLOAD: UploadJob(
                services.ingestion, services.database, services.blobs, services.locks
            ),
            REINDEX: SimpleJob(
                "building", lambda progress: services.reindexing.reindex(progress=progress)
            ),
        }


def build_worker(settings: Settings) -> "Worker":
    """Build a worker, which runs jobs once it is started."""
    from pipelines.jobs.worker import Worker  # noqa: PLC0415 - DBOS takes a second or two

    return Worker(
        build_job_store(settings),
        build_locks(settings),
        Blobs(settings.blobs),
        lambda: open_job_handlers(settings),
    )


def build_job_store(settings: Settings) -> JobStore:
    """Build the store in which jobs are kept."""
    return JobStore(settings.ibid_home.absolute(), settings.jobs_database_url)


def build_locks(settings: Settings) -> Locks:
    """Build the locks: in Postgres if the jobs are kept there, else as files in `IBID_HOME`."""
    return Locks.create(settings.ibid_home.absolute() / "locks", settings.jobs_database_url)


def build_upload_limits(settings: Settings) -> UploadLimits:
    """Build the upload limits. Limits per user that have their default values do not apply to admins."""
    per_user = {
        "passages": "upload_passages_limit",
        "daily_bytes": "daily_upload_bytes_per_user",
        "daily_passages": "daily_upload_passages_per_user",
    }
    return UploadLimits(
        unpacked=settings.upload_unpacked_limit,
        files=settings.upload_files_limit,
        passages=settings.upload_passages_limit,
        daily_bytes=settings.daily_upload_bytes_per_user,
        daily_passages=settings.daily_upload_passages_per_user,
        for_admins=frozenset(n for n, s in per_user.items() if s in settings.model_fields_set),
    )


def build_user_service(settings: Settings, database: Database) -> UserService:
    """Build the service that identifies users; raise `InvalidInput` if a setting for sign-in is missing."""
    if settings.auth == "off":
        return UserService(database)
    from app.users.issuer_keys import IssuerKeys  # noqa: PLC0415 - cryptography takes 0.1 s
    from app.users.issuer_tokens import TokenVerifier  # noqa: PLC0415

    url = require(settings.auth_jwks_url, "AUTH=jwt", "AUTH_JWKS_URL")
    keys = IssuerKeys(url, settings.algorithms)
    issuer = require(settings.auth_issuer, "AUTH=jwt", "AUTH_ISSUER")
    verifier = TokenVerifier(keys, build_claim_policy(settings, issuer))
    return UserService(database, verifier, settings.auth_sessions)


def prepare_home(settings: Settings) -> None:
    """Create `IBID_HOME`, closed to other users. Use it for temporary files if there is no other folder."""
    make_private(settings.ibid_home)
    ensure_temporary_folder(settings.ibid_home)


def open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """Open the configured SQL database, or the SQLite file in `IBID_HOME`, and migrate its schema."""
    prepare_home(settings)
    return Database.open(
        settings.database,
        direct_url=settings.database_direct_url,
        connect_timeout=settings.database_patience,
    )


def connect_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """Open the same database without migrating its schema."""
    prepare_home(settings)
    return Database.connect(
        settings.database,
        direct_url=settings.database_direct_url,
        connect_timeout=settings.database_patience,
    )


def open_engine(settings: Settings) -> AbstractAsyncContextManager[IndexEngine]:
    """Open the configured Qdrant server, or the embedded engine in `IBID_HOME`."""
    if settings.qdrant_url:
        from storage.index.server.engine import open_server  # noqa: PLC0415 - qdrant_client takes 0.8 s

        return open_server(settings.qdrant_url, secret_value(settings.qdrant_api_key))
    return open_embedded(settings.index_folder)
