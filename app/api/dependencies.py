"""The services that handlers get by the names of their parameters."""

from typing import Any

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from app.api.auth import principal_of
from app.wiring import Services
from app.worker_process import WorkerSupervisor

_NAMES = ("chat", "history", "intake", "jobs", "library", "reindexing", "search", "usages")
"""Attributes of `Services`."""


def build_dependencies() -> dict[str, Provide]:
    """Return the providers by name."""
    return {
        "services": Provide(_services, sync_to_thread=False),
        "supervisor": Provide(_supervisor, sync_to_thread=False),
        **{name: _one_service(name) for name in _NAMES},
    }


def _services(request: Request[Any, Any, Any]) -> Services:
    """Return the services, acting for the user of the request. Anonymous users see no documents."""
    services: Services = request.app.state.services
    return services.acting_for(principal_of(request))


def _one_service(name: str) -> Provide:
    def provide(services: NamedDependency[Services]) -> Any:
        return getattr(services, name)

    return Provide(provide, sync_to_thread=False)


def _supervisor(state: State) -> WorkerSupervisor:
    supervisor: WorkerSupervisor = state.supervisor
    return supervisor
