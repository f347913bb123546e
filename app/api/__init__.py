"""The REST door."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.logging import LoggingConfig
from litestar.openapi import OpenAPIConfig
from litestar.plugins.problem_details import ProblemDetailsPlugin

from app.api import problems
from app.api.auth import build_cors, build_middleware, only_editors_change, provide_services
from app.api.conversations import ConversationController
from app.api.corpora import CorpusController
from app.api.health import HealthController
from app.api.hosts import answer_to
from app.api.reading import ReadingController
from app.api.schema import SchemaPage
from app.chat.history import History
from app.chat.service import ChatService
from app.library import Library
from app.search import Search
from app.settings import Settings
from app.wiring import Services, open_services

_LARGEST_BODY = 1_000_000


def create_app(settings: Settings) -> Litestar:
    """The whole API; its services are open from the first request to the last."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    v1 = Router(
        "/api/v1", route_handlers=[ConversationController, CorpusController, ReadingController]
    )
    return Litestar(
        [v1, HealthController],
        lifespan=[lifespan],
        plugins=[ProblemDetailsPlugin(problems.config)],
        state=State({"signs_in": settings.auth != "off"}),
        middleware=build_middleware(settings),
        guards=[only_editors_change],
        cors_config=build_cors(settings),
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "chat": Provide(provide_chat, sync_to_thread=False),
            "history": Provide(provide_history, sync_to_thread=False),
            "library": Provide(provide_library, sync_to_thread=False),
            "search": Provide(provide_search, sync_to_thread=False),
        },
        before_request=answer_to(settings.hosts) if settings.hosts else None,
        request_max_body_size=_LARGEST_BODY,
        logging_config=LoggingConfig(
            root={"level": settings.log_level.upper(), "handlers": ["queue_listener"]},
            log_exceptions="always",
            disable_stack_trace=problems.EXPECTED,
        ),
        openapi_config=OpenAPIConfig(
            title="Ibid",
            version="1",
            path="/schema",
            description="Answers from documentation, every claim with a footnote.",
            render_plugins=[SchemaPage()],
        ),
    )


def provide_chat(services: NamedDependency[Services]) -> ChatService:
    """For handlers that hold conversations."""
    return services.chat


def provide_history(services: NamedDependency[Services]) -> History:
    """For handlers that look back on conversations."""
    return services.history


def provide_library(services: NamedDependency[Services]) -> Library:
    """For handlers that show what was ingested."""
    return services.library


def provide_search(services: NamedDependency[Services]) -> Search:
    """For handlers that search."""
    return services.search
