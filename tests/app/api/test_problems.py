"""Tests of error responses: they are always problem details, as in RFC 9457."""

from uuid import UUID

import pytest

from tests.app.api.calls import API, FUEL, JSON, Client, ask, assert_problem, start_conversation

NOWHERE = UUID(int=7)


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", "/nowhere", 404, ""),
        ("PUT", f"{API}/conversations", 405, ""),
        ("GET", f"{API}/search", 400, "'q'"),
        ("GET", f"{API}/search?q=", 400, "empty"),
        ("GET", f"{API}/search?q={'x' * 5_000}", 400, "5,000"),
        ("GET", f"{API}/search?q=lamp&k=0", 400, "between 1 and 100"),
        ("GET", f"{API}/search?q=lamp&k=101", 400, "between 1 and 100"),
        ("GET", f"{API}/search?q=lamp&k=many", 400, '"k"'),
        ("GET", f"{API}/search?q=lamp&corpus=ships", 404, "There are: default"),
        ("GET", f"{API}/sources?corpus=ships", 404, "There are: default"),
        ("GET", f"{API}/sources?limit=0", 400, "limit"),
        ("GET", f"{API}/sources?offset=-1", 400, "offset"),
        ("GET", f"{API}/sources?offset={10**30}", 400, "offset"),
        ("GET", f"{API}/conversations?limit=201", 400, "limit"),
        ("GET", f"{API}/conversations?cursor=b2Zmc2V0", 400, "cursor"),
        ("GET", f"{API}/conversations/lamp", 404, ""),
        ("GET", f"{API}/conversations/{NOWHERE}", 404, "no conversation"),
        ("DELETE", f"{API}/conversations/{NOWHERE}", 404, "no conversation"),
        ("GET", f"{API}/passages/{NOWHERE}", 404, "no passage"),
        ("GET", f"{API}/sources/{NOWHERE}", 404, "no source"),
        ("GET", f"{API}/sources/{NOWHERE}/text", 404, "no source"),
        ("GET", f"{API}/sources/{NOWHERE}/text?version=0", 400, "version"),
        ("DELETE", f"{API}/corpora/ships", 404, "There are: default"),
    ],
)
def test_what_cannot_be_done_is_a_problem(
    client: Client, method: str, path: str, status: int, told: str
) -> None:
    assert_problem(client.request(method, path), status, told)


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("conversations", {"title": "x" * 201}, 400, "200 characters"),
        ("conversations", {"titel": "x"}, 400, "titel"),
        ("corpora", {}, 400, "name"),
        ("corpora", {"name": "a b"}, 400, "is not a valid corpus name"),
        ("corpora", {"name": "x" * 65}, 400, "is not a valid corpus name"),
        ("corpora", {"name": ".."}, 400, "is not a valid corpus name"),
        ("corpora", {"name": "x", "base_url": "ftp://x"}, 400, "http"),
        ("corpora", {"name": "x", "base_url": "https://u:pw@h"}, 400, "a user or a password"),
        (
            "corpora",
            {"name": "x", "base_url": "https://h/\n![x](y)"},
            400,
            "not allowed in an address",
        ),
        (
            "corpora",
            {"name": "x", "base_url": "https://h/\u202ex"},
            400,
            "not allowed in an address",
        ),
        ("corpora", {"name": "x", "language": "English"}, 400, "language code"),
        ("corpora", {"name": "default"}, 409, "already"),
    ],
)
def test_a_body_that_makes_no_sense_is_a_problem(
    client: Client, path: str, body: JSON, status: int, told: str
) -> None:
    assert_problem(client.post(f"{API}/{path}", json=body), status, told)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"text": ', 400),
        (b"[]", 400),
        (b"", 400),
        (b'{"text": "\xff"}', 400),
        (b'{"text": "\\ud800"}', 400),
        (b'{"text": "' + b"x" * 1_000_001 + b'"}', 413),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(client: Client, body: bytes, status: int) -> None:
    headers = {"content-type": "application/json"}
    path = f"{start_conversation(client)}/messages"
    assert_problem(client.post(path, content=body, headers=headers), status)


@pytest.mark.parametrize(
    "text", ["naïve 灯 🔥?", "\x00", "'; drop table sources; --", "<b>&", "*" * 99]
)
def test_any_text_is_answered_or_declined(client: Client, text: str) -> None:
    assert ask(client, start_conversation(client), text).status_code == 201


def test_a_version_that_is_not_kept_is_a_problem(client: Client) -> None:
    source = client.get(f"{API}/sources").json()["sources"][0]
    path = f"{API}/sources/{source['id']}/text"
    assert_problem(client.get(path, params={"version": 7}), 404, "live or cited")


def test_a_fault_of_ours_is_a_problem_that_tells_no_secrets(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client.app.state.services.search, "_indexes", None)
    response = client.get(f"{API}/search", params={"q": FUEL})
    assert_problem(response, 500, "internal error")
    assert "NoneType" not in response.text


def test_before_anything_is_ingested_it_says_what_to_do(guarded: Client) -> None:
    assert guarded.get("/health/ready").json() == {"status": "ready", "release": None}
    assert guarded.get(f"{API}/corpora").json() == {"corpora": []}
    assert guarded.get(f"{API}/sources").json() == {"sources": []}
    assert_problem(guarded.get(f"{API}/search?q=lamp"), 404, "ibid ingest")
    assert_problem(ask(guarded, start_conversation(guarded)), 404, "ibid ingest")
