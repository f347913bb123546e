"""Pages of the web at addresses that a user or a document gives, fetched without harm to the network.

For ingesting sites by their addresses. What an operator sets, such as a model's server or Qdrant, is
asked through `storage.http.pool` instead, which goes anywhere.
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

from storage.addresses import without_secrets
from storage.errors import AddressRefused, SiteUnavailable
from storage.http.networks import Guard, Network
from storage.http.pool import read_limited, trusted
from storage.http.urls import web_address

LARGEST = 20_000_000
"""Bytes of a page, unpacked."""
SECONDS = 30.0
"""For a page with all its redirects."""
_MOST_REDIRECTS = 5
_OK, _MOVED = 200, (301, 302, 303, 307, 308)
_HEADERS = {"User-Agent": "Ibid", "Accept-Encoding": "gzip, deflate"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A page; `url` is where the redirects ended."""

    url: str
    content_type: str
    body: bytes


class GuardedResolver(AbstractResolver):
    """Checks every address of a name; the connection then goes to these, and to no later answer."""

    def __init__(self, resolver: AbstractResolver, guard: Guard) -> None:
        self._resolver = resolver
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises `AddressRefused` when any one of them may not be asked."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            self._guard.check(host, ip_address(one["host"]), port)
        return found

    async def close(self) -> None:
        """With the resolver that it asks."""
        await self._resolver.close()


class SiteClient:
    """Fetches pages: no cookie, no proxy, and every hop checked."""

    def __init__(self, http: ClientSession, guard: Guard, limit: int, seconds: float) -> None:
        self._http = http
        self._guard = guard
        self._limit = limit
        self._seconds = seconds

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Fetched:
        """`headers` go to the origin of `url` alone. Raises `AddressRefused` and `SiteUnavailable`."""
        address = _written(url)
        origin, sent = _origin(address), headers or {}
        try:
            async with asyncio.timeout(self._seconds):
                for _ in range(_MOST_REDIRECTS + 1):
                    own = sent if _origin(address) == origin else {}
                    outcome = await self._hop(address, own)
                    if isinstance(outcome, Fetched):
                        return outcome
                    address = outcome
        except TimeoutError as error:
            told = f"{without_secrets(address)} took longer than {self._seconds:g} seconds."
            raise SiteUnavailable(told) from error
        told = f"{without_secrets(url)} redirects more than {_MOST_REDIRECTS} times."
        raise SiteUnavailable(told)

    async def _hop(self, address: str, headers: Mapping[str, str]) -> Fetched | str:
        """The page, or where it has moved."""
        url = URL(address, encoded=True)
        self._guard.check_host(url.raw_host or "", url.port or 0)
        asked = self._http.get(url, headers={**_HEADERS, **headers}, allow_redirects=False)
        try:
            async with asked as answer:
                if answer.status in _MOVED and "Location" in answer.headers:
                    return _moved(address, answer.headers["Location"])
                return Fetched(address, answer.content_type, await self._body(address, answer))
        except ClientError as error:
            told = f"{without_secrets(address)} does not answer, or with what cannot be read."
            raise SiteUnavailable(told) from error

    async def _body(self, address: str, answer: ClientResponse) -> bytes:
        if answer.status != _OK:
            told = f"{without_secrets(address)} answers with status {answer.status}."
            raise SiteUnavailable(told)
        try:
            return await read_limited(answer, self._limit)
        except ValueError as error:
            raise SiteUnavailable(f"{without_secrets(address)} cannot be used: {error}.") from error


@asynccontextmanager
async def open_site_client(
    admitted: Sequence[Network] = (),
    *,
    resolver: AbstractResolver | None = None,
    limit: int = LARGEST,
    seconds: float = SECONDS,
) -> AsyncGenerator[SiteClient]:
    """Networks that are `admitted` may be asked though they are private, and on any port.

    Proxies of the environment are not used: a proxy resolves names itself, so that what was checked
    and what is asked could differ.
    """
    guard = Guard(admitted)
    guarded = GuardedResolver(resolver or ThreadedResolver(), guard)
    async with ClientSession(
        connector=TCPConnector(resolver=guarded, use_dns_cache=False, ssl=trusted()),
        cookie_jar=DummyCookieJar(),
        timeout=ClientTimeout(),
        trust_env=False,
    ) as http:
        yield SiteClient(http, guard, limit, seconds)


def _written(url: str) -> str:
    try:
        return web_address(url).partition("#")[0]
    except ValueError as error:
        raise AddressRefused(f"The address cannot be used: {error}.") from None


def _moved(address: str, location: str) -> str:
    """Raises `AddressRefused` for one that is none, or that gives up encryption."""
    try:
        target = urljoin(address, location)
    except ValueError:
        target = ""
    target = _written(target)
    if urlsplit(address).scheme == "https" and urlsplit(target).scheme != "https":
        raise AddressRefused(f"{without_secrets(address)} redirects to an address without HTTPS.")
    return target


def _origin(address: str) -> tuple[str, str]:
    parts = urlsplit(address)
    return parts.scheme, parts.netloc
