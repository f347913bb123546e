"""Fetches web pages at addresses from users or documents, without access to private networks.

Use it to ingest sites by their addresses. Services that the operator configures, such as a model's API,
are called through `storage.http.pool` instead, which has no restrictions.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urljoin, urlsplit

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
    ThreadedResolver,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from storage.errors import AddressRefused, SiteUnavailable
from storage.http.networks import Guard, Network
from storage.http.pool import build_tls_context, read_limited
from storage.http.urls import normalize_web_address
from storage.service_urls import without_secrets

LARGEST = 20_000_000
"""Maximum size of a decompressed page, in bytes."""
SECONDS = 30.0
"""Timeout for a page with all its redirects, in seconds."""
_MOST_REDIRECTS = 5
_OK, _REDIRECT_STATUSES = 200, (301, 302, 303, 307, 308)
_HEADERS = {"User-Agent": "Ibid", "Accept-Encoding": "gzip, deflate"}


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """A fetched page; `url` is its address after all redirects."""

    url: str
    content_type: str
    body: bytes


class GuardedResolver(AbstractResolver):
    """A resolver that checks every address of a name.

    The connection uses the checked addresses, so a later DNS answer cannot replace them.
    """

    def __init__(self, resolver: AbstractResolver, guard: Guard) -> None:
        self._resolver = resolver
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name; raise `AddressRefused` if any of its addresses is not allowed."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            self._guard.check(host, ip_address(one["host"]), port)
        return found

    async def close(self) -> None:
        """Close the wrapped resolver."""
        await self._resolver.close()


class SiteClient:
    """A client that fetches pages without cookies or proxies, and checks the address of every redirect."""

    def __init__(self, http: ClientSession, guard: Guard, limit: int, seconds: float) -> None:
        self._http = http
        self._guard = guard
        self._limit = limit
        self._seconds = seconds

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> FetchedPage:
        """Fetch a page, and send `headers` only to the origin of `url`.

        Raise `AddressRefused` or `SiteUnavailable`.
        """
        address = _parse_address(url)
        origin, sent = _origin(address), headers or {}
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(_MOST_REDIRECTS + 1):
                    hop_headers = sent if _origin(address) == origin else {}
                    outcome = await self._fetch_once(address, hop_headers)
                    if isinstance(outcome, FetchedPage):
                        return outcome
                    address = outcome
        except TimeoutError as error:
            message = f"{without_secrets(address)} took longer than {self._seconds:g} seconds."
            raise SiteUnavailable(message) from error
        message = f"{without_secrets(url)} redirects more than {_MOST_REDIRECTS} times."
        raise SiteUnavailable(message)

    async def _fetch_once(self, address: str, headers: Mapping[str, str]) -> FetchedPage | str:
        """Return the page, or the address that it redirects to."""
        url = URL(address, encoded=True)
        self._guard.check_host(url.raw_host or "", url.port or 0)
        request = self._http.get(url, headers={**_HEADERS, **headers}, allow_redirects=False)
        try:
            async with request as answer:
                if answer.status in _REDIRECT_STATUSES and "Location" in answer.headers:
                    return _redirect_target(address, answer.headers["Location"])
                return FetchedPage(address, answer.content_type, await self._body(address, answer))
        except ClientError as error:
            message = f"{without_secrets(address)} does not answer, or its answer cannot be read."
            raise SiteUnavailable(message) from error

    async def _body(self, address: str, answer: ClientResponse) -> bytes:
        if answer.status != _OK:
            message = f"{without_secrets(address)} answers with status {answer.status}."
            raise SiteUnavailable(message)
        try:
            return await read_limited(answer, self._limit)
        except ValueError as error:
            raise SiteUnavailable(f"{without_secrets(address)} cannot be used: {error}.") from error


@asynccontextmanager
async def open_site_client(
    allowed_networks: Sequence[Network] = (),
    *,
    resolver: AbstractResolver | None = None,
    limit: int = LARGEST,
    seconds: float = SECONDS,
) -> AsyncGenerator[SiteClient]:
    """Open a client that may also reach the `allowed_networks` networks, even private ones, on any port.

    It ignores the proxies of the environment: a proxy resolves names itself, so it could connect to an
    address that was not checked.
    """
    guard = Guard(allowed_networks)
    guarded = GuardedResolver(resolver or ThreadedResolver(), guard)
    async with ClientSession(
        connector=TCPConnector(resolver=guarded, use_dns_cache=False, ssl=build_tls_context()),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(),
        trust_env=False,
    ) as http:
        yield SiteClient(http, guard, limit, seconds)


def _parse_address(url: str) -> str:
    try:
        return normalize_web_address(url).partition("#")[0]
    except ValueError as error:
        raise AddressRefused(f"The address cannot be used: {error}.") from None


def _redirect_target(address: str, location: str) -> str:
    """Return the target of a redirect; raise `AddressRefused` if it is invalid or changes HTTPS to HTTP."""
    try:
        target = urljoin(address, location)
    except ValueError:
        target = ""
    target = _parse_address(target)
    if urlsplit(address).scheme == "https" and urlsplit(target).scheme != "https":
        raise AddressRefused(f"{without_secrets(address)} redirects to an address without HTTPS.")
    return target


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc
