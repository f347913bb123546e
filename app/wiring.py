"""The one place that knows every class: settings in, open services out."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import SecretStr

from app.chat.engine import Engine as TurnEngine
from app.chat.service import ChatService
from app.library import Library
from app.search import Search
from app.settings import Settings
from app.spending import Budget, MonthlyCalls, Usages
from pipelines.ingestion import Ingestion
from storage.database import Database
from storage.embeddings import DIMENSION, LocalEmbedding
from storage.errors import IndexMismatch, InvalidInput
from storage.index.client import open_embedded
from storage.index.engine import Engine
from storage.index.passages import PassageIndex
from storage.repositories import Releases

if TYPE_CHECKING:
    from httpx import AsyncClient

    from storage.cohere_api import Calls
    from storage.rerankers import Reranker


@dataclass(frozen=True, slots=True)
class Services:
    """What every door opens: REST, command line and notebook alike."""

    search: Search
    chat: ChatService
    ingestion: Ingestion
    library: Library
    database: Database
    index: PassageIndex
    turns: TurnEngine
    usages: Usages


@asynccontextmanager
async def open_services(settings: Settings | None = None) -> AsyncGenerator[Services]:
    """Everything connected, and let go at the end; reads the environment when given no settings."""
    settings = settings or Settings()
    async with (
        open_http(settings) as http,
        open_engine(settings) as engine,
        Database.open(settings.database) as database,
    ):
        calls = MonthlyCalls(database, settings.cohere_calls_per_month)
        embedding, dimension = build_embedding(settings, http, calls)
        llm = build_llm(settings, embedding, http)
        index = PassageIndex(
            engine,
            embedding,
            dimension=dimension,
            on_disk=settings.vectors_on_disk,
            quantized=settings.vectors_int8,
        )
        await _check_embedding(database, index)
        search = Search(database, index, build_reranker(settings, http, calls))
        turns = TurnEngine(search, llm)
        budget = Budget(daily=settings.daily_budget, monthly=settings.monthly_budget)
        chat = ChatService(database, turns, budget)
        yield Services(
            search=search,
            chat=chat,
            ingestion=Ingestion(database, index),
            library=Library(database, index),
            database=database,
            index=index,
            turns=turns,
            usages=Usages(database, budget),
        )
        await chat.settled()


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

        return open_server(settings.qdrant_url, revealed(settings.qdrant_api_key))
    return open_embedded(settings.index_folder)


@asynccontextmanager
async def open_http(settings: Settings) -> AsyncGenerator["AsyncClient | None"]:
    """One pool of connections for all hosted models; none when there are none."""
    if not (settings.openrouter_api_key or settings.cohere_api_key):
        yield None
        return
    import httpx  # noqa: PLC0415 - with its certificates it takes 0.1 s

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(limits=limits) as http:
        yield http


def build_embedding(
    settings: Settings, http: "AsyncClient | None" = None, calls: "Calls | None" = None
) -> tuple[BaseEmbedding, int]:
    """What turns text into vectors, and their length; raises `InvalidInput` without its key."""
    if settings.embedding == "local":
        return LocalEmbedding(), DIMENSION
    key = _required(settings.cohere_api_key, "EMBEDDING=cohere", "COHERE_API_KEY")
    from storage.cohere import HostedEmbedding, checked_dimension  # noqa: PLC0415 - a second

    model, wanted = settings.cohere_embed_model, settings.cohere_embed_dimension
    embedding = HostedEmbedding.named(
        model,
        key,
        settings.cohere_base_url,
        dimension=wanted,
        inputs_per_minute=settings.cohere_inputs_per_minute,
        http=http,
        calls=calls,
    )
    return embedding, checked_dimension(model, wanted)


def build_reranker(
    settings: Settings, http: "AsyncClient | None" = None, calls: "Calls | None" = None
) -> "Reranker | None":
    """What orders passages anew, if anything does; raises `InvalidInput` without its key."""
    model = settings.cohere_rerank_model
    if not model:
        return None
    key = _required(settings.cohere_api_key, f"COHERE_RERANK_MODEL={model}", "COHERE_API_KEY")
    from storage.cohere_api import CohereAPI  # noqa: PLC0415 - with httpx
    from storage.rerankers import CohereReranker  # noqa: PLC0415

    api = CohereAPI(key, settings.cohere_base_url, http=http, calls=calls)
    return CohereReranker(api, model, settings.cohere_reranks_per_minute)


def build_llm(
    settings: Settings, embedding: BaseEmbedding, http: "AsyncClient | None" = None
) -> LLM:
    """What writes answers; raises `InvalidInput` without its key."""
    chosen = settings.llm or ("openrouter" if settings.openrouter_api_key else "extractive")
    if chosen == "extractive":
        return _extractive(embedding)
    key = _required(settings.openrouter_api_key, "LLM=openrouter", "OPENROUTER_API_KEY")
    from app.llms.fallback import FallbackLLM  # noqa: PLC0415 - the SDK takes a second

    models: list[LLM] = [*_hosted(settings, key, http)]
    if not models:
        raise InvalidInput("OPENROUTER_MODELS names no model.")
    if settings.llm_last_resort == "extractive":
        models.append(_extractive(embedding))
    return FallbackLLM(models=models, restarts=True, whole_turn_seconds=settings.llm_answer_seconds)


def _hosted(settings: Settings, key: str, http: "AsyncClient | None") -> Iterator[LLM]:
    """OpenRouter's models, each with those after it as the server's own fallbacks; then others."""
    from app.llms.catalogue import Catalogue  # noqa: PLC0415
    from app.llms.openrouter import HostedLLM  # noqa: PLC0415

    limits: dict[str, Any] = {
        "max_tokens": settings.llm_max_tokens,
        "first_token_seconds": settings.llm_first_token_seconds,
        "whole_answer_seconds": settings.llm_answer_seconds,
    }
    base = settings.openrouter_base_url
    names = settings.models
    catalogue = Catalogue(base, http, settings.ibid_home / "models.json") if http else None
    for number, name in enumerate(names):
        yield HostedLLM.at(
            base,
            key,
            name,
            names[number + 1 :],
            provider=settings.openrouter_provider,
            catalogue=catalogue,
            http=http,
            **limits,
        )
    for name, url in settings.fallbacks:
        other = revealed(settings.llm_fallback_api_key)
        yield HostedLLM.at(url, other, name, http=http, **limits)


def _extractive(embedding: BaseEmbedding) -> LLM:
    """Reads every candidate: with a hosted embedding, that would be forty texts a question."""
    from app.llms.extractive import ExtractiveLLM  # noqa: PLC0415

    return ExtractiveLLM(embedding=embedding if isinstance(embedding, LocalEmbedding) else None)


def _required(key: SecretStr | None, choice: str, name: str) -> str:
    shown = revealed(key)
    if not shown:
        raise InvalidInput(f"{choice} needs {name}, which is not set.")
    return shown


def revealed(key: SecretStr | None) -> str | None:
    """For the service it belongs to."""
    return key.get_secret_value() if key else None
