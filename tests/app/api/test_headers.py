"""Tests of security headers: every response has each of them exactly once."""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from litestar.testing import TestClient

import app.web
from app.api import create_app
from app.api.downloads import file_response
from tests.app.api.calls import API, FUEL, Client, ask, start_conversation
from tests.app.api.conftest import local
from tests.doubles.issuer import Issuer

CLOSED = "default-src 'none'; frame-ancestors 'none'"
ASSETS = Path(app.web.__file__).parent / "assets"


def assert_guarded(response: httpx.Response, cache: str = "no-store") -> None:
    headers = response.headers
    told = f"{response.request.method} {response.request.url} {response.status_code}"
    assert headers.get_list("x-content-type-options") == ["nosniff"], told
    assert headers.get_list("referrer-policy") == ["no-referrer"], told
    assert headers.get_list("cache-control") == [cache], told
    (policy,) = headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'"), told
    assert "frame-ancestors 'none'" in policy, told
    assert "unsafe" not in policy, told
    if not headers.get("content-type", "").startswith("text/html"):
        assert "script-src" not in policy, told
    names = [name.lower() for name, _ in headers.raw]
    assert len(names) == len(set(names)), told


@pytest.fixture(scope="module")
def door(issuer: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """The API with sign-in and a limit of two requests per minute."""
    folder = tmp_path_factory.mktemp("headers")
    settings = local(folder, **issuer.settings(), rate_limit=2, cors_origins="https://docs.example")
    with TestClient(create_app(settings)) as client:
        yield client


def test_every_operation_says_so_whatever_it_answers(client: Client) -> None:
    statuses: set[int] = set()
    for path, operations in client.get("/schema/openapi.json").json()["paths"].items():
        for method in operations:
            if (method, path) == ("post", f"{API}/releases"):
                continue  # it would build an index
            response = client.request(method, re.sub(r"\{\w+\}", str(uuid4()), path))
            statuses.add(response.status_code)
            assert_guarded(response)
    assert statuses >= {200, 201, 400, 404}


def test_what_is_kept_says_so(client: Client) -> None:
    conversation = start_conversation(client)
    answer = ask(client, conversation).json()
    message = f"{API}/messages/{answer['message_id']}"
    for path in (
        conversation,
        f"{conversation}/export",
        f"{conversation}/export?format=markdown",
        f"{message}/citations?format=bibtex",
        f"{message}/html",
        f"{API}/search?q={FUEL}",
        "/schema",
        "/schema/openapi.json",
        "/health/live",
    ):
        response = client.get(path)
        assert response.status_code == 200, path
        assert_guarded(response)
    events = {"accept": "text/event-stream"}
    stream = client.post(f"{conversation}/messages", json={"text": FUEL}, headers=events)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert_guarded(stream)
    assert_guarded(client.delete(conversation))


def test_errors_say_so(client: Client, door: Client, issuer: Issuer) -> None:
    large = b'"' + b"x" * 1_000_001 + b'"'
    token = {"authorization": f"Bearer {issuer.token('ada')}"}
    new = {"json": {"name": "x"}, "headers": token}
    told = {
        400: client.post(f"{API}/corpora", content=b"{"),
        404: client.get("/nowhere"),
        405: client.put("/health/live"),
        413: client.post(f"{API}/corpora", content=large),
        401: door.get(f"{API}/corpora"),
        403: door.post(f"{API}/corpora", **new),
        204: door.options(
            f"{API}/corpora",
            headers={"origin": "https://docs.example", "access-control-request-method": "GET"},
        ),
    }
    for _ in range(3):
        told[429] = door.get(f"{API}/corpora", headers=token)
    for status, response in told.items():
        assert response.status_code == status, response.text
        assert_guarded(response)


def test_a_fault_of_ours_says_so(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client.app.state.services.search, "_indexes", None)
    response = client.get(f"{API}/search", params={"q": FUEL})
    assert response.status_code == 500
    assert_guarded(response)


@pytest.mark.parametrize("path", ["/", *(f"/assets/{path.name}" for path in ASSETS.iterdir())])
def test_the_page_and_its_files_say_so(client: Client, path: str) -> None:
    for method in ("GET", "HEAD"):
        response = client.request(method, path)
        if response.status_code == 405:
            continue
        assert_guarded_page(response)


def assert_guarded_page(response: httpx.Response) -> None:
    headers = response.headers
    assert response.status_code == 200
    assert headers.get_list("cache-control") == ["no-cache"]
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    (policy,) = headers.get_list("content-security-policy")
    assert "script-src 'self'; style-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("name", ["page.html", "page.svg", "page.xhtml", "page.js", "page.md"])
def test_an_uploaded_page_never_runs_here(name: str) -> None:
    page = b"<html xmlns='http://www.w3.org/1999/xhtml'><script>alert(1)</script></html>"
    original = file_response(f"uploads/{name}", page)
    assert original.media_type in ("text/plain", "application/octet-stream")
    as_text = original.media_type == "text/plain"
    disposition = original.headers["Content-Disposition"]
    assert disposition.startswith("inline" if as_text else "attachment")
    assert "sandbox" in original.headers["Content-Security-Policy"]


def test_the_schema_page_may_have_its_own_style_and_nothing_else(client: Client) -> None:
    response = client.get("/schema")
    assert response.headers["content-type"].startswith("text/html")
    (style,) = re.findall("<style>(.*?)</style>", response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in response.headers["content-security-policy"]
    assert not re.search(r"<script|<img|<link|\sstyle=|\son\w+=", response.text)
