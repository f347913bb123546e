"""Tests of answers over REST: citation export, gaps, moved sources and verification modes."""

from uuid import uuid4

from tests.app.api.calls import API, CHESS, FUEL, Client, ask, assert_problem, start_conversation


def test_citations_are_exported_in_three_forms(client: Client) -> None:
    answer = ask(client, start_conversation(client)).json()
    path = f"{API}/messages/{answer['message_id']}/citations"
    entries = client.get(path).json()
    assert [entry["id"] for entry in entries] == [f"ibid-{n}" for n in range(1, len(entries) + 1)]
    assert entries
    for form, kind, words in (
        ("markdown", "text/markdown", "[^1]: "),
        ("csl-json", "application/vnd.citationstyles.csl+json", '"URL"'),
        ("bibtex", "application/x-bibtex", "@misc{ibid-1,"),
    ):
        response = client.get(path, params={"format": form})
        assert response.headers["content-type"].startswith(kind)
        assert words in response.text
    assert_problem(client.get(path, params={"format": "docx"}), 400, "format")
    assert_problem(client.get(f"{API}/messages/{uuid4()}/citations"), 404, "no answer")


def test_gaps_and_what_moved_on_are_told(client: Client) -> None:
    conversation = start_conversation(client)
    declined = ask(client, conversation, CHESS).json()
    gaps = client.get(f"{API}/gaps").json()["gaps"]
    assert [(gap["declined"], gap["questions"]) for gap in gaps] == [(1, [CHESS])]
    assert gaps[0]["section"] == declined["abstention"]["nearest"][0]["section"]
    messages = client.get(conversation).json()["messages"]
    assert [message["moved_on"] for message in messages] == [{}, {}]


def test_one_answer_can_be_strict_or_unchecked(client: Client) -> None:
    strict = ask(client, start_conversation(client), FUEL, verify="strict").json()
    assert {claim["verdict"] for claim in strict["claims"]} == {"supported"}
    unchecked = ask(client, start_conversation(client), FUEL, verify="off").json()
    assert {claim["verdict"] for claim in unchecked["claims"]} == {"unchecked"}
    assert strict["text"] == unchecked["text"]
    assert_problem(ask(client, start_conversation(client), FUEL, verify="maybe"), 400, "verify")
