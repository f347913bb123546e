"""Tests of the chat page: only our own files, security headers, and answers as safe HTML."""

import re
from html import unescape
from pathlib import Path

import pytest

import app.web
from tests.app.api.calls import API, Client, ask, assert_problem, start_conversation
from tests.doubles.scripted import ScriptedLLM

ASSETS = sorted((Path(app.web.__file__).parent / "assets").iterdir())
INJECTED = "It burns oil [1]. <script>alert(1)</script><img src=x onerror=alert(1)>"


def test_the_page_runs_no_script_but_ours(client: Client) -> None:
    response = client.get("/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert {rules[name] for name in ("script-src", "style-src", "connect-src")} == {"'self'"}
    assert {rules[name] for name in ("base-uri", "frame-ancestors", "form-action")} == {"'none'"}
    assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ASSETS, ids=lambda path: path.name)
def test_a_file_is_served_as_what_it_is_and_fetches_nothing_from_elsewhere(
    client: Client, path: Path
) -> None:
    response = client.get(f"/assets/{path.name}")
    assert response.status_code == 200
    assert response.content == path.read_bytes()
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
    assert response.headers["content-type"].startswith(kinds.get(path.suffix, "text/html"))
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in response.headers["content-security-policy"]
    text = response.text.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(|\bstyle=|\son\w+=|innerHTML|\beval\b", text)


def test_the_page_names_files_that_are_there(client: Client) -> None:
    named = re.findall(r'(?:src|href)="(assets/[^"]+)"', client.get("/").text)
    scripts = [path for path in ASSETS if path.suffix == ".js"]
    imported = {
        name for path in scripts for name in re.findall(r'from "\./([^"]+)"', path.read_text())
    }
    assert named
    assert imported
    for path in (*named, *(f"assets/{name}" for name in imported)):
        assert client.get(f"/{path}").status_code == 200
    assert {"page.js", *imported} == {path.name for path in scripts}


@pytest.mark.parametrize("name", ["nope.js", "..%2Frendering.py", "%2e%2e", "rendering.py"])
def test_no_other_file_is_served(client: Client, name: str) -> None:
    assert_problem(client.get(f"/assets/{name}"), 404)


def test_the_page_is_for_this_machine_only(guarded: Client) -> None:
    assert guarded.get("/").status_code == 200
    assert_problem(guarded.get("/", headers={"host": "evil.example"}), 400, "ALLOWED_HOSTS")


@pytest.mark.parametrize("scripted", [{"pieces": [INJECTED]}], indirect=True)
def test_an_answer_is_read_as_html(client: Client, scripted: ScriptedLLM) -> None:
    answer = ask(client, start_conversation(client)).json()
    response = client.get(f"{API}/messages/{answer['message_id']}/html")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "script-src 'self'" in response.headers["content-security-policy"]
    assert 'data-note="1"' in response.text
    assert set(re.findall(r"<(\w+)", response.text)) == {"p", "span", "button"}
    assert "<script>alert(1)</script>" in unescape(response.text)


def test_what_is_no_answer_has_no_html(client: Client) -> None:
    conversation = start_conversation(client)
    ask(client, conversation)
    question = client.get(conversation).json()["messages"][0]
    assert_problem(client.get(f"{API}/messages/{question['id']}/html"), 404, "no answer")
    assert_problem(
        client.get(f"{API}/messages/{start_conversation(client)[-36:]}/html"), 404, "no answer"
    )
