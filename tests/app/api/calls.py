"""Helpers for the tests of the API: calls, and checks of error responses."""

import json
import re
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse
from litestar import Litestar
from litestar.testing import TestClient

Client = TestClient[Litestar]
JSON = dict[str, Any]

API = "/api/v1"
FUEL = "How much paraffin does the lamp burn?"
CHESS = "Who won the chess championship in 1972?"


def start_conversation(client: Client) -> str:
    """Create a conversation and return its path."""
    return f"{API}/conversations/{client.post(f'{API}/conversations').json()['id']}"


def ask(client: Client, conversation: str, text: str = FUEL, **body: Any) -> httpx.Response:
    return client.post(f"{conversation}/messages", json={"text": text, **body})


def stream_events(client: Client, conversation: str, text: str = FUEL) -> list[ServerSentEvent]:
    path = f"{conversation}/messages"
    with connect_sse(client, "POST", path, json={"text": text}) as source:
        assert source.response.status_code == 201
        return list(source.iter_sse())


def assert_problem(response: httpx.Response, status: int, pattern: str = "") -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    problem = response.json()
    assert problem["status"] == status
    assert problem["title"]
    assert re.search(pattern, problem["detail"] + json.dumps(problem.get("extra", ""))), problem
    assert "Traceback" not in response.text
