"""Tests of the REST API over HTTP: search, reading and questions."""

import json
from uuid import UUID

import pytest

from tests.app.api.calls import (
    API,
    CHESS,
    FUEL,
    JSON,
    Client,
    ask,
    assert_problem,
    start_conversation,
    stream_events,
)
from tests.app.shapes import ANSWER, CITATION, CLAIM, PASSAGE
from tests.doubles.scripted import ScriptedLLM
from tests.library import PAGES

NOWHERE = UUID(int=7)

says = pytest.mark.parametrize(
    "scripted", [{"pieces": ["It burns ", "2.4 litres [", "1]. Always [9]."]}], indirect=True
)
hangs_up = pytest.mark.parametrize(
    "scripted", [{"pieces": ["It ", "burns"], "fails_after": 1}], indirect=True
)


def test_search_gives_passages_best_first(client: Client) -> None:
    response = client.get(f"{API}/search", params={"q": FUEL, "k": 3})
    assert response.status_code == 200
    passages = response.json()["passages"]
    assert len(passages) == 3
    assert set(passages[0]) >= PASSAGE
    assert "2.4 litres" in passages[0]["text"]
    scores = [passage["score"] for passage in passages]
    assert scores == sorted(scores, reverse=True)


def test_a_passage_is_read_in_its_context(client: Client) -> None:
    found = client.get(f"{API}/search", params={"q": "first-order Fresnel lens"}).json()
    passage = found["passages"][0]
    shown = client.get(f"{API}/passages/{passage['id']}").json()
    text = client.get(f"{API}/sources/{passage['source_id']}/text").json()["text"]
    assert shown["passage"]["text"] == passage["text"]
    assert shown["after"]
    assert shown["before"] + passage["text"] + shown["after"] in text


def test_sources_are_listed_and_read(client: Client) -> None:
    sources = client.get(f"{API}/sources").json()["sources"]
    assert len(sources) == len(PAGES)
    page = client.get(f"{API}/sources", params={"limit": 2, "offset": 1}).json()["sources"]
    assert page == sources[1:3]
    for source in sources:
        assert client.get(f"{API}/sources/{source['id']}").json() == source
        text = client.get(f"{API}/sources/{source['id']}/text", params={"version": 1}).json()
        assert (text["title"], text["version"]) == (source["title"], 1)
        assert text["text"]
    assert "digest" not in sources[0]


def test_a_corpus_is_made_listed_and_deleted(client: Client) -> None:
    made = client.post(
        f"{API}/corpora",
        json={"name": "boats", "base_url": "https://boats.example/", "language": "de"},
    )
    assert made.status_code == 201
    assert made.json() == {
        "name": "boats",
        "base_url": "https://boats.example",
        "language": "de",
        "access": "public",
        "peer_review_weight": 0.0,
        "readers": [],
        "sources": 0,
        "passages": 0,
    }
    listed = client.get(f"{API}/corpora").json()["corpora"]
    assert [corpus["name"] for corpus in listed] == ["boats", "default"]
    assert listed[1]["sources"] == len(PAGES)
    assert_problem(client.post(f"{API}/corpora", json={"name": "boats"}), 409, "already")
    assert client.get(f"{API}/search", params={"q": FUEL, "corpus": "boats"}).json() == {
        "passages": []
    }
    both = client.get(f"{API}/search?q={FUEL}&corpus=boats&corpus=default").json()
    assert both["passages"]
    assert client.get(f"{API}/sources", params={"corpus": "boats"}).json() == {"sources": []}
    assert client.delete(f"{API}/corpora/boats").status_code == 204
    assert_problem(client.delete(f"{API}/corpora/boats"), 404, "There are: default")


def test_health_is_told(client: Client) -> None:
    assert client.get("/health/live").json()["status"] == "live"
    assert client.get("/health/ready").json() == {"status": "ready", "release": "ibid-1"}


def test_an_answer_has_the_keys_that_were_promised(client: Client) -> None:
    response = ask(client, start_conversation(client))
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == ANSWER
    assert (answer["status"], answer["finish"]) == ("answered", "stop")
    assert (answer["model"], answer["release"], answer["abstention"]) == (
        "extractive",
        "ibid-1",
        None,
    )
    assert {key for claim in answer["claims"] for key in claim} == CLAIM
    citations = [citation for claim in answer["claims"] for citation in claim["citations"]]
    assert citations
    for citation in citations:
        assert set(citation) == CITATION
        source = f"{API}/sources/{citation['source_id']}/text"
        text = client.get(source, params={"version": citation["source_version"]}).json()["text"]
        assert text[citation["start"] : citation["end"]] == citation["quote"]
        assert citation["page"] is None
        assert citation["section"][0] == citation["title"]
    assert {source["id"] for source in answer["sources"]} == {c["source_id"] for c in citations}


def test_a_declined_question_is_an_answer_too(client: Client) -> None:
    response = ask(client, start_conversation(client), CHESS)
    assert response.status_code == 201
    answer = response.json()
    assert set(answer) == ANSWER
    assert (answer["status"], answer["model"], answer["claims"]) == ("abstained", None, [])
    assert answer["abstention"]["reason"] == "out_of_scope"
    for near in answer["abstention"]["nearest"]:
        assert client.get(f"{API}/passages/{near['passage_id']}").status_code == 200


def test_a_conversation_is_begun_continued_listed_and_deleted(client: Client) -> None:
    started = client.post(f"{API}/conversations", json={"title": "The lens"})
    assert started.status_code == 201
    assert started.json()["title"] == "The lens"
    path = f"{API}/conversations/{started.json()['id']}"
    assert client.get(path).json()["messages"] == []

    ask(client, path, "Does the lens turn?")
    answer = ask(client, path, "Why?").json()
    thread = client.get(path).json()
    assert [said["role"] for said in thread["messages"]] == ["user", "assistant"] * 2
    assert thread["messages"][-1]["answer"] == answer
    assert thread["messages"][-1]["id"] == answer["message_id"]
    assert thread["messages"][0]["answer"] is None
    assert "a flash every ten seconds" in answer["text"]

    listed = client.get(f"{API}/conversations", params={"limit": 1}).json()["conversations"]
    assert [kept["id"] for kept in listed] == [thread["id"]]
    assert client.delete(path).status_code == 204
    assert_problem(client.get(path), 404, "no conversation")
    assert_problem(client.delete(path), 404)
    assert_problem(ask(client, path), 404)


def test_the_corpora_of_a_question_are_kept_to(client: Client) -> None:
    conversation = start_conversation(client)
    assert ask(client, conversation, corpora=["default"]).json()["status"] == "answered"
    client.post(f"{API}/corpora", json={"name": "empty"})
    assert ask(client, conversation, corpora=["empty"]).json()["status"] == "abstained"
    client.delete(f"{API}/corpora/empty")
    assert_problem(ask(client, conversation, corpora=["empty"]), 404, "There are: default")


def test_a_corpus_prefers_peer_reviewed_sources_when_it_is_told_to(client: Client) -> None:
    where = f"{API}/corpora/default/peer-review"
    assert client.put(where, json={"weight": 0.1}).json()["peer_review_weight"] == 0.1
    answer = ask(client, start_conversation(client), "When does the foghorn sound?").json()
    cited = [claim for claim in answer["claims"] if claim["citations"]]
    assert cited
    assert all("not_peer_reviewed" in claim["flags"] for claim in cited)
    assert_problem(client.put(where, json={"weight": 7}), 400, "between 0 and 1")
    assert client.put(where, json={"weight": 0}).json()["peer_review_weight"] == 0
    assert_problem(client.put(f"{API}/corpora/x/peer-review", json={"weight": 0}), 404, "no corpus")


@says
def test_events_are_typed_and_in_order(client: Client, scripted: ScriptedLLM) -> None:
    conversation = start_conversation(client)
    events = stream_events(client, conversation)
    kinds = [event.event for event in events]
    assert kinds[0] == "retrieved"
    assert kinds[-1] == "completed"
    assert set(kinds[1:-1]) == {"token", "cited"}
    data = [json.loads(event.data) for event in events]
    assert set(data[0]["passages"][0]) >= PASSAGE
    answer = data[-1]["answer"]
    tokens = [(kind, one["text"]) for kind, one in zip(kinds, data, strict=True) if kind == "token"]
    assert (
        "".join(text for _, text in tokens) == answer["text"] == "It burns 2.4 litres [1]. Always."
    )
    cited = kinds.index("cited")
    assert set(data[cited]["citation"]) == CITATION
    assert (kinds[cited + 1], data[cited + 1]) == ("token", {"text": "[1]"})
    assert set(answer) == ANSWER
    assert client.get(conversation).json()["messages"][-1]["answer"] == answer


def test_a_declined_question_is_a_stream_too(client: Client) -> None:
    events = stream_events(client, start_conversation(client), CHESS)
    assert [event.event for event in events] == ["retrieved", "token", "completed"]
    assert json.loads(events[0].data) == {"passages": []}


@hangs_up
def test_a_stream_that_fails_ends_with_the_problem_that_json_gives(
    client: Client, scripted: ScriptedLLM
) -> None:
    conversation = start_conversation(client)
    *_, last = stream_events(client, conversation)
    assert last.event == "failed"
    response = ask(client, conversation)
    assert_problem(response, 503, "hung up")
    own_id = {"request_id": response.headers["x-request-id"]}
    assert json.loads(last.data) | own_id == response.json()
    said = client.get(conversation).json()["messages"]
    assert [message["role"] for message in said] == ["user", "user"]


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        (f"{API}/conversations/{NOWHERE}/messages", {"text": FUEL}, 404, "no conversation"),
        (None, {"text": " "}, 400, "empty"),
        (None, {"text": "x" * 100_000}, 400, "100,000"),
        (None, {"text": FUEL, "corpora": ["ships"]}, 404, "There are: default"),
        (None, {}, 400, "text"),
    ],
)
def test_what_fails_before_the_first_event_is_no_stream(
    client: Client, path: str | None, body: JSON, status: int, told: str
) -> None:
    path = path or f"{start_conversation(client)}/messages"
    for accept in ("text/event-stream", "application/json"):
        assert_problem(client.post(path, json=body, headers={"accept": accept}), status, told)
