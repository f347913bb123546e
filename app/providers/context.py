"""What providers are built with: the settings and the connections that all of them share."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession

from app.provider_registry import PROVIDERS
from app.settings import Settings
from storage.http.cohere_api import CallCounter
from storage.http.pool import open_pool


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """The settings, the pool of connections, and the counter of calls to Cohere."""

    settings: Settings
    http: ClientSession | None = None
    calls: CallCounter | None = None


@asynccontextmanager
async def open_http(settings: Settings) -> AsyncGenerator[ClientSession | None]:
    """Open one pool of connections for all hosted models; yield None if there are no hosted models."""
    if not any(row.is_configured(settings) for row in PROVIDERS):
        yield None
        return
    async with open_pool() as http:
        yield http
