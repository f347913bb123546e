"""The REST API."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Server
from litestar.plugins.problem_details import ProblemDetailsPlugin

from app.api import problems
from app.api.allowed_hosts import build_host_check
from app.api.auth import build_cors, build_middleware, only_editors_change, provide_services
from app.api.bodies import BodyTimeout, JSONRequest
from app.api.chat_page import PageController
from app.api.conversations import ConversationController
from app.api.corpora import CorpusController
from app.api.failures import Failures
from app.api.headers import add_security_headers
from app.api.health import DatabaseProbe, HealthController
from app.api.heartbeat import HEARTBEAT_SECONDS
from app.api.jobs import JobController, uploads_up_to
from app.api.messages import MessageController
from app.api.openapi_page import SchemaPage, schema_headers
from app.api.proxies import Proxies
from app.api.rate_limit import build_counts
from app.api.releases import ReleaseController
from app.api.request_log import RequestLog, note_exception
from app.api.search import ReadingController
from app.api.shutdown import Shutdown, stop_listening
from app.api.streams import StreamLimit
from app.api.usage import UsageController
from app.chat.service import ChatService
from app.conversations.service import History
from app.corpora.service import Library
from app.parent_process import ParentPipe
from app.retrieval.search import Search
from app.settings import Settings
from app.usage.budgets import Usages
from app.wiring import Services, build_state, open_services
from app.worker_process import WorkerSupervisor, open_working
from pipelines.jobs.queue import Jobs
from pipelines.releases import Reindexing
from pipelines.uploads.receiver import Intake

_LARGEST_BODY = 1_000_000
_FOR_ANSWERS = 0.8
"""Fraction of the shutdown time that open answers may use. The rest is for closing services."""


def create_app(
    settings: Settings,
    parent: ParentPipe | None = None,
    *,
    heartbeat: float = HEARTBEAT_SECONDS,
) -> Litestar:
    """Create the ASGI application. Its services are open from the first request to the last.

    With `parent`, it stops when the parent process does. Streams send a comment after `heartbeat` seconds
    without an event.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        begins = build_state(settings).is_there
        async with (
            open_services(settings) as services,
            open_working(settings, begins=begins) as working,
        ):
            app.state.services, app.state.working = services, working
            # The objects loaded so far stay in use. Freeze them, so that later collections (0.1 s) skip them.
            gc.collect()
            gc.freeze()
            if parent:
                parent.watch(partial(stop, app, parent.seconds))
            yield

    v1 = Router(
        "/api/v1",
        route_handlers=[
            ConversationController,
            CorpusController,
            JobController,
            MessageController,
            ReadingController,
            ReleaseController,
            UsageController,
            uploads_up_to(settings.upload_limit),
        ],
    )
    cors, counts = build_cors(settings), build_counts(settings)
    app = Litestar(
        [v1, HealthController, PageController],
        lifespan=[lifespan],
        plugins=[ProblemDetailsPlugin(problems.config), problems.Documented()],
        state=State(
            {
                "signs_in": settings.auth != "off",
                "sign_in_url": settings.auth_sign_in_url,
                "public_url": settings.public_url,
                "failures": Failures(settings.sign_in_failures, counts),
                "probe": DatabaseProbe(),
                "heartbeat": heartbeat,
            }
        ),
        middleware=[*build_middleware(settings), StreamLimit(settings.stream_limit)],
        stores={"rate_limit": counts},
        guards=[only_editors_change],
        cors_config=cors,
        dependencies={
            "services": Provide(provide_services, sync_to_thread=False),
            "chat": Provide(provide_chat, sync_to_thread=False),
            "history": Provide(provide_history, sync_to_thread=False),
            "intake": Provide(provide_intake, sync_to_thread=False),
            "jobs": Provide(provide_jobs, sync_to_thread=False),
            "library": Provide(provide_library, sync_to_thread=False),
            "reindexing": Provide(provide_reindexing, sync_to_thread=False),
            "search": Provide(provide_search, sync_to_thread=False),
            "working": Provide(provide_working, sync_to_thread=False),
            "usages": Provide(provide_usages, sync_to_thread=False),
        },
        before_request=build_host_check(settings, cors),
        before_send=[add_security_headers],
        request_class=JSONRequest,
        request_max_body_size=_LARGEST_BODY,
        after_exception=[note_exception],
        logging_config=None,  # the process that runs the server configures logging
        openapi_config=OpenAPIConfig(
            title="Ibid",
            version="1",
            openapi_router=Router(
                "/schema",
                route_handlers=[],
                include_in_schema=False,
                response_headers=schema_headers(),
            ),
            description="Answers from documentation, every claim with a footnote.",
            render_plugins=[SchemaPage()],
            servers=[Server(url=settings.public_url or "/")],
        ),
    )
    shutdown = app.state.shutdown = Shutdown(BodyTimeout(app.asgi_handler))
    app.asgi_handler = RequestLog(Proxies(shutdown, settings), settings)
    return app


def stop(app: Litestar, seconds: float, at_once: bool) -> None:
    """Begin to stop this process. Jobs are left to the next one; open answers get most of the time."""
    working: WorkerSupervisor = app.state.working
    shutdown: Shutdown = app.state.shutdown
    working.leave()
    stopping = shutdown.run(_FOR_ANSWERS * seconds, stop_listening, at_once=at_once)
    app.state.stopping = asyncio.create_task(stopping)


def provide_chat(services: NamedDependency[Services]) -> ChatService:
    """Provide the chat service to handlers."""
    return services.chat


def provide_history(services: NamedDependency[Services]) -> History:
    """Provide the conversation history to handlers."""
    return services.history


def provide_intake(services: NamedDependency[Services]) -> Intake:
    """Provide the receiver of uploads to handlers."""
    return services.intake


def provide_jobs(services: NamedDependency[Services]) -> Jobs:
    """Provide the job queue to handlers."""
    return services.jobs


def provide_library(services: NamedDependency[Services]) -> Library:
    """Provide the library of ingested sources to handlers."""
    return services.library


def provide_reindexing(services: NamedDependency[Services]) -> Reindexing:
    """Provide the service that lists and builds releases to handlers."""
    return services.reindexing


def provide_search(services: NamedDependency[Services]) -> Search:
    """Provide the search to handlers."""
    return services.search


def provide_usages(services: NamedDependency[Services]) -> Usages:
    """Provide the usage reports to handlers."""
    return services.usages


def provide_working(state: State) -> WorkerSupervisor:
    """Provide the worker's supervisor to handlers that submit jobs."""
    working: WorkerSupervisor = state.working
    return working
