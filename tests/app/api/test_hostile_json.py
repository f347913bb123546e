"""Tests of hostile JSON, deeply nested, huge or odd: it is refused and never causes a server error."""

import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.app.api.calls import API, FUEL, Client, ask, assert_problem, start_conversation

DEEP = {
    "open lists": b"[" * 100_000,
    "lists": b"[" * 50_000 + b"]" * 50_000,
    "open objects": b'{"text":' * 50_000,
    "a deep field": b'{"text":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "a deep unknown field": b'{"title":"x","deep":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001,
}
ODD = {
    "a huge number": b'{"text":%s,"weight":1}' % (b"9" * 5_000),
    "an endless number": b'{"weight":1e400}',
    "no number": b'{"weight":NaN}',
    "half a character": b'{"text":"\\ud800","title":"\\ud800","name":"\\ud800","readers":["\\ud800"]}',
    "another encoding": '{"text":"x"}'.encode("utf-16"),
    "a NUL": b'{"name":"a\\u0000b","title":1,"text":1}',
    "a byte order mark": b"\xef\xbb\xbf{}",
}
BODIES = [
    ("POST", "conversations"),
    ("POST", "conversations/{id}/messages"),
    ("PATCH", "conversations/{id}"),
    ("POST", "corpora"),
    ("PUT", "corpora/default/readers"),
    ("PUT", "corpora/default/peer-review"),
]


def send(client: Client, method: str, path: str, body: bytes) -> None:
    path = path.format(id=start_conversation(client)[-36:])
    headers = {"content-type": "application/json"}
    response = client.request(method, f"{API}/{path}", content=body, headers=headers)
    assert_problem(response, 400)
    assert "\n" not in response.json()["detail"]
    assert len(response.text) < 1_000


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_a_body_that_is_nested_too_deeply_is_refused(
    client: Client, method: str, path: str, name: str
) -> None:
    send(client, method, path, DEEP[name])


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize(("method", "path"), BODIES)
def test_an_odd_body_is_refused(client: Client, method: str, path: str, name: str) -> None:
    send(client, method, path, ODD[name])


def test_of_two_equal_keys_the_last_counts(client: Client) -> None:
    body = b'{"title": "one", "title": "two"}'
    headers = {"content-type": "application/json"}
    made = client.post(f"{API}/conversations", content=body, headers=headers)
    assert made.json()["title"] == "two"


@pytest.mark.parametrize(
    "given_",
    [
        "[" * 8_000,
        '{"version":' * 2_000,
        '{"version":' + "9" * 5_000 + "}",
        '{"version":1e400}',
        '{"version":"\\ud800"}',
        '{"version":"\\u0000"}',
        "NaN",
    ],
)
def test_a_filter_in_an_address_is_refused_in_the_same_way(client: Client, given_: str) -> None:
    response = client.get(f"{API}/search", params={"q": FUEL, "filter": given_})
    assert_problem(response, 400, "filter|version")
    assert len(response.text) < 1_000


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_filter_is_a_fault_of_ours(client: Client, value: object) -> None:
    text = json.dumps(value)
    response = client.get(f"{API}/search", params={"q": FUEL, "filter": text})
    assert response.status_code in (200, 400)
    assert ask(
        client, start_conversation(client), filter=json.loads(text, parse_constant=str)
    ).status_code in (
        201,
        400,
    )


def test_an_answer_with_an_endless_marker_is_still_shown(client: Client) -> None:
    conversation = start_conversation(client)
    answer = ask(client, conversation, f"How much paraffin does the lamp burn [{'9' * 3_000}]?")
    at = f"{API}/messages/{answer.json()['message_id']}"
    assert client.get(f"{at}/html").status_code == 200
    assert client.get(f"{at}/citations", params={"format": "markdown"}).status_code == 200
