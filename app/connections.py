"""Connections to hosted models, one pool for all: httpx by its face, aiohttp underneath.

httpx's own engine parses HTTP in Python and walks through all connections at every request: of a
streamed turn it took several times as long as aiohttp's.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from aiohttp import ClientError, ClientSession, DummyCookieJar, TCPConnector
from httpx_aiohttp import AiohttpTransport


@asynccontextmanager
async def open_pool() -> AsyncGenerator[httpx.AsyncClient]:
    """As many connections as there are turns; proxies are those of the environment."""
    async with httpx.AsyncClient(transport=_Transport()) as http:
        yield http


class _Transport(AiohttpTransport):
    def get_client(self) -> ClientSession:
        """Without the bound of a hundred connections; cookies are for httpx to keep."""
        connector = TCPConnector(limit=0, ssl=self.ssl_context)
        return ClientSession(connector=connector, cookie_jar=DummyCookieJar(), trust_env=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises only httpx's errors: the base class leaves some of aiohttp's as they are."""
        try:
            return await super().handle_async_request(request)
        except ClientError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error
