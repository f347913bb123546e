"""Tests of the log lines of a request, and of its request id."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from litestar.testing import TestClient

from app.api import create_app
from app.wiring import Services
from storage.errors import BudgetSpent, DatabaseUnavailable, ModelUnavailable
from storage.logs import REQUEST_ID
from tests.app.api.calls import API, FUEL, Client, ask, start_conversation, stream_events
from tests.app.api.conftest import local
from tests.doubles.issuer import Issuer
from tests.doubles.scripted import ScriptedLLM

Lines = pytest.LogCaptureFixture
SITE = "https://docs.example.com"
AWAY = {
    "fails_after": 0,
    "error": ModelUnavailable("It took too long.", model="m"),
}
FAULT = {"fails_after": 0, "error": ValueError("QUESTIONS")}


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Capture log lines of all levels."""
    caplog.set_level(logging.DEBUG, logger="ibid")
    return caplog


@pytest.fixture
def door(issuer: Issuer, tmp_path: Path) -> Iterator[Client]:
    settings = local(tmp_path, **issuer.settings(), cors_origins=SITE, sign_in_failures=2)
    with TestClient(create_app(settings)) as client:
        yield client


def records_of(lines: Lines, *events: str) -> list[logging.LogRecord]:
    return [line for line in lines.records if line.msg in events]


def failures(lines: Lines) -> list[logging.LogRecord]:
    """Return the warnings and errors."""
    return [line for line in lines.records if line.levelno >= logging.WARNING]


def request_id_of(response: httpx.Response) -> str:
    return response.headers["x-request-id"]


@pytest.mark.parametrize("sent", ["abc-1", "A" * 128, "0a.b_c-D"])
def test_an_id_that_is_sent_is_kept(client: Client, sent: str) -> None:
    response = client.get("/health/live", headers={"x-request-id": sent})
    assert request_id_of(response) == sent


@pytest.mark.parametrize("sent", ["", "A" * 129, "a b", "a\u202eb", "<x>", "a;b", "a\tb"])
def test_one_that_makes_no_sense_is_replaced(client: Client, sent: str) -> None:
    response = client.get("/health/live", headers={"x-request-id": sent.encode()})
    assert UUID(request_id_of(response))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/assets/page.css", 200),
        ("GET", "/assets/none", 404),
        ("GET", "/schema", 200),
        ("GET", "/nowhere", 404),
        ("PUT", "/health/live", 405),
        ("GET", f"{API}/jobs/{UUID(int=1)}", 401),
        ("POST", f"{API}/conversations", 401),
        ("OPTIONS", f"{API}/conversations", 204),
    ],
)
def test_every_answer_has_an_id(door: Client, method: str, path: str, status: int) -> None:
    headers = {"x-request-id": "mine", "origin": SITE}
    if method == "OPTIONS":
        asked = {"access-control-request-method": "POST"}
        headers |= asked | {"access-control-request-headers": "x-request-id"}
    response = door.request(method, path, headers=headers)
    assert (response.status_code, request_id_of(response)) == (status, "mine")
    if status >= 400:
        assert response.json()["request_id"] == "mine"
    if method == "OPTIONS":
        assert "x-request-id" in response.headers["access-control-allow-headers"].lower()
    else:
        assert "X-Request-Id" in response.headers["access-control-expose-headers"]


def test_a_body_that_makes_no_sense_is_told_with_an_id(client: Client) -> None:
    response = client.post(
        f"{start_conversation(client)}/messages", json={}, headers={"x-request-id": "mine"}
    )
    assert (response.status_code, response.json()["request_id"]) == (400, "mine")


@pytest.mark.parametrize("scripted", [AWAY], indirect=True)
def test_a_turn_that_fails_has_one_line(
    client: Client, scripted: ScriptedLLM, lines: Lines
) -> None:
    conversation = start_conversation(client)
    for is_stream in (False, True):
        if is_stream:
            body = json.loads(stream_events(client, conversation)[-1].data)
        else:
            body = ask(client, conversation).json()
        (line,) = failures(lines)
        fields = vars(line)
        assert line.msg == "turn_failed"
        assert line.levelname == "WARNING"
        assert fields["route"] == f"{API}/conversations/{{conversation_id}}/messages"
        assert str(fields["conversation_id"]) in conversation
        assert (fields["method"], fields["status"], fields["model"]) == ("POST", 503, "m")
        assert (fields["error"], fields["reason"]) == ("ModelUnavailable", body["detail"])
        assert fields["seconds"] >= 0
        assert UUID(body["request_id"])
        lines.clear()


@pytest.mark.parametrize("scripted", [FAULT], indirect=True)
def test_a_fault_of_ours_keeps_its_traceback(
    client: Client, scripted: ScriptedLLM, lines: Lines
) -> None:
    conversation = start_conversation(client)
    assert ask(client, conversation).status_code == 500
    last = json.loads(stream_events(client, conversation)[-1].data)
    assert (last["status"], last["title"]) == (500, "Internal Server Error")
    one, other = failures(lines)
    for line in (one, other):
        assert (line.msg, line.levelname) == ("turn_failed", "ERROR")
        assert line.exc_info
        assert vars(line)["error"] == "ValueError"
        assert "reason" not in vars(line)


@pytest.mark.parametrize(
    "scripted", [{"fails_after": 0, "error": BudgetSpent("It is spent.")}], indirect=True
)
def test_a_spent_budget_is_told(client: Client, scripted: ScriptedLLM, lines: Lines) -> None:
    assert ask(client, start_conversation(client)).status_code == 429
    (line,) = failures(lines)
    assert (line.msg, vars(line)["error"]) == ("turn_failed", "BudgetSpent")


def test_what_was_refused_is_no_failure(client: Client, lines: Lines) -> None:
    assert ask(client, start_conversation(client), " ").status_code == 400
    assert ask(client, f"{API}/conversations/{uuid4()}").status_code == 404
    assert client.get("/nowhere").status_code == 404
    assert not failures(lines)


def test_a_turn_that_is_answered_is_told_with_its_id(client: Client, lines: Lines) -> None:
    seen: list[str | None] = []

    class Seeing(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            seen.append(REQUEST_ID.get())
            return True

    log, seeing = logging.getLogger("ibid.chat"), Seeing()
    log.addFilter(seeing)
    try:
        path = f"{start_conversation(client)}/messages"
        client.post(path, json={"text": FUEL}, headers={"x-request-id": "mine"})
        stream = {"x-request-id": "other", "accept": "text/event-stream"}
        client.post(path, json={"text": FUEL}, headers=stream)
    finally:
        log.removeFilter(seeing)
    assert seen == ["mine", "other"]
    assert [line.msg for line in records_of(lines, "turn_completed")] == ["turn_completed"] * 2


def test_a_request_that_fails_has_one_line(
    client: Client, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    services: Services = client.app.state.services

    async def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("The database cannot be reached: refused.")

    monkeypatch.setattr(type(services.history), "recent", away)
    response = client.get(f"{API}/conversations?q=QUESTIONS")
    assert response.status_code == 503
    (line,) = failures(lines)
    assert line.msg == "request_failed"
    assert vars(line)["reason"] == "The database cannot be reached: refused."
    assert "QUESTIONS" not in str(vars(line))


def test_a_refused_sign_in_says_why_and_from_where(
    door: Client, issuer: Issuer, lines: Lines
) -> None:
    bad = {
        "ibid_unknown": "The key is unknown, revoked or expired.",
        issuer.token("ada", aud="other"): "`aud` has other values",
        "ibid_other": "Your address has sent too many invalid keys or tokens.",
    }
    for credential, why in bad.items():
        door.get(f"{API}/corpora", headers={"authorization": f"Bearer {credential}"})
        (line,) = records_of(lines, "sign_in_refused")
        assert re.search(why, vars(line)["reason"], re.IGNORECASE)
        assert (line.levelname, vars(line)["address"]) == ("WARNING", "testclient")
        assert credential not in str(vars(line))
        lines.clear()
    door.get(f"{API}/corpora")
    (line,) = records_of(lines, "sign_in_refused")
    assert line.levelname == "INFO", "who sent nothing did not try"


def test_an_access_log_has_one_line_a_request_and_no_query(tmp_path: Path, lines: Lines) -> None:
    with TestClient(create_app(local(tmp_path, allowed_hosts="*", access_log=True))) as client:
        client.get(f"{API}/conversations?q=QUESTIONS")
        client.get("/nowhere")
        client.get("/health/live")
    found = [vars(line) for line in records_of(lines, "request")]
    told = [(each["levelname"], each["method"], each["path"], each["status"]) for each in found]
    assert told == [
        ("INFO", "GET", f"{API}/conversations", 200),
        ("INFO", "GET", "/nowhere", 404),
        ("DEBUG", "GET", "/health/live", 200),
    ]
    assert all(each["bytes"] > 0 and each["address"] == "testclient" for each in found)
    assert "QUESTIONS" not in str(found)


def test_by_default_there_is_none(client: Client, lines: Lines) -> None:
    client.get(f"{API}/conversations")
    assert not records_of(lines, "request")
