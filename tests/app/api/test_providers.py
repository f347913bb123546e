"""Tests of hosted models over REST: restart events, exhausted budgets and the usage endpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient
from pydantic import SecretStr

from app.api import create_app
from app.settings import Settings
from app.wiring import Services
from tests.app.api.calls import API, Client, ask, assert_problem, start_conversation, stream_events
from tests.app.api.conftest import local
from tests.doubles.services import Doubles, run_in_thread
from tests.library import write_docs

KEY = "sk-secret-0451"


@pytest.fixture(scope="module")
def doubles() -> Iterator[Doubles]:
    with run_in_thread() as doubles:
        yield doubles


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_docs(tmp_path_factory.mktemp("hosted") / "docs").parent


def settings_for(folder: Path, doubles: Doubles, *models: str, **more: Any) -> Settings:
    return local(
        folder,
        allowed_hosts="*",
        openrouter_api_key=SecretStr(KEY),
        openrouter_base_url=doubles.openrouter,
        openrouter_models=",".join(f"double/{model}" for model in models),
        **more,
    )


@pytest.fixture(scope="module")
def client(folder: Path, doubles: Doubles) -> Iterator[Client]:
    with TestClient(create_app(settings_for(folder, doubles, "cut", "answers"))) as client:
        services: Services = client.app.state.services
        client.blocking_portal.call(services.ingestion.run, [folder / "docs"])
        yield client


def test_a_stream_says_where_it_begins_anew(client: Client) -> None:
    events = stream_events(client, start_conversation(client))
    kinds = [event.event for event in events]
    restart = kinds.index("restart")
    assert kinds.count("restart") == 1
    assert "token" in kinds[:restart]
    attempt = json.loads(events[restart].data)["attempt"]
    assert attempt["model"] == "double/cut"
    answer = json.loads(events[-1].data)["answer"]
    said = [json.loads(e.data)["text"] for e in events[restart:] if e.event == "token"]
    assert "".join(said) == answer["text"]
    assert answer["model"] == "double/answers"
    assert answer["attempts"] == [attempt]


def test_a_stream_says_what_is_searched_for_a_follow_up(folder: Path, doubles: Doubles) -> None:
    with TestClient(create_app(settings_for(folder, doubles, "means-the-foghorn"))) as client:
        conversation = start_conversation(client)
        ask(client, conversation)
        first, second, third, *_, last = stream_events(client, conversation, "What is it for?")
    assert [first.event, second.event, third.event] == ["condensing", "condensed", "retrieved"]
    assert json.loads(first.data) == {"model": "double/means-the-foghorn"}
    condensed = json.loads(second.data)
    assert condensed["query"] == "What is the foghorn for?"
    assert json.loads(last.data)["answer"]["rewriting"] == condensed["rewriting"]


def test_what_was_spent_can_be_read(client: Client) -> None:
    assert ask(client, start_conversation(client)).status_code == 201
    report = client.get(f"{API}/usage", params={"days": 1}).json()
    by_model = {one["model"]: one for one in report["spent"]}
    assert by_model["double/answers"]["calls"] == by_model["double/cut"]["calls"]
    assert by_model["double/answers"]["cost"] > 0
    assert report["cost"] == pytest.approx(sum(one["cost"] for one in report["spent"]))
    assert [budget["limit"] for budget in report["budgets"]] == [None, None]
    assert_problem(client.get(f"{API}/usage?days=0"), 400, "between 1 and 366")


def test_no_model_left_is_a_problem_and_a_last_event(folder: Path, doubles: Doubles) -> None:
    with TestClient(create_app(settings_for(folder, doubles, "status-402"))) as client:
        response = ask(client, start_conversation(client))
        assert_problem(response, 503, "no credits left.*question is kept")
        assert KEY not in response.text
        kinds = {
            event.event: event.data for event in stream_events(client, start_conversation(client))
        }
        assert json.loads(kinds["failed"])["title"] == "ModelUnavailable"
        assert KEY not in client.get("/schema/openapi.json").text


def test_a_spent_budget_is_too_many_requests(folder: Path, doubles: Doubles) -> None:
    settings = settings_for(folder, doubles, "answers", monthly_budget=0.0)
    with TestClient(create_app(settings)) as client:
        conversation = start_conversation(client)
        assert_problem(ask(client, conversation), 429, "monthly budget of \\$0.00 is used up")
        assert client.get(conversation).json()["messages"] == []
