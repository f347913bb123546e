"""The Litestar application of the REST API."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager
from functools import partial

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.spec import Server
from litestar.plugins.problem_details import ProblemDetailsPlugin

from app.api import problems
from app.api.allowed_hosts import build_host_check
from app.api.ask import ask
from app.api.auth import build_cors, build_middleware, require_rights
from app.api.bodies import MAX_BODY_SIZE, BodyTimeout, JSONRequest
from app.api.chat_page import PageController
from app.api.conversations import ConversationController
from app.api.corpora import CorpusController
from app.api.dependencies import build_dependencies
from app.api.forwarded_headers import ProxyHeadersMiddleware
from app.api.headers import add_security_headers
from app.api.health import DatabaseProbe, HealthController
from app.api.heartbeat import HEARTBEAT_SECONDS
from app.api.jobs import JobController
from app.api.messages import MessageController
from app.api.openapi_page import SchemaPage, schema_headers
from app.api.rate_limit_middleware import RateLimit
from app.api.releases import ReleaseController
from app.api.request_log import RequestLog, note_exception
from app.api.search import SearchController
from app.api.shutdown import ShutdownMiddleware, stop_listening
from app.api.sign_in_failures import SignInFailures
from app.api.sources import SourceController, UploadController
from app.api.stream_limit import StreamLimit
from app.api.usage import UsageController
from app.parent_process import ParentPipe
from app.rate_limiting.limiter import build_rate_limiter
from app.settings import Settings
from app.wiring import build_job_store, open_services
from app.worker_process import WorkerSupervisor, open_supervisor

_ANSWERS_FRACTION = 0.8
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
    cors, limiter = build_cors(settings), build_rate_limiter(settings)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None]:
        start_worker = build_job_store(settings).may_have_jobs
        async with (
            open_services(settings) as services,
            open_supervisor(settings, start_now=start_worker) as supervisor,
            aclosing(limiter),
        ):
            app.state.services, app.state.supervisor = services, supervisor
            # The objects loaded so far stay in use. Freeze them, so that later collections (0.1 s) skip them.
            gc.collect()
            gc.freeze()
            if parent:
                parent.watch(partial(begin_shutdown, app, parent.seconds))
            yield

    v1 = Router(
        "/api/v1",
        route_handlers=[
            ask,
            ConversationController,
            CorpusController,
            JobController,
            MessageController,
            SearchController,
            SourceController,
            ReleaseController,
            UsageController,
            Router(
                "/",
                route_handlers=[UploadController],
                request_max_body_size=settings.upload_limit,
            ),
        ],
    )
    app = Litestar(
        [v1, HealthController, PageController],
        lifespan=[lifespan],
        plugins=[ProblemDetailsPlugin(problems.config), problems.ProblemResponses()],
        state=State(
            {
                "signs_in": settings.auth != "off",
                "sign_in_url": settings.auth_sign_in_url,
                "public_url": settings.public_url,
                "failures": SignInFailures(settings.sign_in_failures, limiter),
                "probe": DatabaseProbe(),
                "heartbeat": heartbeat,
            }
        ),
        middleware=[
            *build_middleware(settings),
            RateLimit(settings.rate_limit, limiter),
            StreamLimit(settings.stream_limit),
        ],
        guards=[require_rights],
        cors_config=cors,
        dependencies=build_dependencies(),
        before_request=build_host_check(settings, cors),
        before_send=[add_security_headers],
        request_class=JSONRequest,
        request_max_body_size=MAX_BODY_SIZE,
        after_exception=[note_exception],
        logging_config=None,  # the process that runs the server configures logging
        openapi_config=_openapi(settings),
    )
    shutdown = app.state.shutdown = ShutdownMiddleware(BodyTimeout(app.asgi_handler))
    app.asgi_handler = RequestLog(ProxyHeadersMiddleware(shutdown, settings), settings)
    return app


def begin_shutdown(app: Litestar, seconds: float, immediately: bool) -> None:
    """Begin to stop this process. Jobs are left to the next one; open answers get most of the time."""
    supervisor: WorkerSupervisor = app.state.supervisor
    shutdown: ShutdownMiddleware = app.state.shutdown
    supervisor.stop()
    stopping = shutdown.drain(_ANSWERS_FRACTION * seconds, stop_listening, immediately=immediately)
    app.state.stopping = asyncio.create_task(stopping)


def _openapi(settings: Settings) -> OpenAPIConfig:
    router = Router(
        "/schema",
        route_handlers=[],
        include_in_schema=False,
        response_headers=schema_headers(),
    )
    return OpenAPIConfig(
        title="Ibid",
        version="1",
        openapi_router=router,
        description="Answers questions from documentation. Every claim has a footnote.",
        render_plugins=[SchemaPage()],
        servers=[Server(url=settings.public_url or "/")],
    )
