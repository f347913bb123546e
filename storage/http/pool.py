"""Connections to hosted services: one pool for all who ask them on an event loop."""

import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import certifi
import msgspec
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from storage.errors import InvalidInput

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for an answer that makes no sense, is not UTF-8, or is nested too deeply."""


@asynccontextmanager
async def open_pool() -> AsyncGenerator[ClientSession]:
    """As many connections as there are requests, and no deadline but their senders' own.

    What is sent as `json` is encoded by msgspec, which leaves letters of any script as they are.
    Proxies are those of the environment, as is `SSL_CERT_FILE`; raises `InvalidInput` when that cannot
    be read.
    """
    async with ClientSession(
        connector=TCPConnector(limit=0, ssl=trusted()),
        cookie_jar=DummyCookieJar(),
        json_serialize_bytes=msgspec.json.encode,
        timeout=ClientTimeout(),
        trust_env=True,
    ) as http:
        yield http


def trusted() -> ssl.SSLContext:
    """By certifi, unless the environment says otherwise: an image of a container often trusts nobody."""
    named = os.environ.get("SSL_CERT_FILE")
    try:
        return ssl.create_default_context(cafile=named or certifi.where())
    except ssl.SSLError as error:
        raise InvalidInput("SSL_CERT_FILE cannot be used: it holds no certificate.") from error
    except OSError as error:
        raise InvalidInput(f"SSL_CERT_FILE cannot be used: {error.strerror}.") from error


def lent(http: ClientSession | None) -> AbstractAsyncContextManager[ClientSession]:
    """A pool that others use, too, or one for this request alone."""
    return open_pool() if http is None else nullcontext(http)


async def read_limited(answer: ClientResponse, limit: int) -> bytes:
    """The body, unpacked; raises `ValueError` for one of more than `limit` bytes, unread from there."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > limit:
            answer.close()
            raise ValueError(f"it is larger than {limit:,} bytes")
    return bytes(body)
