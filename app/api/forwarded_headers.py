"""The client's address and the server's public URL, as trusted proxies report them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from litestar import Request
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from app.api.client_network import parse_address
from app.settings import Settings
from storage.http.networks import Network

_PREFIX = re.compile(r"(/[\w.~-]+)+")
_PAIR = re.compile(r'([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))|(,)')

Headers = list[tuple[bytes, bytes]]


class ProxyHeadersMiddleware:
    """An ASGI middleware that sets client, scheme, host and sub-path in the scope.

    `X-Forwarded-*` and `Forwarded` are read only if they come from a trusted address; `X-Forwarded-*` takes
    precedence. A trusted proxy must set or remove each of these headers, because clients can send them too.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._trusted = settings.proxies
        self._sub_path = settings.public_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the scope. Redirect a request for the sub-path without its final slash."""
        if scope["type"] == "http":
            values = (
                self._forwarded_values(scope)
                if _is_within(address_of(scope), self._trusted)
                else {}
            )
            _apply(scope, values, self._trusted)
            if self._sub_path and scope["path"] == self._sub_path:
                await _redirect(scope, send, self._sub_path + "/")
                return
            _set_path(scope, self._sub_path, values.get("prefix", ""))
        await self._app(scope, receive, send)

    def _forwarded_values(self, scope: HTTPScope) -> dict[str, str]:
        """Return what the headers say: all values of `for` in order, and the last value of the others.

        The last value is the one that the nearest proxy added.
        """
        headers = cast("Headers", scope["headers"])
        values = {
            name: value
            for name in ("for", "host", "proto", "prefix")
            if (value := _header(headers, f"x-forwarded-{name}"))
        }
        if not values:
            values = _parse_forwarded(_header(headers, "forwarded"))
        return {
            name: value if name == "for" else value.rpartition(",")[2].strip()
            for name, value in values.items()
        }


def base_url(request: Request[Any, Any, Any]) -> str:
    """Return the server's URL, with its sub-path and without a slash at the end."""
    public: str | None = request.app.state.public_url
    host = request.headers.get("host", "")
    return public or f"{request.scope['scheme']}://{host}{request.scope.get('root_path', '')}"


def address_of(scope: Scope) -> str:
    """Return the client's IP address, or "unknown"."""
    client = scope.get("client")
    return client[0] if client else "unknown"


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


def _apply(scope: HTTPScope, values: dict[str, str], trusted: Sequence[Network]) -> None:
    if "for" in values:
        scope["client"] = (_client_address(values["for"], trusted, address_of(scope)), 0)
    if values.get("proto") in ("http", "https"):
        scope["scheme"] = values["proto"]
    if host := values.get("host"):
        others = [pair for pair in cast("Headers", scope["headers"]) if pair[0] != b"host"]
        scope["headers"] = [(b"host", host.encode("latin-1")), *others]


def _client_address(forwarded_for: str, trusted: Sequence[Network], peer: str) -> str:
    """Return the last address that is not a trusted proxy's. Clients can forge the addresses before it."""
    client = peer
    for hop in reversed(forwarded_for.split(",")):
        address = parse_address(hop)
        if address is None:
            break
        client = str(address)
        if not _is_within(client, trusted):
            break
    return client


def _set_path(scope: HTTPScope, sub_path: str, stripped: str) -> None:
    """Set the path with the sub-path as its prefix, whether or not a proxy has stripped it."""
    if sub_path:
        if not scope["path"].startswith(sub_path + "/"):
            scope["path"] = sub_path + scope["path"]
        scope["root_path"] = sub_path
    elif _PREFIX.fullmatch(stripped.rstrip("/")):
        scope["root_path"] = stripped.rstrip("/")
        scope["path"] = scope["root_path"] + scope["path"]


def _header(headers: Headers, name: str) -> str:
    return ",".join(value.decode("latin-1") for key, value in headers if key == name.encode())


def _parse_forwarded(header: str) -> dict[str, str]:
    """Parse `Forwarded` (RFC 7239). Return the last hop's values; join all `for` addresses with commas."""
    hops = list(_hops(header))
    values = dict(hops[-1]) if hops else {}
    if any("for" in hop for hop in hops):
        values["for"] = ",".join(hop.get("for", "unknown") for hop in hops)
    return {name: values[name] for name in ("for", "host", "proto") if name in values}


def _hops(header: str) -> Iterator[dict[str, str]]:
    hop: dict[str, str] = {}
    for name, quoted, plain, comma in _PAIR.findall(header):
        if comma:
            yield hop
            hop = {}
        else:
            hop[name.lower()] = re.sub(r"\\(.)", r"\1", quoted) or plain
    if hop:
        yield hop


async def _redirect(scope: HTTPScope, send: Send, path: str) -> None:
    query = b"?" + scope["query_string"] if scope["query_string"] else b""
    headers = [(b"location", path.encode() + query), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
