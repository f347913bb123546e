"""Connections to hosted services: one pool for all who ask them on an event loop."""

import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import certifi
import msgspec
from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What msgspec raises for an answer that makes no sense; the second for text that is not UTF-8."""


@asynccontextmanager
async def open_pool() -> AsyncGenerator[ClientSession]:
    """As many connections as there are requests, and no deadline but their senders' own.

    Proxies are those of the environment, as is `SSL_CERT_FILE`; without it certifi says whom to trust,
    for an image of a container often knows nobody.
    """
    trusted = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())
    async with ClientSession(
        connector=TCPConnector(limit=0, ssl=trusted),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(),
        trust_env=True,
    ) as http:
        yield http


def lent(http: ClientSession | None) -> AbstractAsyncContextManager[ClientSession]:
    """A pool that others use, too, or one for this request alone."""
    return open_pool() if http is None else nullcontext(http)
