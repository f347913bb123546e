"""Tests of forwarded headers, and of which proxies are trusted."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.forwarded_headers import ProxyHeadersMiddleware
from tests.app.api.conftest import local

OURS = "10.0.0.0/8,192.168.1.5,2001:db8::/32"
HTTP = {"type": "http", "scheme": "http", "query_string": b"q=1", "root_path": ""}


def scope_seen(
    headers: dict[str, str] | list[tuple[str, str]],
    *,
    peer: str = "10.0.0.7",
    path: str = "/api/v1/corpora",
    **settings: Any,
) -> dict[str, Any]:
    """Return the scope that the application gets, or the response if the request is redirected."""
    seen_scope: dict[str, Any] = {}

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen_scope.update(scope)

    async def send(message: Any) -> None:
        seen_scope.update(message)

    pairs = headers.items() if isinstance(headers, dict) else headers
    sent = [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs]
    scope: Any = {**HTTP, "path": path, "client": (peer, 5), "headers": sent}
    wrapped = ProxyHeadersMiddleware(application, local(Path(), trusted_proxies=OURS, **settings))
    asyncio.run(wrapped(scope, None, send))  # type: ignore[arg-type]
    return seen_scope


def host_of(scope: dict[str, Any]) -> bytes:
    return dict(scope["headers"])[b"host"]


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.1, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ("198.51.100.1, nonsense, 10.1.1.1", "10.1.1.1"),
        ("nonsense", "10.0.0.7"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("[2001:db9::1]:4711", "2001:db9::1"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
def test_the_client_is_the_last_that_is_no_proxy_of_ours(forwarded_for: str, client: str) -> None:
    assert scope_seen({"x-forwarded-for": forwarded_for})["client"][0] == client


@pytest.mark.parametrize("peer", ["10.0.0.7", "192.168.1.5", "2001:db8::7", "::ffff:10.0.0.7"])
def test_a_trusted_proxy_says_how_the_server_was_reached(peer: str) -> None:
    headers = {
        "host": "127.0.0.1:8000",
        "x-forwarded-host": "ibid.example.com",
        "x-forwarded-proto": "https",
    }
    scope = scope_seen(headers, peer=peer)
    assert (host_of(scope), scope["scheme"]) == (b"ibid.example.com", "https")


def test_of_several_values_the_nearest_proxys_counts() -> None:
    headers = [
        ("host", "internal"),
        ("x-forwarded-host", "evil.example, ibid.example.com"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "https"),
    ]
    scope = scope_seen(headers)
    assert (host_of(scope), scope["scheme"]) == (b"ibid.example.com", "https")


def test_the_standard_header_says_the_same() -> None:
    told = 'for=198.51.100.1, for="[2001:db9::1]:80";host="ibid.example.com:8443";proto=https'
    scope = scope_seen({"host": "internal", "forwarded": told})
    assert scope["client"][0] == "2001:db9::1"
    assert (host_of(scope), scope["scheme"]) == (b"ibid.example.com:8443", "https")
    scope = scope_seen({"host": "internal", "forwarded": 'for=_hidden;by="x\\",;=y";proto=gopher'})
    assert (scope["client"][0], scope["scheme"], host_of(scope)) == (
        "10.0.0.7",
        "http",
        b"internal",
    )


def test_a_clients_own_forwarded_does_not_get_past_a_proxy_that_sets_the_others() -> None:
    headers = {"host": "internal", "forwarded": "for=1.1.1.1;host=evil.example"}
    scope = scope_seen({**headers, "x-forwarded-for": "203.0.113.9"})
    assert (scope["client"][0], host_of(scope)) == ("203.0.113.9", b"internal")


@given(
    st.sampled_from(["203.0.113.9", "11.0.0.1", "testclient", "2001:db9::1"]),
    st.dictionaries(
        st.sampled_from(["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"])
        | st.sampled_from(["x-forwarded-prefix", "forwarded"]),
        st.sampled_from(["10.0.0.7", "evil.example", "https", "/evil", "for=10.0.0.7;host=evil"]),
    ),
)
def test_nobody_else_is_believed(peer: str, headers: dict[str, str]) -> None:
    scope = scope_seen({"host": "ibid.example.com", **headers}, peer=peer)
    assert (scope["client"][0], scope["scheme"], scope["root_path"]) == (peer, "http", "")
    assert (host_of(scope), scope["path"]) == (b"ibid.example.com", "/api/v1/corpora")


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_whatever_stands_in_a_header_is_no_failure(text: str) -> None:
    for name in ("x-forwarded-for", "x-forwarded-prefix", "forwarded"):
        scope = scope_seen({"host": "internal", name: text})
        assert scope["path"].endswith("/api/v1/corpora")


@pytest.mark.parametrize("path", ["/api/v1/corpora", "/docs/api/v1/corpora"])
def test_a_sub_path_may_be_taken_off_or_left(path: str) -> None:
    scope = scope_seen({}, path=path, public_url="https://example.com/docs")
    assert (scope["root_path"], scope["path"]) == ("/docs", "/docs/api/v1/corpora")


@pytest.mark.parametrize(
    ("prefix", "root"), [("/docs", "/docs"), ("/a/b/", "/a/b"), ("//evil", ""), ("<b>", "")]
)
def test_a_proxy_may_say_what_it_took_off(prefix: str, root: str) -> None:
    scope = scope_seen({"x-forwarded-prefix": prefix})
    assert (scope["root_path"], scope["path"]) == (root, root + "/api/v1/corpora")


def test_a_sub_path_without_its_last_slash_is_sent_on() -> None:
    sent = scope_seen({}, path="/docs", public_url="https://example.com/docs")
    assert (sent["status"], dict(sent["headers"])[b"location"]) == (308, b"/docs/?q=1")
