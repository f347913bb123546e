"""Tests of which sites' pages may call the API, and under which host names."""

from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import pytest
from litestar.testing import TestClient

from app.api import create_app
from tests.app.api.calls import API, Client, assert_problem
from tests.app.api.conftest import local

DOCS = "https://docs.example.com"
TRACED = "authorization, content-type, traceparent, tracestate, baggage, sentry-trace, x-request-id"


@contextmanager
def open_api(folder: Path, **settings: str) -> Iterator[Client]:
    app = create_app(local(folder, **settings))
    with TestClient(app, base_url="http://127.0.0.1:8000") as client:
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The API without sign-in, which only pages of the listed origins may call."""
    origins = f"{DOCS},https://*.example.net,http://localhost:3000"
    with open_api(tmp_path_factory.mktemp("origins"), cors_origins=origins) as client:
        yield client


@pytest.mark.parametrize("origin", [DOCS, "https://a.example.net", "http://localhost:3000"])
def test_a_page_of_a_listed_site_calls_the_api(client: Client, origin: str) -> None:
    asked = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": f"{TRACED}, idempotency-key, last-event-id",
    }
    preflight = client.options(f"{API}/conversations", headers=asked)
    assert preflight.status_code == 204
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert all(name in allowed for name in TRACED.split(", "))
    made = client.post(f"{API}/conversations", headers={"origin": origin})
    assert made.status_code == 201
    assert made.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in made.headers
    exposed = made.headers["access-control-expose-headers"]
    for name in ("Location", "Retry-After", "X-Request-Id", "RateLimit-Remaining"):
        assert name in exposed


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://docs.example.com",
        "https://docs.example.com.evil.example",
        "https://docs.example.com:8443",
        "https://example.net",
        "https://evil.example#.example.net",
        "",
    ],
)
def test_no_other_site_may(client: Client, origin: str) -> None:
    for method in ("GET", "POST"):
        refused = client.request(method, f"{API}/corpora", headers={"origin": origin})
        assert_problem(refused, 400, "may not call the server")
        assert "access-control-allow-origin" not in refused.headers
    asked = {"origin": origin, "access-control-request-method": "POST"}
    if origin:
        assert client.options(f"{API}/corpora", headers=asked).status_code == 400


def test_a_listed_site_does_not_open_the_server_to_another_name(client: Client) -> None:
    headers = {"origin": DOCS, "host": "evil.example"}
    assert_problem(client.post(f"{API}/conversations", headers=headers), 400, "ALLOWED_HOSTS")


@pytest.mark.parametrize(
    ("public", "host", "origin"),
    [
        ("https://ibid.example.com", "127.0.0.1:8000", "https://ibid.example.com"),
        ("https://ibid.example.com:8443", "ibid.example.com", "https://ibid.example.com:8443"),
        ("https://ibid.example.com/docs", "IBID.example.com", "https://ibid.example.com"),
    ],
)
def test_where_the_server_is_reached_is_one_setting(
    tmp_path: Path, public: str, host: str, origin: str
) -> None:
    """Test nginx without a Host directive, with `$host` on another port, and with a sub-path."""
    with open_api(tmp_path, public_url=public) as client:
        own = {"host": host, "origin": origin}
        assert client.post(f"{API}/conversations", headers=own).status_code == 201
        assert client.get("/", headers={"host": host}).status_code == 200
        page = unescape(client.get("/schema", headers={"host": host}).text)
        assert f"curl -X GET '{public}/api/v1/" in page
        assert 'href="schema/openapi.json"' in page
        document = client.get("/schema/openapi.json", headers={"host": host}).json()
        assert document["servers"] == [{"url": public}]
        foreign = {"host": host, "origin": "https://evil.example"}
        assert_problem(client.post(f"{API}/conversations", headers=foreign), 400, "Pages of")
        assert_problem(client.get("/", headers={"host": "evil.example"}), 400, "evil.example")


def test_without_it_the_refusal_says_what_it_saw_and_what_to_set(tmp_path: Path) -> None:
    with open_api(tmp_path) as client:
        own = {"host": "127.0.0.1:8000", "origin": "https://ibid.example.com"}
        told = client.post(f"{API}/conversations", headers=own)
        assert_problem(told, 400, "'https://ibid.example.com'.*'127.0.0.1:8000'.*PUBLIC_URL")


@pytest.mark.parametrize("default", ["ibid.example.com", "ibid.example.com:443"])
def test_a_default_port_makes_no_difference(tmp_path: Path, default: str) -> None:
    with open_api(tmp_path, allowed_hosts="ibid.example.com") as client:
        own = {"host": default, "origin": "https://ibid.example.com"}
        assert client.post(f"{API}/conversations", headers=own).status_code == 201
