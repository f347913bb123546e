"""Ask in one call: a new conversation with its first answer; and frames of another interface."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from httpx_sse import connect_sse
from litestar import Request, post
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody
from litestar.response import Stream
from litestar.testing import TestClient

from app.api import create_app
from app.api.sse import encode_event
from app.api.turns import stream_turn
from app.chat.events import ChatEvent, Completed, Token
from app.wiring import Services
from tests.app.api.calls import API, FUEL, Client, assert_problem, start_conversation, stream_events
from tests.app.api.conftest import local
from tests.doubles.scripted import ScriptedLLM
from tests.library import write_docs

ASK = f"{API}/ask"
STREAM = {"accept": "text/event-stream"}


def conversations(client: Client) -> list[str]:
    found = client.get(f"{API}/conversations", params={"limit": 200}).json()["conversations"]
    return [one["id"] for one in found]


def test_one_call_starts_a_conversation_and_answers(client: Client) -> None:
    response = client.post(ASK, json={"text": FUEL, "verify": "strict"})
    assert response.status_code == 201
    answer = response.json()
    assert answer["status"] == "answered"
    path = urljoin(ASK, response.headers["location"])
    assert path == f"{API}/conversations/{answer['conversation_id']}"
    told = client.get(path).json()
    assert told["title"] == FUEL
    assert [message["role"] for message in told["messages"]] == ["user", "assistant"]
    assert told["messages"][1]["answer"] == answer
    again = client.post(f"{path}/messages", json={"text": "And why?"})
    assert again.status_code == 201


def test_it_streams_the_same_events_as_a_conversation(client: Client) -> None:
    with connect_sse(client, "POST", ASK, json={"text": FUEL}) as source:
        assert source.response.status_code == 201
        location = source.response.headers["location"]
        events = list(source.iter_sse())
    usual = stream_events(client, start_conversation(client))
    assert [event.event for event in events] == [event.event for event in usual]
    assert events[-1].event == "completed"
    assert location.endswith(events[-1].json()["answer"]["conversation_id"])


@pytest.mark.parametrize("headers", [{}, STREAM])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": " "}, 400),
        ({"text": FUEL, "filter": {"colour": "red"}}, 400),
        ({"text": FUEL, "corpora": ["ships"]}, 404),
        ({"text": FUEL, "instead_of": "00000000-0000-0000-0000-000000000000"}, 400),
        ({}, 400),
    ],
)
def test_a_refused_question_leaves_no_conversation(
    client: Client, headers: dict[str, str], body: dict[str, Any], status: int
) -> None:
    before = conversations(client)
    response = client.post(ASK, json=body, headers=headers)
    assert_problem(response, status)
    assert "location" not in response.headers
    assert conversations(client) == before


def test_a_spent_budget_leaves_no_conversation(tmp_path: Path) -> None:
    with TestClient(create_app(local(tmp_path, allowed_hosts="*", daily_budget=0.0))) as client:
        services: Services = client.app.state.services
        client.blocking_portal.call(services.ingestion.run, [write_docs(tmp_path / "docs")])
        for headers in ({}, STREAM):
            assert_problem(client.post(ASK, json={"text": FUEL}, headers=headers), 429, "budget")
        assert conversations(client) == []


@pytest.mark.parametrize("scripted", [{"pieces": ["It "], "fails_after": 0}], indirect=True)
def test_a_question_that_no_model_answers_is_kept(client: Client, scripted: ScriptedLLM) -> None:
    before = conversations(client)
    with connect_sse(client, "POST", ASK, json={"text": FUEL}) as source:
        events = list(source.iter_sse())
    assert [event.event for event in events] == ["retrieved", "failed"]
    assert len(scripted.prompts) == 1
    assert len(conversations(client)) == len(before) + 1


class DataFrames:
    """Frames without names: the words, and a mark at the end."""

    def event(self, event: ChatEvent) -> bytes:
        if isinstance(event, Token):
            return encode_event(json.dumps({"delta": event.text}))
        return encode_event("[DONE]") if isinstance(event, Completed) else b""

    def failure(self, problem: Mapping[str, object]) -> bytes:
        return encode_event(json.dumps({"error": problem["detail"]}))


@post("/toy", opt={"right": "ask"})
async def toy(
    data: JSONBody[dict[str, str]],
    services: NamedDependency[Services],
    request: Request[Any, Any, State],
) -> Stream:
    """Answer without a conversation, in frames of its own."""
    return await stream_turn(services.turns.stream(data["text"]), DataFrames(), request)


@pytest.mark.parametrize(
    "scripted",
    [{"pieces": ["It burns ", "[1]."]}, {"pieces": ["It "], "fails_after": 0}],
    indirect=True,
)
def test_another_interface_has_frames_of_its_own(client: Client, scripted: ScriptedLLM) -> None:
    if not any(route.path == "/toy" for route in client.app.routes):
        client.app.register(toy)
    before = conversations(client)
    with connect_sse(client, "POST", "/toy", json={"text": FUEL}) as source:
        events = list(source.iter_sse())
    assert {event.event for event in events} == {"message"}
    if scripted.fails_after is None:
        *words, last = events
        assert "".join(event.json()["delta"] for event in words) == "It burns [1]."
        assert last.data == "[DONE]"
    else:
        assert [event.json() for event in events] == [{"error": "The model hung up."}]
    assert conversations(client) == before
