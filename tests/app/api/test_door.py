"""Tests of host and origin checks, and of the API's documentation pages."""

import json
import re

import pytest

from tests.app.api.calls import API, JSON, Client, assert_problem
from tests.app.shapes import ANSWER


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:51234", "[::1]:8000", "LOCALHOST"]
)
def test_the_server_answers_to_this_machine(guarded: Client, host: str) -> None:
    for path in ("/health/live", f"{API}/corpora", "/schema"):
        assert guarded.get(path, headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8000", "127.0.0.1.evil.example", "[::1", ""]
)
def test_the_server_does_not_answer_to_a_foreign_name(guarded: Client, host: str) -> None:
    for path in ("/", f"{API}/corpora", "/schema"):
        assert_problem(guarded.get(path, headers={"host": host}), 400, "ALLOWED_HOSTS")
    assert_problem(guarded.post(f"{API}/conversations", headers={"host": host}), 400)


@pytest.mark.parametrize("host", ["10.42.0.7:8000", "evil.example"])
def test_probes_are_answered_under_any_name(guarded: Client, host: str) -> None:
    for path in ("/health/live", "/health/ready"):
        assert guarded.get(path, headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
def test_another_sites_page_can_send_nothing(guarded: Client, origin: str) -> None:
    headers = {"host": "localhost:8000", "origin": origin, "content-type": "text/plain"}
    for path in (f"{API}/conversations", f"{API}/corpora"):
        response = guarded.post(path, headers=headers, content='{"name": "theirs"}')
        assert_problem(response, 400, "Pages of .*PUBLIC_URL.*CORS_ORIGINS")
    own = guarded.post(
        f"{API}/conversations",
        headers={"host": "localhost:8000", "origin": "http://localhost:8000"},
    )
    assert own.status_code == 201


def test_the_page_about_the_api_loads_nothing_from_elsewhere(client: Client) -> None:
    response = client.get("/schema")
    assert response.headers["content-type"].startswith("text/html")
    assert "<script" not in response.text
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//(?!testserver)", response.text)
    assert not re.search(r"@import|url\(", response.text)
    for path in schema(client)["paths"]:
        assert path in response.text


def schema(client: Client) -> JSON:
    return client.get("/schema/openapi.json").json()


def test_the_api_describes_itself(client: Client) -> None:
    described = schema(client)
    assert described["openapi"].startswith("3.1")
    operations = {
        f"{method.upper()} {path.removeprefix(API)}"
        for path, methods in described["paths"].items()
        for method in methods
    }
    assert operations == {
        "POST /ask",
        "POST /conversations",
        "GET /conversations",
        "GET /conversations/{conversation_id}",
        "PATCH /conversations/{conversation_id}",
        "DELETE /conversations/{conversation_id}",
        "GET /conversations/{conversation_id}/export",
        "POST /conversations/{conversation_id}/messages",
        "GET /messages/{message_id}/html",
        "GET /messages/{message_id}/citations",
        "GET /gaps",
        "POST /conversations/{conversation_id}/messages/{message_id}/regenerate",
        "PUT /conversations/{conversation_id}/messages/{message_id}/feedback",
        "GET /corpora",
        "POST /corpora",
        "PUT /corpora/{name}/readers",
        "PUT /corpora/{name}/peer-review",
        "DELETE /corpora/{name}",
        "GET /releases",
        "POST /releases",
        "GET /search",
        "GET /usage",
        "GET /passages/{passage_id}",
        "GET /sources",
        "GET /sources/{source_id}",
        "POST /sources",
        "DELETE /sources/{source_id}",
        "GET /sources/{source_id}/original",
        "GET /sources/{source_id}/text",
        "GET /jobs",
        "GET /jobs/{job_id}",
        "DELETE /jobs/{job_id}",
        "GET /health/live",
        "GET /health/ready",
    }
    shapes = described["components"]["schemas"]
    assert set(shapes["Answer"]["properties"]) == ANSWER
    references = re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(described))
    assert set(references) <= set(shapes)
