"""Connections to hosted services: one shared pool per event loop."""

import os
import ssl
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

import certifi
import msgspec
from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector

from storage.errors import InvalidInput

DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Exceptions that msgspec raises for a body that is malformed, not UTF-8, or nested too deeply."""


@asynccontextmanager
async def open_pool() -> AsyncGenerator[ClientSession]:
    """Open a pool with unlimited connections and no timeout: callers set their own timeouts.

    msgspec encodes the `json` of a request, and does not escape non-ASCII letters. The pool uses the
    proxies and the `SSL_CERT_FILE` of the environment; it raises `InvalidInput` if that file is unusable.
    """
    async with ClientSession(
        connector=TCPConnector(limit=0, ssl=build_tls_context()),
        cookie_jar=DummyCookieJar(),
        json_serialize_bytes=msgspec.json.encode,
        timeout=ClientTimeout(),
        trust_env=True,
    ) as http:
        yield http


def build_tls_context() -> ssl.SSLContext:
    """Return a TLS context with the certificates of `SSL_CERT_FILE`, or else of certifi.

    Container images often contain no certificates. Raise `InvalidInput` if the file is unusable.
    """
    named = os.environ.get("SSL_CERT_FILE")
    try:
        return ssl.create_default_context(cafile=named or certifi.where())
    except ssl.SSLError as error:
        raise InvalidInput("SSL_CERT_FILE cannot be used: it contains no certificate.") from error
    except OSError as error:
        raise InvalidInput(f"SSL_CERT_FILE cannot be used: {error.strerror}.") from error


def borrow_pool(http: ClientSession | None) -> AbstractAsyncContextManager[ClientSession]:
    """Return the shared pool `http`, which stays open, or a new pool for one request if it is None."""
    return open_pool() if http is None else nullcontext(http)


async def read_limited(answer: ClientResponse, limit: int) -> bytes:
    """Return the decompressed body; if it exceeds `limit` bytes, stop reading and raise `ValueError`."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > limit:
            answer.close()
            raise ValueError(f"it is larger than {limit:,} bytes")
    return bytes(body)
