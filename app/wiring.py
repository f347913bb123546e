"""The one place that knows every class: settings in, open services out."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import LLM
from pydantic import SecretStr

from app.chat.engine import Engine as TurnEngine
from app.chat.history import History
from app.chat.limits import TurnLimit
from app.chat.service import ChatService
from app.library import Library
from app.people.service import People
from app.search import Search
from app.settings import Settings, listed
from pipelines.ingestion import Ingestion
from storage.database import Database
from storage.domain import Principal
from storage.embeddings import DIMENSION, LocalEmbedding
from storage.errors import IndexMismatch, InvalidInput
from storage.index.client import open_embedded
from storage.index.engine import Engine
from storage.index.passages import PassageIndex
from storage.repositories import Releases


@dataclass(frozen=True, slots=True)
class Services:
    """What every door opens: REST, command line and notebook alike.

    They act for whoever sits at this machine, until a door says for whom else.
    """

    search: Search
    chat: ChatService
    history: History
    people: People
    ingestion: Ingestion
    library: Library
    database: Database
    index: PassageIndex
    turns: TurnEngine

    def acting_for(self, principal: Principal) -> "Services":
        """The same for somebody else: what they may not see is not there for them."""
        return replace(
            self,
            search=self.search.acting_for(principal),
            chat=self.chat.acting_for(principal),
            history=self.history.acting_for(principal),
            library=self.library.acting_for(principal),
        )


@asynccontextmanager
async def open_services(settings: Settings | None = None) -> AsyncGenerator[Services]:
    """Everything connected, and let go at the end; reads the environment when given no settings."""
    settings = settings or Settings()
    embedding, dimension = build_embedding(settings)
    llm = build_llm(settings, embedding)
    async with open_engine(settings) as engine, open_database(settings) as database:
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
        yield Services(
            search=search,
            chat=ChatService(database, turns, limit=TurnLimit(settings.turn_limit)),
            history=History(database),
            people=build_people(settings, database),
            ingestion=Ingestion(database, index),
            library=Library(database, index),
            database=database,
            index=index,
            turns=turns,
        )


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


def build_people(settings: Settings, database: Database) -> People:
    """Who tells who people are; raises `InvalidInput` when sign-in lacks one of its settings."""
    if settings.auth == "off":
        return People(database)
    from app.people.tokens import TokenVerifier  # noqa: PLC0415 - cryptography takes 0.1 s

    verifier = TokenVerifier(
        _set(settings.auth_jwks_url, "AUTH=jwt", "AUTH_JWKS_URL"),
        _set(settings.auth_issuer, "AUTH=jwt", "AUTH_ISSUER"),
        _set(settings.auth_audience, "AUTH=jwt", "AUTH_AUDIENCE"),
        listed(settings.auth_algorithms),
    )
    return People(database, verifier, settings.auth_sessions)


def open_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """The SQL database that is set, or the SQLite file in `IBID_HOME`; up to date."""
    return Database.open(
        settings.database,
        direct_url=settings.database_direct_url,
        patience=settings.database_patience,
    )


def connect_database(settings: Settings) -> AbstractAsyncContextManager[Database]:
    """The same, with its schema left as it is."""
    return Database.connect(
        settings.database,
        direct_url=settings.database_direct_url,
        patience=settings.database_patience,
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
    return _set(_revealed(key), choice, name)


def _set(value: str | None, choice: str, name: str) -> str:
    if not value:
        raise InvalidInput(f"{choice} needs {name}, which is not set.")
    return value


def _revealed(key: SecretStr | None) -> str | None:
    return key.get_secret_value() if key else None
